"""Weights from a folder of safetensors: memory-mapped, checked by name and shape, packed where asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ctxeng.errors import BadInput, UnknownName
from ctxeng.runtime.build import Pack, build
from ctxeng.runtime.config import read_config
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.layers import Dense
from ctxeng.runtime.quantized import pack_int4, pack_int8

Dtype = Literal["auto", "fp32", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PACKS: dict[str, Pack] = {"none": Dense, "int8": pack_int8, "int4": pack_int4}
_SAMPLE = 4096  # bytes of each of the places that the fingerprint looks at


def load(folder: str | Path, dtype: Dtype = "auto", pack: str = "none") -> Decoder:
    """The decoder in a folder with config.json and safetensors, in one file or in shards.

    `dtype` auto: fp32 on a CPU, where half precision is slow. `pack`: none, int8 or int4 matrices. What needs
    neither cast nor packing nor fusing stays in the mapped file. Raises BadInput, which names the file.
    """
    folder = Path(folder)
    config = read_config(folder)
    wanted = choose_dtype(dtype)
    if pack not in PACKS:
        raise UnknownName("weight packing", pack, list(PACKS))
    with ExitStack() as stack:
        get = _reader(folder, stack)
        try:
            decoder = build(config, lambda name: get(name).to(wanted), PACKS[pack])
        except ValueError as error:
            raise BadInput(f"{folder}: {error}") from None
    return replace(decoder, fingerprint=f"{fingerprint(folder)}:{wanted}:{pack}")


def choose_dtype(dtype: str) -> torch.dtype:
    """The torch type of that name. Raises UnknownName."""
    if dtype == "auto":
        return torch.float32
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, ["auto", *DTYPES])
    return DTYPES[dtype]


def files(folder: Path) -> list[Path]:
    """The files that hold the weights. Raises BadInput where there are none."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise BadInput(f"{folder}: no model.safetensors and no index of shards; weights must be safetensors")
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(found.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{index}: not an index of shards ({error})") from None
    paths = [folder / name for name in names]
    for path in paths:
        if path.parent != folder or not path.is_file():
            raise BadInput(f"{index}: shard {path.name} is not in the folder; fetch it again")
    return paths


def fingerprint(folder: Path) -> str:
    """A hash of config.json and, of each weight file, its header, its size and bytes from 64 places.

    Not of every byte: a start would take a minute a model. A change between those places goes unseen.
    """
    total = hashlib.sha256((folder / "config.json").read_bytes())
    for path in files(folder):
        size = path.stat().st_size
        total.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
            total.update(file.read(min(header, size)))
            for place in range(64):
                file.seek(max(0, size - _SAMPLE) * place // 63)
                total.update(file.read(_SAMPLE))
    return total.hexdigest()[:32]


@dataclass(frozen=True)
class _Reader:
    """Tensors by name, out of mapped files."""

    places: dict[str, Any]
    folder: Path

    def __call__(self, name: str) -> Tensor:
        if name not in self.places:
            raise BadInput(f"{self.folder}: the weights have no {name}; is config.json of the same model?")
        return self.places[name].get_tensor(name)


def _reader(folder: Path, stack: ExitStack) -> Callable[[str], Tensor]:
    places: dict[str, Any] = {}
    for path in files(folder):
        try:
            opened = stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{path}: not a safetensors file, or cut short ({error})") from None
        places |= dict.fromkeys(opened.keys(), opened)
    return _Reader(places, folder)
