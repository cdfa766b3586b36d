"""How a question is asked: the form its answer has to have, and the limits of answering it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ctxeng.message import Value


class Choice(Value):
    """One of several possible answers; `about` says more than its name."""

    value: str
    about: str = ""


class Choices(Value):
    """An answer that is one of a set."""

    type: Literal["choices"] = "choices"
    options: tuple[Choice, ...] = Field(min_length=1)


class Schema(Value):
    """An answer that is JSON of a given schema."""

    type: Literal["schema"] = "schema"
    json_schema: dict[str, JsonValue]


class FreeText(Value):
    """An answer in free text."""

    type: Literal["text"] = "text"


Want = Annotated[FreeText | Choices | Schema, Field(discriminator="type")]


class Ask(Value):
    """How to answer. `deadline` is a time.monotonic() second; `cancelled` is polled and never stored."""

    max_tokens: int = Field(default=1024, gt=0)
    want: Want = FreeText()
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    deadline: float | None = None
    cancelled: Callable[[], bool] | None = Field(default=None, exclude=True, repr=False)
