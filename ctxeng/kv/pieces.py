"""Parts that were read before, whole: documents, tools, playbook entries, by their tokens."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctxeng.kv.piece import Piece
from ctxeng.kv.piece_shelf import load_pieces, save_pieces
from ctxeng.kv.sequence import Pools

Pieces = tuple[Piece, ...]  # what one part became, in order


@dataclass(frozen=True)
class Name:
    """A part by what it follows and its own tokens (`exact`), and by its own tokens alone (`alike`)."""

    exact: str
    alike: str

    @property
    def file(self) -> str:
        """The file it is kept in; what is alike begins alike."""
        return f"{self.alike[:32]}-{self.exact[:32]}.safetensors"


@dataclass
class PieceStore:
    """Sealed pieces by name; the longest unused goes first. With a folder, they are also kept on disk.

    Not thread-safe: it belongs to an engine's loop.
    """

    pools: Pools
    folder: Path | None = None
    refused: list[str] = field(default_factory=list)  # files that were corrupt or of another model
    _parts: OrderedDict[str, tuple[Name, Pieces]] = field(default_factory=OrderedDict)
    _alike: dict[str, str] = field(default_factory=dict)  # own tokens -> the name last put under

    def __len__(self) -> int:
        """Parts in memory."""
        return len(self._parts)

    def find(self, name: Name, *, moved: bool) -> tuple[Pieces, bool] | None:
        """The pieces of a part, and whether they were read behind what it follows; the caller holds them.

        With `moved`, such as were read behind something else will do. Raises CacheFull where they are on
        disk and there is no room.
        """
        found = self._held(name.exact) or self._from_disk(name)
        if found is not None:
            return found, True
        if not moved:
            return None
        found = self._held(self._alike.get(name.alike, "")) or self._like_from_disk(name)
        return None if found is None else (found, False)

    def put(self, name: Name, pieces: Pieces) -> None:
        """Keep them; the store takes a reference of its own."""
        if name.exact not in self._parts:
            self._parts[name.exact] = name, tuple(piece.share() for piece in pieces)
            self._alike[name.alike] = name.exact

    def shrink(self) -> bool:
        """Drop the part that was of no use for longest, to disk where there is a folder; false: none left."""
        if not self._parts:
            return False
        exact, (name, pieces) = next(iter(self._parts.items()))
        self._to_disk(name, pieces)
        del self._parts[exact]
        if self._alike.get(name.alike) == exact:
            del self._alike[name.alike]
        for piece in pieces:
            piece.release()
        return True

    def persist(self) -> int:
        """Write what is not on disk yet; the number of files written. Nothing without a folder."""
        return sum(self._to_disk(name, pieces) for name, pieces in self._parts.values())

    def clear(self) -> None:
        """Write what the folder lacks, and give everything back."""
        while self.shrink():
            pass

    def _held(self, exact: str) -> Pieces | None:
        if exact not in self._parts:
            return None
        self._parts.move_to_end(exact)
        return tuple(piece.share() for piece in self._parts[exact][1])

    def _to_disk(self, name: Name, pieces: Pieces) -> bool:
        return self.folder is not None and save_pieces(self.folder / name.file, name.exact, pieces)

    def _from_disk(self, name: Name) -> Pieces | None:
        if self.folder is None or not (path := self.folder / name.file).exists():
            return None
        try:
            pieces = load_pieces(path, name.exact, self.pools)
        except ValueError as error:
            self.refused.append(str(error))
            return None
        self.put(name, pieces)
        return pieces

    def _like_from_disk(self, name: Name) -> Pieces | None:
        for path in sorted(self.folder.glob(f"{name.alike[:32]}-*.safetensors")) if self.folder else ():
            found = self._from_disk(Name(path.stem.partition("-")[2], name.alike))
            if found is not None:
                return found
        return None


def digest(key: str, before: str, ids: Sequence[int]) -> str:
    """A name for tokens behind what has the name `before`."""
    total = hashlib.sha256()
    for text in (key, before):
        total.update(len(text).to_bytes(8, "little") + text.encode())
    total.update(np.asarray(ids, np.int64).tobytes())
    return total.hexdigest()[:32]
