"""Pieces on disk: what one part became, in one safetensors file, refused where it is not what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ctxeng.kv.piece import Hold, Piece, sealed
from ctxeng.kv.pool import Pool
from ctxeng.kv.sequence import Pools
from ctxeng.kv.shelf import digest
from ctxeng.storage.atomic import write_atomic
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Segment, Table


def save_pieces(path: Path, name: str, pieces: Sequence[Piece]) -> bool:
    """Write pieces that stand behind one another under their part's name; false where the file is there."""
    if path.exists():
        return False
    arrays: dict[str, Tensor] = {}
    facts: list[dict[str, Any]] = []
    for number, piece in enumerate(pieces):
        (hold,) = piece.holds
        for i, array in enumerate(hold.pool.read(hold.ids)):
            arrays[f"{number}.array{i}"] = array.contiguous()
        if hold.pool.codec == "dense" and not piece.index:
            _wipe([arrays[f"{number}.array{i}"] for i in range(2)], piece.tokens)
        for layer, (segment, index) in enumerate(zip(piece.segments, piece.index, strict=False)):
            arrays |= _ragged(f"{number}.{layer}", segment, index, hold)
        facts.append(
            {
                "codec": hold.pool.codec,
                "k_dim": hold.pool.k_dim,
                "tokens": piece.tokens,
                "start": piece.start,
                "layers": len(piece.segments),
                "ragged": bool(piece.index),
            }
        )
    said = {"name": name, "pieces": json.dumps(facts), "digest": digest(arrays)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(arrays, metadata=said), sync=False)  # lost in a power cut, it is encoded anew
    return True


def load_pieces(path: Path, name: str, pools: Pools) -> tuple[Piece, ...]:
    """Read what one part became into the pools; held once.

    Raises ValueError, which names the file, where it is corrupt or belongs to something else; CacheFull.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a piece of ours ({error})") from None
    if said.get("name") != name:
        raise ValueError(f"{path}: a piece of something else")
    if digest(arrays) != said.get("digest"):
        raise ValueError(f"{path}: its content was changed")
    found: list[Piece] = []
    try:
        for number, facts in enumerate(json.loads(said["pieces"])):
            own = {
                key.partition(".")[2]: value for key, value in arrays.items() if key.startswith(f"{number}.")
            }
            found.append(_piece(facts, own, pools))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        _give_back(found)
        raise ValueError(f"{path}: a piece of another shape ({error})") from None
    except BaseException:
        _give_back(found)
        raise
    return tuple(found)


def _wipe(arrays: Sequence[Tensor], tokens: int) -> None:
    """Rows behind the last token hold what others left there: it is not to be written down."""
    blocks = -(-tokens // BLOCK)
    for array in arrays:
        array.view(-1, blocks, *array.shape[1:])[:, -1, tokens - (blocks - 1) * BLOCK :] = 0


def _give_back(pieces: Sequence[Piece]) -> None:
    for piece in pieces:
        piece.release()


def _ragged(prefix: str, segment: Segment, index: Tensor, hold: Hold) -> dict[str, Tensor]:
    """The table of a layer, by places in the file instead of places in the pool."""
    assert isinstance(segment.where, Table)
    places = {int(block): place for place, block in enumerate(hold.ids)}
    table = torch.tensor([[places.get(int(b), 0) for b in row] for row in segment.where.ids])
    found = {"table": table.view(segment.where.ids.shape), "fill": segment.where.fill, "index": index}
    if segment.channels is not None:
        found["channels"] = segment.channels
    return {f"{prefix}.{key}": value.contiguous() for key, value in found.items()}


def _piece(facts: Mapping[str, Any], arrays: Mapping[str, Tensor], pools: Pools) -> Piece:
    shape = pools.shape
    pool = pools.of(facts["codec"], facts["k_dim"])
    found = [arrays[f"array{i}"] for i in range(len(pool.arrays))]
    blocks, layers = len(found[0]), int(facts["layers"])
    for ours, theirs in zip(pool.arrays, found, strict=True):
        if theirs.shape != (blocks, *ours.shape[1:]) or theirs.dtype != ours.dtype:
            raise ValueError(f"blocks {tuple(theirs.shape)} where {tuple(ours.shape[1:])} are kept")
    if layers != shape.layers:
        raise ValueError(f"{layers} layers, not {shape.layers}")
    ids = pool.take(blocks)
    try:
        pool.write(ids, tuple(found))
        if facts["ragged"]:
            return _thinned(facts, arrays, pool, ids)
        piece = sealed(
            pool, ids.reshape(layers, shape.kv_heads, -1), int(facts["tokens"]), int(facts["start"])
        )
    except BaseException:
        pool.give(ids)
        raise
    pool.give(ids)  # the piece holds them now
    return piece


def _thinned(facts: Mapping[str, Any], arrays: Mapping[str, Tensor], pool: Pool, ids: Any) -> Piece:
    own = torch.from_numpy(np.ascontiguousarray(ids)) if len(ids) else torch.zeros(1, dtype=torch.long)
    segments, numbers = [], []
    for layer in range(int(facts["layers"])):
        table, fill, index = (arrays[f"{layer}.{key}"] for key in ("table", "fill", "index"))
        positions = index.long() + int(facts["start"])
        channels = arrays.get(f"{layer}.channels")
        segments.append(pool.segment(Table(own[table], fill), positions=positions, channels=channels))
        numbers.append(index)
    return Piece(
        tuple(segments), (Hold(pool, ids),), int(facts["tokens"]), int(facts["start"]), tuple(numbers)
    )
