"""What values in a settings file look like: amounts of tokens, percents, lists that may be one name."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from ctxeng.turn import Value

_TOKENS = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)")


def _tokens(value: Any) -> Any:
    if isinstance(value, str) and (match := _TOKENS.fullmatch(value.strip())):
        return int(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()])
    return value


def _percent(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip().removesuffix("%")) / 100
    return value


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Tokens = Annotated[
    int,
    BeforeValidator(_tokens),
    Field(ge=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKmM]?$"},
            ]
        }
    ),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
            ]
        }
    ),
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class SourceShare(Value):
    """What a source may spend: at least `min` tokens, `share` of what is free."""

    min: Tokens = 0
    share: Percent | None = None


class SourceSettings(SourceShare):
    """The same, and at most `cap` tokens."""

    cap: Tokens | None = None

    @property
    def most(self) -> int | None:
        """The most tokens it may spend."""
        return self.cap
