"""Text to search, fill windows with, or compress: key-value pairs, novels, tiny corpora."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders.read import dataset_of, lines, only, read, said

_BLANK = re.compile(r"\n(?:[ \t]*\n)+")


def kv_retrieval(data: Path, part: str) -> Dataset:
    """Lost in the middle: 75 pairs a case, the gold one is of the key asked for; tag `position` (from 0).

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("kv-retrieval", part, [])
    path = data / "kv-retrieval" / "kv-retrieval-75_keys.jsonl.gz"
    try:
        raw = gzip.decompress(read(path))
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{said(path)}: not a whole gzip file ({error})") from error
    return dataset_of("kv-retrieval", part, lines(path, _pairs, raw))


def gutenberg(data: Path, part: str) -> Dataset:
    """Novels as pools of paragraphs, no cases; parts: `moby-dick`, `pride-and-prejudice`.

    Raises BadInput for a file that is no text, UnknownName for another part.
    """
    return _pools(data / "gutenberg", part, ["moby-dick", "pride-and-prejudice"], _BLANK)


def tiny_text(data: Path, part: str) -> Dataset:
    """Tiny corpora as pools of lines, no cases; parts: `names`, `tinyshakespeare`.

    Raises BadInput for a file that is no text, UnknownName for another part.
    """
    return _pools(data / "tiny-text", part, ["names", "tinyshakespeare"], re.compile("\n"))


def _pairs(record: Any, number: int) -> Case:
    pairs = record["ordered_kv_records"]
    if [record["key"], record["value"]] not in pairs:
        raise ValueError(f"the pair of {record['key']!r} is not among the records")
    return Case(
        id=f"kv-{number}",
        question=f'What is the value of the key "{record["key"]}"?',
        target=record["value"],
        items=tuple(Item(id=key, text=f'"{key}": "{value}"') for key, value in pairs),
        gold=(record["key"],),
        group=f"kv-{number}",
        tags={"position": pairs.index([record["key"], record["value"]])},
    )


def _pools(folder: Path, part: str, names: Sequence[str], end: re.Pattern[str]) -> Dataset:
    only(folder.name, part, names)
    pools = {name: _pieces(folder / f"{name}.txt", end) for name in names if part in ("", name)}
    return dataset_of(folder.name, part, (), **pools)


def _pieces(path: Path, end: re.Pattern[str]) -> tuple[Item, ...]:
    try:
        text = read(path).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{said(path)}: not UTF-8") from error
    pieces = [piece for piece in map(str.strip, end.split(text)) if piece]
    return tuple(Item(id=str(number), text=piece, source=path.stem) for number, piece in enumerate(pieces, 1))
