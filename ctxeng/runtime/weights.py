"""Weights from a folder: memory-mapped, checked by name and shape, packed where asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ctxeng.errors import BadInput, UnknownName
from ctxeng.extras import needs
from ctxeng.runtime.build import Pack, build
from ctxeng.runtime.config import ModelConfig, read_config
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.layers import Dense
from ctxeng.runtime.quantized import pack_int4, pack_int8

Dtype = Literal["auto", "fp32", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PACKS: dict[str, Pack] = {"none": Dense, "int8": pack_int8, "int4": pack_int4}
_PLAIN = {*DTYPES.values(), torch.float64}
_PIECE = 1024  # bytes of each of the places that the fingerprint looks at
_PIECES = 4  # places a tensor
_LONGEST = 100_000_000  # bytes of a header; the format's own limit


class Weights(Protocol):
    """What a folder or a file of weights offers."""

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        ...

    @property
    def stated(self) -> bytes:
        """What tells this configuration from others."""
        ...

    def __call__(self, name: str) -> Tensor:
        """The tensor of that Hugging Face name."""
        ...

    def places(self) -> Iterable[tuple[str, Path, int, int]]:
        """Every tensor: its name and type, the file, the first byte and the bytes there."""
        ...


def load(folder: str | Path, dtype: Dtype = "auto", pack: str = "none") -> Decoder:
    """The decoder in a folder with config.json and safetensors (in one file or in shards), or in a GGUF file.

    A folder without safetensors that holds a single GGUF file is taken as that file. `dtype` auto: fp32, as
    half precision is slow on most CPUs. `pack`: none, int8 or int4 matrices. What needs neither cast nor
    packing nor fusing stays in the mapped file. Raises BadInput, which names the file, and MissingExtra where
    a GGUF file is there and the gguf package is not.
    """
    folder = Path(folder)
    wanted = choose_dtype(dtype)
    if pack not in PACKS:
        raise UnknownName("weight packing", pack, list(PACKS))
    with ExitStack() as stack:
        weights = _open(folder, stack)
        try:
            decoder = build(weights.config, _Cast(weights, wanted, packed=pack != "none"), PACKS[pack])
        except ValueError as error:
            raise BadInput(f"{folder}: {error}") from None
        return replace(decoder, fingerprint=f"{fingerprint(weights)}:{wanted}:{pack}")


def config_of(folder: str | Path) -> ModelConfig:
    """The shape of the model in a folder, or in a GGUF file; nothing is loaded. Raises what `load` raises."""
    folder = Path(folder)
    if (folder / "config.json").is_file():
        return read_config(folder)
    with ExitStack() as stack:
        return _open(folder, stack).config


def choose_dtype(dtype: str) -> torch.dtype:
    """The torch type of that name. Raises UnknownName."""
    if dtype == "auto":
        return torch.float32
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, ["auto", *DTYPES])
    return DTYPES[dtype]


def files(folder: Path) -> list[Path]:
    """The safetensors that hold the weights. Raises BadInput where there are none."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise BadInput(
            f"{folder}: no model.safetensors, no index of shards and no single .gguf; "
            "weights must be safetensors or GGUF"
        )
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        paths = [folder / name for name in sorted(set(found.values()))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{index}: not an index of shards ({error})") from None
    for path in paths:
        if path.parent != folder or not path.is_file():
            raise BadInput(f"{index}: shard {path.name} is not in the folder; fetch it again")
    return paths


def fingerprint(weights: Weights) -> str:
    """A hash of the configuration and of four pieces of 1 KiB of each tensor, however the files are cut.

    Not of every byte: a start would take a minute a model. Training that moves a tensor moves all of it and
    is seen; a change by hand between those pieces is not.
    """
    total = hashlib.sha256(weights.stated)
    for name, path, start, size in sorted(weights.places()):
        total.update(f"{name}:{size}".encode())
        with path.open("rb") as file:
            for piece in range(_PIECES):
                file.seek(start + max(0, size - _PIECE) * piece // (_PIECES - 1))
                total.update(file.read(min(size, _PIECE)))
    return total.hexdigest()[:32]


@dataclass(frozen=True)
class SafetensorsFolder:
    """Tensors by name, out of mapped safetensors."""

    folder: Path
    config: ModelConfig
    opened: dict[str, Any]

    @property
    def stated(self) -> bytes:
        """The bytes of config.json."""
        return (self.folder / "config.json").read_bytes()

    def __call__(self, name: str) -> Tensor:
        """The tensor. Raises BadInput where there is none, or none of plain numbers."""
        if name not in self.opened:
            raise BadInput(f"{self.folder}: the weights have no {name}; is config.json of the same model?")
        tensor: Tensor = self.opened[name].get_tensor(name)
        if tensor.dtype not in _PLAIN:
            raise BadInput(
                f"{self.folder}: {name} is stored as {tensor.dtype}, which means nothing without its scales; "
                "take the model's fp32, bf16 or fp16 weights and pack them here"
            )
        return tensor

    def places(self) -> Iterable[tuple[str, Path, int, int]]:
        """Every tensor: its name and type, the file, the first byte and the bytes there."""
        for path in files(self.folder):
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, _LONGEST)))
            for name, about in header.items():
                if name != "__metadata__":
                    start, end = about["data_offsets"]
                    yield f"{name}:{about['dtype']}", path, 8 + length + start, end - start


@dataclass(frozen=True)
class _Cast:
    """Tensors in the type that was asked for; matrices to be packed go as they are, to spare a copy."""

    weights: Weights
    dtype: torch.dtype
    packed: bool

    def __call__(self, name: str) -> Tensor:
        tensor = self.weights(name)
        matrix = name.endswith("_proj.weight") or name == "lm_head.weight"
        return tensor if self.packed and matrix else tensor.to(self.dtype)


def _open(folder: Path, stack: ExitStack) -> Weights:
    ggufs = [folder] if folder.suffix == ".gguf" else sorted(folder.glob("*.gguf"))
    if len(ggufs) == 1 and not any(folder.glob("model.safetensors*")):
        needs("gguf")
        from ctxeng.runtime.gguf_file import open_gguf  # noqa: PLC0415 - an extra of its own

        return open_gguf(ggufs[0])
    config = read_config(folder)
    opened: dict[str, Any] = {}
    for path in files(folder):
        try:
            found = stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{path}: not a safetensors file, or cut short ({error})") from None
        opened |= dict.fromkeys(found.keys(), found)
    return SafetensorsFolder(folder, config, opened)
