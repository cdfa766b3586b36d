"""An input of any size in parts of some thousand tokens, and extracts that say where they are from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable

from ctxeng.turn import Chunk

_HEX = 10  # digits of a hash in an id
_LEAST = 2  # characters: a text that can still be cut
RESTATED = "[restated by a model]"  # before the title of what is no literal quote


def partition(chunks: Iterable[Chunk], tokens: int, price: Callable[[Chunk], int]) -> list[list[Chunk]]:
    """The chunks in order, in parts whose prices add up to at most `tokens`; larger chunks are cut.

    Only where a single character costs more than `tokens` is a part above it.
    """
    parts: list[list[Chunk]] = []
    left = 0
    for chunk in chunks:
        for piece in _pieces(chunk, tokens, price):
            cost = price(piece)
            if not parts or cost > left:
                parts.append([])
                left = tokens
            parts[-1].append(piece)
            left -= cost
    return parts


def extract(piece: Chunk, text: str) -> Chunk:
    """What a model says it copied from this chunk or piece of one, as an untrusted chunk.

    Where the text does stand there, but for white space, it is quoted from there with its offsets. Otherwise
    the title says that a model restated it, and the offsets are those of the piece. `parts` names the chunk.
    """
    quoted = re.search(r"\s+".join(map(re.escape, text.split())), piece.text)
    said = quoted[0] if quoted else text.strip()
    digest = hashlib.sha256(said.encode()).hexdigest()[:_HEX]
    return Chunk(
        id=f"{piece.id}~x{digest}",
        text=said,
        source=piece.source or piece.id,
        title=piece.title if quoted else f"{RESTATED} {piece.title}".strip(),
        start=piece.start + (quoted.start() if quoted else 0),
        end=piece.start + (quoted.end() if quoted else len(piece.text)),
        trust="untrusted",
        parts=(piece.id,),
    )


def _pieces(chunk: Chunk, tokens: int, price: Callable[[Chunk], int]) -> list[Chunk]:
    """The chunk, halved at the space nearest to its middle until every piece fits; ids stay the chunk's."""
    if price(chunk) <= tokens or len(chunk.text) < _LEAST:
        return [chunk]
    middle = len(chunk.text) // 2
    spaces = (chunk.text.rfind(" ", 1, middle), chunk.text.find(" ", middle))
    at = min((each for each in spaces if each > 0), key=lambda each: abs(each - middle), default=middle)
    first = chunk.model_copy(update={"text": chunk.text[:at], "end": chunk.start + at})
    second = chunk.model_copy(update={"text": chunk.text[at:], "start": chunk.start + at})
    return [*_pieces(first, tokens, price), *_pieces(second, tokens, price)]
