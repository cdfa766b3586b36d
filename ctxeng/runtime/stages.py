"""What is read before a generation, lot by lot: plain runs, and parts that are stored by themselves."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ctxeng.kv.bypiece import ByPiece, Own
from ctxeng.kv.piece import Piece, Placed
from ctxeng.kv.pieces import Name, Pieces, digest
from ctxeng.kv.policy import Keeps, Policy, Watch
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.plan import KindPlan
from ctxeng.runtime.prompt import Lot
from ctxeng.runtime.rope import Rotation

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine
    from ctxeng.runtime.plan import CachePlan

_WATCH = "watch"  # the note of a piece where the policy that chooses from it is at home


@dataclass
class Stage:
    """A lot that is being read: its cache, all tokens that belong in it, the policy that looks on."""

    lot: int
    sequence: Sequence
    ids: list[int]
    watcher: Own | None = None


class Reading:
    """Reads lots one after the other; `take` gives what the generation then stands on.

    A lot sees those before it, but for parallel ones beside it. Whatever is held is given back by `release`,
    also in the middle.
    """

    def __init__(
        self, engine: Engine, lots: Many[Lot], plan: CachePlan, key: str, rotation: Rotation
    ) -> None:
        self.engine, self.lots, self.plan, self.key, self.rotation = engine, lots, plan, key, rotation
        self.names = names(lots, key, plan)
        self.found: list[tuple[Pieces, bool] | None] = [None] * len(lots)
        self.placed: list[tuple[int, Placed]] = []  # by lot
        self.cached = 0
        self.changed = sum(len(lot.ids) for lot in lots)  # number of the first token not found
        self.moved = 0  # tokens of pieces that were read behind something else
        self.loose: set[int] = set()  # lots that are such, or saw one
        self.notes: list[str] = []
        self.stage: Stage | None = None  # what is to be read now; None: everything was

    def begin(self) -> None:
        """Take what the stores have, and start on the first lot that is left. Raises CacheFull."""
        at = self.changed
        for number, lot in reversed(list(enumerate(self.lots))):
            at -= len(lot.ids)
            if number == 0 and not lot.kind:
                break  # the prefix store's
            hit = self._stored(number)
            self.found[number] = hit
            if hit is None:
                self.changed = at
            else:
                self.cached += len(lot.ids)
                self.moved += 0 if hit[1] else len(lot.ids)
        self._next()

    def advance(self) -> None:
        """The stage is in the cache whole: seal it, and go on to the next. Raises CacheFull."""
        stage, engine = self.stage, self.engine
        assert stage is not None
        lot = self.lots[stage.lot]
        if stage.lot == 0 and not lot.kind:
            if self.plan.reuse:
                engine.publish(self.key, stage.sequence, lot.ids)
            piece = engine.freeze(stage.sequence) if stage.sequence.tail else None
            self.placed += [(0, p) for p in stage.sequence.placed]
            stage.sequence.placed = ()
            self.placed += [(0, Placed(piece))] if piece is not None else []
        else:
            pieces = self._kept(stage)
            exact = not any(other < self._first(stage.lot) for other in self.loose)
            if self.plan.reuse and exact:  # what saw an approximation is no truth for others
                engine.pieces.put(self.names[stage.lot], pieces)
            self.found[stage.lot] = pieces, exact
        self.stage = None
        stage.sequence.release()
        self._next()

    def take(self) -> tuple[tuple[Placed, ...], ByPiece | None]:
        """All that was read, and what chooses from it; whoever takes it holds it from now on."""
        watches: dict[int, Watch] = {}
        for number, (lot, placed) in enumerate(self.placed):
            policy = self._kind(lot).policy
            if policy is not None and not policy.destroys:
                watches[number] = self._watch(lot, policy, placed.piece)
        found = tuple(placed for _, placed in self.placed)
        self.placed = []
        return found, ByPiece(watches) if watches else None

    def _watch(self, lot: int, policy: Policy, piece: Piece) -> Watch:
        """The policy as it settled when the piece was read; from disk, what it can do without that."""
        known = piece.notes.get(_WATCH)
        if known is None:
            known = policy.watch(self.engine.pools.shape)
            if isinstance(known, Keeps) and not self._recalled(known, self.names[lot].exact):
                self.notes.append(
                    f"{self.lots[lot].kind}: {type(policy).__name__} has nothing kept of it; it is read whole"
                )
            piece.notes[_WATCH] = known
        return cast("Watch", known)

    def _recalled(self, watch: Keeps, name: str) -> bool:
        folder = self.engine.pieces.folder
        return folder is not None and watch.recall(folder / f"{name}.index", name)

    def _kept(self, stage: Stage) -> Pieces:
        """What the stage's own part becomes: one piece, or what its kind's policy makes of it."""
        engine = self.engine
        piece = engine.freeze(stage.sequence)
        if stage.watcher is None:
            return (piece,)
        own = Sequence(engine.pools, stage.sequence.codec, (Placed(piece),))
        try:
            engine.thin(stage.watcher, own)
        except BaseException:
            own.release()
            raise
        watch, folder, name = stage.watcher.inner, engine.pieces.folder, self.names[stage.lot].exact
        own.placed[0].piece.notes[_WATCH] = watch
        if isinstance(watch, Keeps) and folder is not None and self.plan.reuse:
            watch.keep(folder / f"{name}.index", name)
        return tuple(placed.piece for placed in own.placed)

    def release(self) -> None:
        """Give everything back. Idempotent."""
        for pieces, _ in filter(None, self.found):
            for piece in pieces:
                piece.release()
        for _, placed in self.placed:
            placed.piece.release()
        if self.stage is not None:
            self.stage.sequence.release()
        self.found, self.placed, self.stage = [], [], None

    def _stored(self, number: int) -> tuple[Pieces, bool] | None:
        if not self.plan.reuse:
            return None
        name, engine = self.names[number], self.engine
        return engine.with_room(lambda: engine.pieces.find(name, moved=self.plan.moved))

    def _kind(self, number: int) -> KindPlan:
        return self.plan.kinds.get(self.lots[number].kind, KindPlan())

    def _next(self) -> None:
        """Put what is found at its place, up to the first lot that has to be read; begin on that one."""
        for number in range(self.placed[-1][0] + 1 if self.placed else 0, len(self.lots)):
            hit = self.found[number]
            if hit is None:
                self._begin(number)
                if self.stage is not None:
                    return
                continue
            self._place(number, hit[0])
            self.loose |= set() if hit[1] else {number}
            self.found[number] = None

    def _first(self, number: int) -> int:
        """The lot itself, or the first of the parallel ones it stands beside."""
        while self.lots[number].parallel and number and self.lots[number - 1].parallel:
            number -= 1
        return number

    def _base(self, number: int) -> list[Placed]:
        """What the lot sees."""
        first = self._first(number)
        return [placed for lot, placed in self.placed if lot < first]

    def _place(self, number: int, pieces: Pieces) -> None:
        start = max((placed.end for placed in self._base(number)), default=0)
        shift = start - pieces[0].start
        turn = self.rotation.turn(shift) if shift else None
        plan, ape = self.plan, (1.0, 1.0)
        if self.lots[number].parallel:
            ape = plan.temperature, plan.scale
        self.placed += [(number, Placed(piece, shift, turn, *ape, apart=True)) for piece in pieces]

    def _begin(self, number: int) -> None:
        engine, lot, kind = self.engine, self.lots[number], self._kind(number)
        if number == 0 and not lot.kind:
            self._begin_plain(lot)
            return
        base = self._base(number)
        sequence = Sequence(engine.pools, kind.codec or self.plan.codec, tuple(base))
        for placed in base:
            placed.piece.share()
        watcher = None
        if kind.policy is not None:
            watcher = Own(kind.policy.watch(engine.pools.shape), len(base))
        before = [token for other in self.lots[: self._first(number)] for token in other.ids]
        self.stage = Stage(number, sequence, [*before, *lot.ids], watcher)
        engine.room(sequence, len(lot.ids))

    def _begin_plain(self, lot: Lot) -> None:
        engine, plan = self.engine, self.plan
        sequence = Sequence(engine.pools, plan.codec)
        if plan.reuse:
            sequence.placed = engine.find(plan, self.key, lot.ids)
        self.cached += sequence.length
        if sequence.length < len(lot.ids):
            self.changed = sequence.length
        self.stage = Stage(0, sequence, lot.ids)
        if sequence.length == len(lot.ids):
            self.placed += [(0, p) for p in sequence.placed]
            self.stage = None
            return
        engine.room(sequence, len(lot.ids) - sequence.length)


def names(lots: Many[Lot], key: str, plan: CachePlan) -> list[Name]:
    """A name for each lot: what it sees, how that is kept, its own tokens; neighbours have no order."""
    found: list[Name] = []
    beside: list[str] = []
    trail = ""
    for lot in lots:
        if beside and not lot.parallel:
            trail = digest(f"{plan.temperature}|{plan.scale}", "".join((trail, *sorted(beside))), ())
            beside = []
        kind = plan.kinds.get(lot.kind, KindPlan())
        own = f"{key}|{kind.codec or plan.codec}|{kind.policy!r}"
        found.append(Name(digest(own, trail, lot.ids), digest(own, "", lot.ids)))
        if lot.parallel:
            beside.append(found[-1].exact)
        else:
            trail = found[-1].exact
    return found
