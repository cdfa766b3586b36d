"""Pieces that were read before, whole: documents, tools, playbook entries, by their tokens."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ctxeng.kv.piece import Piece


@dataclass
class PieceStore:
    """Sealed pieces by the hash of what they follow and of their own tokens; the longest unused goes first.

    Not thread-safe: it belongs to an engine's loop.
    """

    _pieces: OrderedDict[str, Piece] = field(default_factory=OrderedDict)
    _alike: dict[str, str] = field(
        default_factory=dict
    )  # own tokens alone -> the name they were last put under

    def __len__(self) -> int:
        """Pieces held."""
        return len(self._pieces)

    def find(
        self, key: str, head: Sequence[int], ids: Sequence[int], *, moved: bool
    ) -> tuple[Piece, bool] | None:
        """The piece of these tokens, and whether it was read behind this very head; the caller holds it.

        With `moved`, one that was read behind another head will do.
        """
        name = digest(key, head, ids)
        exact = name in self._pieces
        if not exact:
            name = self._alike.get(digest(key, (), ids), "") if moved else ""
        if name not in self._pieces:
            return None
        self._pieces.move_to_end(name)
        return self._pieces[name].share(), exact

    def put(self, key: str, head: Sequence[int], ids: Sequence[int], piece: Piece) -> None:
        """Keep it; the store takes a reference of its own."""
        name = digest(key, head, ids)
        if name not in self._pieces:
            self._pieces[name] = piece.share()
            self._alike[digest(key, (), ids)] = name

    def shrink(self) -> bool:
        """Drop the piece that was of no use for longest; false where there is none."""
        if not self._pieces:
            return False
        name, piece = self._pieces.popitem(last=False)
        self._alike = {alike: full for alike, full in self._alike.items() if full != name}
        piece.release()
        return True

    def clear(self) -> None:
        """Give everything back."""
        while self.shrink():
            pass


def digest(key: str, head: Sequence[int], ids: Sequence[int]) -> str:
    """A name for tokens behind a head."""
    total = hashlib.sha256(key.encode())
    for part in (head, ids):
        tokens = np.asarray(part, np.int64).tobytes()
        total.update(len(tokens).to_bytes(8, "little") + tokens)
    return total.hexdigest()
