"""What has to be read before a generation: a head, then each parallel part behind it, then the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctxeng.kv.piece import Piece, Placed
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.rope import Rotation

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine
    from ctxeng.runtime.plan import CachePlan


@dataclass
class Stage:
    """Tokens to be read into a cache; `part` is the parallel part they are, -1: the head."""

    sequence: Sequence
    ids: list[int]
    part: int

    @property
    def left(self) -> int:
        """Tokens not yet in the cache."""
        return len(self.ids) - self.sequence.length


class Reading:
    """Reads a prompt with parallel parts, stage by stage; `take` gives what the generation then stands on.

    Whatever it holds is given back by `release`, also in the middle.
    """

    def __init__(self, engine: Engine, prompt: Prompt, plan: CachePlan, key: str, rotation: Rotation) -> None:
        self.engine, self.plan, self.key, self.rotation = engine, plan, key, rotation
        self.head, self.parts = prompt.head, prompt.parallel
        self.found: list[Placed | None] = [None] * len(self.parts)
        self.cached = 0
        self.changed = len(self.head) + sum(map(len, self.parts))  # number of the first token not found
        self.moved = 0  # tokens of pieces that were read behind another head
        self._root: Sequence | None = None
        self._piece: Piece | None = None
        self._stage: Stage | None = None

    def begin(self) -> None:
        """Take what the stores have, and start on the first stage that is left. Raises CacheFull."""
        plan, engine = self.plan, self.engine
        at = self.changed
        for number, ids in reversed(list(enumerate(self.parts))):
            at -= len(ids)
            hit = engine.pieces.find(self.key, self.head, ids, moved=plan.moved) if plan.reuse else None
            if hit is not None:
                piece, exact = hit
                self.cached += len(ids)
                self.moved += 0 if exact else len(ids)
                self.found[number] = self._placed(piece)
            else:
                self.changed = at
        if not self.head:
            self._next()
            return
        self._root = Sequence(engine.pools, plan.codec)
        if plan.reuse:
            self._root.placed = engine.find(plan, self.key, self.head)
            self.cached += self._root.length
        if self._root.length < len(self.head):
            self.changed = self._root.length
        engine.room(self._root, max(1, len(self.head) - self._root.length))
        self._stage = Stage(self._root, self.head, -1)
        if not self._stage.left:
            self.advance()

    @property
    def stage(self) -> Stage | None:
        """What is to be read now; None: everything was."""
        return self._stage

    def advance(self) -> None:
        """The stage is in the cache whole: seal it, and go on to the next. Raises CacheFull."""
        stage, engine = self._stage, self.engine
        assert stage is not None
        self._stage = None
        if stage.part < 0:
            if self.plan.reuse:
                engine.publish(self.key, stage.sequence, self.head)
        else:
            piece = engine.freeze(stage.sequence)
            self.found[stage.part] = self._placed(piece)
            if self.plan.reuse:
                engine.pieces.put(self.key, self.head, self.parts[stage.part], piece)
            stage.sequence.release()
        self._next()

    def _next(self) -> None:
        missing = next((i for i, placed in enumerate(self.found) if placed is None), None)
        if missing is None:
            return
        ids = self.parts[missing]
        sequence = (
            self.engine.fork(self._root)
            if self._root is not None
            else Sequence(self.engine.pools, self.plan.codec)
        )
        try:
            sequence = self._parted(sequence)
            self.engine.room(sequence, len(ids))
        except BaseException:
            sequence.release()
            raise
        self._stage = Stage(sequence, [*self.head, *ids], missing)

    def _parted(self, fork: Sequence) -> Sequence:
        """A fork whose tail begins behind the head, so that the part can be sealed by itself."""
        if fork.tail is not None:
            if fork.tail.length:
                fork.placed = (*fork.placed, Placed(self.engine.freeze(fork)))
            fork.tail.release()
            fork.tail = None
        return fork

    def _placed(self, piece: Piece) -> Placed:
        shift = len(self.head) - piece.start
        turn = self.rotation.turn(shift) if shift else None
        plan = self.plan
        return Placed(piece, shift, turn, plan.temperature, plan.scale, parallel=True)

    def take(self) -> tuple[Placed, ...]:
        """The head and all parts; whoever takes them holds them from now on."""
        head: tuple[Placed, ...] = ()
        if self._root is not None:
            head = self._parted(self._root).placed
            self._root.placed = ()
        found = tuple(placed for placed in self.found if placed is not None)
        self.found = []
        return (*head, *found)

    def release(self) -> None:
        """Give everything back. Idempotent."""
        for placed in self.found:
            if placed is not None:
                placed.piece.release()
        self.found = []
        for sequence in (self._stage.sequence if self._stage else None, self._root):
            if sequence is not None:
                sequence.release()
        self._stage = self._root = None
