"""Blocks on disk: one safetensors file each, whole or not at all, refused where it is not what it says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ctxeng.kv.pool import Ids, Pool
from ctxeng.storage.atomic import write_atomic


def save_block(path: Path, name: str, pool: Pool, ids: Ids) -> bool:
    """Write the blocks ids [layers, Hkv] under their chain's name; false where the file is there already."""
    if path.exists():
        return False
    arrays = {f"array{i}": array.contiguous() for i, array in enumerate(pool.read(ids))}
    facts = {"name": name, "codec": pool.codec, "digest": digest(arrays)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(arrays, metadata=facts), sync=False)  # lost in a power cut, it is encoded anew
    return True


def load_block(path: Path, name: str, pool: Pool, shape: tuple[int, int]) -> Ids:
    """Read a block into the pool; its ids [layers, Hkv], held once.

    Raises ValueError, which names the file, where it is corrupt or belongs to something else; CacheFull.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a block of ours ({error})") from None
    if facts.get("name") != name or facts.get("codec") != pool.codec:
        raise ValueError(f"{path}: a block of something else")
    found = tuple(arrays.get(f"array{i}", torch.empty(0)) for i in range(len(pool.arrays)))
    for ours, theirs in zip(pool.arrays, found, strict=True):
        if theirs.shape != (*shape, *ours.shape[1:]) or theirs.dtype != ours.dtype:
            raise ValueError(f"{path}: a block of another shape")
    if digest(arrays) != facts.get("digest"):
        raise ValueError(f"{path}: its content was changed")
    ids = pool.take(shape[0] * shape[1]).reshape(shape)
    pool.write(ids, found)
    return ids


def digest(arrays: dict[str, torch.Tensor]) -> str:
    """The hash of the arrays' bytes, in their names' order."""
    total = hashlib.sha256()
    for key in sorted(arrays):
        total.update(arrays[key].contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
