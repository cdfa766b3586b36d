"""A model on this machine, in a settings file: `id: local:./folder` and how its cache is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema

from ctxeng.errors import MissingExtra
from ctxeng.extras import installed
from ctxeng.settings_types import Tokens
from ctxeng.turn import Value

if TYPE_CHECKING:
    from ctxeng.runtime.box import Box
    from ctxeng.runtime.local import LocalModel

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?", re.IGNORECASE)


def _size(value: Any) -> Any:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        unit = (match[2] or "").upper()
        base = 1024 if unit.endswith("I") else 1000
        return int(float(match[1]) * base ** (" KMGT".index(unit[0]) if unit else 0))
    return value


Bytes = Annotated[
    int,
    BeforeValidator(_size),
    Field(gt=0),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d.*[KMGT]i?B?$"}]}),
]


class ApeSettings(Value):
    """Attention to documents read side by side: its temperature, and the scale of their weight."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    scale: float = Field(default=1.0, gt=0, le=10)


class LocalSettings(Value):
    """How a local model runs. `memory` caps its cache; `store` keeps read prefixes for the next start.

    `documents: parallel` reads each document once and serves it in any order, which their order then cannot
    tell the model; `moved` lets one serve behind another beginning too, as an approximation. `method` is a
    published way to thin the cache: `snapkv`, or `{name: snapkv, budget: 0.5}`.
    """

    memory: Bytes = 1 << 30
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    weights: Literal["none", "int8", "int4"] = "none"
    codec: Literal["dense", "int8", "int4"] = "dense"
    chunk: Annotated[Tokens, Field(ge=1)] = 512
    store: str | None = None
    documents: Literal["ordered", "parallel"] = "ordered"
    moved: bool = False
    ape: ApeSettings = ApeSettings()
    draft: Literal["none", "prompt"] = "none"
    method: dict[str, JsonValue] | str | None = None
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    min_p: float = Field(default=0.0, ge=0, le=1)


@dataclass
class Boxes:
    """The models that a settings file opened; roles that name the same one share it."""

    _boxes: dict[tuple[str, str], Box] = field(default_factory=dict)

    def model(self, folder: Path, given: LocalSettings, limit: int) -> LocalModel:
        """The model in that folder. Raises MissingExtra without torch, BadInput where it is no model."""
        for package in ("torch", "safetensors", "tokenizers", "jinja2"):
            if not installed(package):
                raise MissingExtra("local", package)
        from ctxeng.kv.methods.names import make  # noqa: PLC0415 - torch
        from ctxeng.runtime.local import LocalModel  # noqa: PLC0415
        from ctxeng.runtime.plan import CachePlan  # noqa: PLC0415
        from ctxeng.runtime.sampling import Sampling  # noqa: PLC0415
        from ctxeng.runtime.speculative import PromptLookup  # noqa: PLC0415

        named = {"name": given.method} if isinstance(given.method, str) else dict(given.method or {})
        method = make(str(named.pop("name", "")), named) if given.method else None
        ape = given.ape
        return LocalModel(
            self._box(folder, given),
            CachePlan(given.codec, method, moved=given.moved, temperature=ape.temperature, scale=ape.scale),
            Sampling(temperature=given.temperature, top_p=given.top_p, min_p=given.min_p),
            PromptLookup() if given.draft == "prompt" else None,
            apart=given.documents == "parallel",
            limit=limit,
        )

    def close(self) -> None:
        """End all engines. Idempotent."""
        for box in self._boxes.values():
            box.close()
        self._boxes.clear()

    def _box(self, folder: Path, given: LocalSettings) -> Box:
        from ctxeng.runtime.box import Box  # noqa: PLC0415 - torch

        options = given.model_dump(include={"memory", "dtype", "weights", "chunk", "store"})
        key = (str(folder.resolve()), repr(options))
        if key not in self._boxes:
            self._boxes[key] = Box.open(folder, **options)
        return self._boxes[key]
