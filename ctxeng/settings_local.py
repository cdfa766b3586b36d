"""A model on this machine, in a settings file: `id: local:./folder` and how its cache is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from ctxeng.errors import MissingExtra
from ctxeng.extras import installed
from ctxeng.settings_types import Tokens
from ctxeng.turn import Value

if TYPE_CHECKING:
    from ctxeng.kv.policy import Policy
    from ctxeng.runtime.box import Box
    from ctxeng.runtime.local import LocalModel
    from ctxeng.runtime.plan import CachePlan

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


Method = dict[str, JsonValue] | str


class PieceSettings(Value):
    """How parts of one kind are kept: their codec, and a published method that works on them alone.

    `read: parallel` reads each playbook entry, or each document, beside the others: it serves in any order,
    and an edited one is all that is read again.
    """

    read: Literal["ordered", "parallel"] = "ordered"
    codec: Literal["dense", "int8", "int4"] | None = None
    method: Method | None = None


class Pieces(Value):
    """Parts that are read once and stored by themselves; a kind that is not named is kept as all else is."""

    system: PieceSettings | None = None
    playbook: PieceSettings | None = None
    tool: PieceSettings | None = None
    chunk: PieceSettings | None = None
    history: PieceSettings | None = None

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        for kind in ("system", "tool", "history"):
            given = getattr(self, kind)
            if given is not None and given.read == "parallel":
                raise ValueError(f"{kind} has one part: only playbook and chunk can be read side by side")
        return self

    @property
    def named(self) -> dict[str, PieceSettings]:
        """Those that are named."""
        return {kind: found for kind in type(self).model_fields if (found := getattr(self, kind)) is not None}


class LocalSettings(Value):
    """How a local model runs. `memory` caps its cache; `store` keeps what was read for the next start.

    `documents: parallel` reads each document once and serves it in any order, which their order then cannot
    tell the model; `moved` lets one serve behind another beginning too, as an approximation. `method` is a
    published way to thin the cache: `snapkv`, or `{name: snapkv, budget: 0.5}`. `pieces` says the same, and
    the codec, for the playbook, the tools, the documents by themselves.
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
    method: Method | None = None
    pieces: Pieces = Pieces()
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    min_p: float = Field(default=0.0, ge=0, le=1)

    @property
    def apart(self) -> frozenset[str]:
        """The kinds whose parts are read side by side."""
        found = {kind for kind, piece in self.pieces.named.items() if piece.read == "parallel"}
        return frozenset(found | ({"chunk"} if self.documents == "parallel" else set()))


@dataclass
class Boxes:
    """The models that a settings file opened; roles that name the same one share it."""

    _boxes: dict[tuple[str, str], Box] = field(default_factory=dict)

    def model(
        self, folder: Path, given: LocalSettings, limit: int = 0, base: Path | None = None
    ) -> LocalModel:
        """The model in that folder; files that settings name are relative to `base`.

        Raises MissingExtra without torch, BadInput where it is no model.
        """
        base = base or Path()
        for package in ("torch", "safetensors", "tokenizers", "jinja2"):
            if not installed(package):
                raise MissingExtra("local", package)
        from ctxeng.runtime.local import LocalModel  # noqa: PLC0415 - torch
        from ctxeng.runtime.sampling import Sampling  # noqa: PLC0415
        from ctxeng.runtime.speculative import PromptLookup  # noqa: PLC0415

        box = self._box(folder, given, base)
        return LocalModel(
            box,
            _plan(given, box, base),
            Sampling(temperature=given.temperature, top_p=given.top_p, min_p=given.min_p),
            PromptLookup() if given.draft == "prompt" else None,
            apart=given.apart,
            limit=limit,
        )

    def close(self) -> None:
        """End all engines. Idempotent."""
        for box in self._boxes.values():
            box.close()
        self._boxes.clear()

    def _box(self, folder: Path, given: LocalSettings, base: Path) -> Box:
        from ctxeng.runtime.box import Box  # noqa: PLC0415 - torch

        options = given.model_dump(include={"memory", "dtype", "weights", "chunk", "store"})
        if given.store is not None:
            options["store"] = str(base / given.store)
        key = (str(folder.resolve()), repr(options))
        if key not in self._boxes:
            self._boxes[key] = Box.open(folder, **options)
        return self._boxes[key]


def _plan(given: LocalSettings, box: Box, base: Path) -> CachePlan:
    from ctxeng.runtime.plan import CachePlan, KindPlan  # noqa: PLC0415 - torch

    kinds = {
        kind: KindPlan(piece.codec, _method(piece.method, box, base))
        for kind, piece in given.pieces.named.items()
    }
    return CachePlan(
        given.codec,
        _method(given.method, box, base),
        moved=given.moved,
        temperature=given.ape.temperature,
        scale=given.ape.scale,
        kinds=kinds,
    )


def _method(given: Method | None, box: Box, base: Path) -> Policy | None:
    from ctxeng.kv.methods.names import make  # noqa: PLC0415 - torch
    from ctxeng.runtime.heads import gates_of  # noqa: PLC0415

    if not given:
        return None
    options: dict[str, Any] = {"name": given} if isinstance(given, str) else dict(given)
    name = str(options.pop("name", ""))
    if name == "duo":  # its heads are measured once: the file, or the store, keeps them
        path = options.get("gates")
        folder = box.engine.store.folder
        kept = base / str(path) if path else folder / "heads.json" if folder is not None else None
        options["gates"] = gates_of(box.engine, kept)
    return make(name, options)
