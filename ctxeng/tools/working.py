"""The working set: which tools are loaded, since when and what for, and the two operators that change it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from ctxeng.errors import BadInput, UnknownName
from ctxeng.turn import Value

Full = Literal["evict", "refuse"]
WINDOW = 3  # turns over which removals are counted (MemTool)


class Held(Value):
    """A loaded tool: the turns in which it was added and last needed, its calls, a score that decays."""

    name: str
    added: int = 0
    needed: int = 0
    uses: int = 0
    score: float = 0.0


class Working(Value):
    """The loaded tools of one session, in the order of the block; `called` are its calls so far, newest last.

    The order is that of arrival, so that an addition leaves the block's beginning as it was.
    """

    turn: int = 0
    held: tuple[Held, ...] = ()
    called: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()  # what the last turn's window showed, the app's own tools among it
    flow: tuple[tuple[int, int], ...] = ()  # tools added and removed in each of the last three turns

    @property
    def names(self) -> tuple[str, ...]:
        """The loaded tools."""
        return tuple(one.name for one in self.held)

    @property
    def by_need(self) -> list[str]:
        """The loaded tools, the most needed first: the reverse of the order in which they are evicted."""
        order = sorted(self.held, key=_need, reverse=True)
        return [one.name for one in order]

    def showing(self, names: Sequence[str]) -> Working:
        """The set with exactly these loaded, in this order; those that are new were added this turn."""
        known = {one.name: one for one in self.held}
        fresh = (Held(name=name, added=self.turn, needed=self.turn) for name in names)
        held = tuple(known.get(one.name, one) for one in fresh)
        return self if held == self.held else self.model_copy(update={"held": held})

    def needing(self, names: Collection[str]) -> Working:
        """The set in which these, as far as they are loaded, count as needed this turn."""
        held = tuple(
            one.model_copy(update={"needed": self.turn}) if one.name in names else one for one in self.held
        )
        return self if held == self.held else self.model_copy(update={"held": held})

    def used(self, names: Sequence[str]) -> Working:
        """The same after these calls; those of tools that are not loaded count as called, too."""
        counts = {name: names.count(name) for name in names}
        held = tuple(
            one.model_copy(update={"uses": one.uses + counts[one.name], "needed": self.turn})
            if one.name in counts
            else one
            for one in self.held
        )
        called = (*(name for name in self.called if name not in counts), *counts)
        return self.model_copy(update={"held": held, "called": called})

    def next_turn(self) -> Working:
        """The set at the start of the next turn."""
        return self.model_copy(update={"turn": self.turn + 1})

    def flowed(self, before: Sequence[str]) -> Working:
        """The same with this turn's additions and removals counted, `before` being what it began with."""
        added, removed = len(set(self.names) - set(before)), len(set(before) - set(self.names))
        return self.model_copy(update={"flow": (*self.flow, (added, removed))[-WINDOW:]})

    @property
    def removal_ratio(self) -> float:
        """Tools removed over tools added in the last three turns (MemTool's measure); 1.0 where none came."""
        added = sum(one for one, _ in self.flow)
        return sum(gone for _, gone in self.flow) / added if added else 1.0


def _need(one: Held) -> tuple[int, float, int]:
    return one.needed, one.score, one.added


class Change(Value):
    """What an operator did: the set afterwards, and the names that came and went."""

    working: Working
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def add(
    working: Working, names: Sequence[str], cap: int, *, full: Full = "evict", busy: Collection[str] = ()
) -> Change:
    """Load these, at most `cap` in all; those that are loaded already count as needed now.

    At the cap, `evict` lets go of what was needed longest ago (then of what has the lowest score, then of
    what came first), never of what is `busy` in an open call or was named here; `refuse` loads nothing
    more. What found no room is in `refused`: nothing is dropped without a word.
    """
    if cap < 1:
        raise BadInput(f"a cap of {cap} tools leaves room for none; it must be at least 1")
    wanted = list(dict.fromkeys(names))
    held = [
        one.model_copy(update={"needed": working.turn}) if one.name in wanted else one for one in working.held
    ]
    new = [name for name in wanted if name not in working.names]
    removed: list[str] = []
    if full == "evict":
        safe = {*wanted, *busy}
        leaving = sorted((one for one in held if one.name not in safe), key=_need)
        removed = [one.name for one in leaving[: max(0, len(held) + len(new) - cap)]]
    room = max(0, cap - len(held) + len(removed))
    added, refused = new[:room], new[room:]
    held = [one for one in held if one.name not in removed]
    held += [Held(name=name, added=working.turn, needed=working.turn) for name in added]
    return Change(
        working=working.model_copy(update={"held": tuple(held)}),
        added=tuple(added),
        removed=tuple(removed),
        refused=tuple(refused),
    )


def remove(working: Working, names: Sequence[str], busy: Collection[str] = ()) -> Change:
    """Let these go. Raises UnknownName for one that is not loaded, BadInput for one in an open call."""
    for name in names:
        if name not in working.names:
            raise UnknownName("loaded tool", name, working.names)
        if name in busy:
            raise BadInput(f"{name} is in use by a call that is still open; remove it after its result")
    held = tuple(one for one in working.held if one.name not in names)
    return Change(working=working.model_copy(update={"held": held}), removed=tuple(dict.fromkeys(names)))


def by_server(names: Sequence[str], servers: Mapping[str, Sequence[str]]) -> list[str]:
    """Names with whole servers spelled out: `github/*` stands for every tool of `github`."""
    found: list[str] = []
    for name in names:
        server = name.removesuffix("/*")
        if name.endswith("/*") and server not in servers:
            raise UnknownName("server", server, list(servers))
        found += servers[server] if name.endswith("/*") else [name]
    return list(dict.fromkeys(found))
