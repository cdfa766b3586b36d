"""Which tools to load for a request without asking a model: two policies that change the block seldom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ctxeng.errors import BadInput
from ctxeng.tools.rank import Ranked
from ctxeng.tools.working import Held, Working


class Policy(Protocol):
    """A rule by which the working set follows requests. A frozen dataclass."""

    def pruned(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set without what is no longer needed."""
        ...

    def filled(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set with what the request needs, at most `cap` tools; the same set where nothing is missing."""
        ...


@dataclass(frozen=True)
class SlidingWindow:
    """Tools stay for `window` turns after they were last needed, or until the cap pushes them out.

    Needed are those whose score is at least `calm` of the best one's, and those that were called. While all
    of them are loaded, nothing changes and the block stays as it is, byte for byte; once one is missing, the
    set is filled up from the ranking: a change costs the cache once, however large it is. `extra` limits
    how many it adds beyond those that are missing; None: up to the cap.
    """

    window: int = 3
    calm: float = 0.7
    extra: int | None = None

    def __post_init__(self) -> None:
        if self.window < 1:
            raise BadInput(f"a window of {self.window} turns keeps nothing; it must be at least 1")
        if not 0 <= self.calm <= 1:
            raise BadInput(f"calm is {self.calm}; it is a share of the best score, between 0 and 1")
        if self.extra is not None and self.extra < 0:
            raise BadInput(f"extra is {self.extra}; it must be at least 0, or None for as many as fit")

    def pruned(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set without what nobody needed for `window` turns; unchanged while nothing is missing."""
        needed = _needed(ranked, self.calm, cap)
        working = working.needing(needed)
        if _calm(working, needed, cap):
            return working
        held = tuple(one for one in working.held if working.turn - one.needed < self.window)
        return working.model_copy(update={"held": held})

    def filled(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set with what is missing, and the next best while it is being changed anyway."""
        needed = _needed(ranked, self.calm, cap)
        if not _calm(working, needed, cap):
            missing = [name for name in needed if name not in working.names]
            most = len(missing) + (cap if self.extra is None else self.extra)
            new = [name for name, _ in ranked.best(cap) if name not in working.names][:most]
            working = _best(working, [*missing, *(name for name in new if name not in missing)], ranked, cap)
        return working.needing(needed)


@dataclass(frozen=True)
class Decay:
    """Each tool's score fades by `rate` a turn and gains what the request says of it and each of its calls.

    When something that is needed (as in SlidingWindow) is missing, the `cap` tools of the highest faded
    score are loaded, those that are needed before all others. Tools below `least` go.
    """

    rate: float = 0.5
    calm: float = 0.7
    least: float = 0.05
    call: float = 0.5

    def __post_init__(self) -> None:
        for name in ("rate", "calm", "least"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is {getattr(self, name)}; it must be between 0 and 1")
        if self.call < 0:
            raise BadInput(f"call is {self.call}; it must be at least 0")

    def pruned(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set without what has faded; as it is while all that is needed is there."""
        needed = _needed(ranked, self.calm, cap)
        faded = self._faded(working, ranked).needing(needed)
        if _calm(faded, needed, cap):
            return faded
        held = tuple(one for one in faded.held if one.score >= self.least or one.name in needed)
        return faded.model_copy(update={"held": held})

    def filled(self, working: Working, ranked: Ranked, cap: int) -> Working:
        """The set with what is missing, and the next best while it is being changed anyway."""
        needed = _needed(ranked, self.calm, cap)
        if _calm(working, needed, cap):
            return working.needing(needed)
        faded = {one.name: one.score for one in working.held}
        scores = dict(ranked.best(2 * cap))
        top = max(scores.values(), default=1.0)
        rated = {name: max(faded.get(name, 0.0), scores.get(name, 0.0) / top) for name in {**faded, **scores}}
        order = sorted(rated, key=lambda name: (name not in needed, -rated[name]))[:cap]
        return _ordered(working, order).needing(needed)

    def _faded(self, working: Working, ranked: Ranked) -> Working:
        top = max((score for _, score in ranked.best(1)), default=1.0)
        said = dict(zip(ranked.tools, ranked.scores.tolist(), strict=True))
        held = tuple(
            one.model_copy(
                update={
                    "score": self.rate * one.score
                    + max(said.get(one.name, 0.0), 0.0) / top
                    + self.call * (one.uses > 0 and one.needed == working.turn - 1)
                }
            )
            for one in working.held
        )
        return working.model_copy(update={"held": held})


def _needed(ranked: Ranked, calm: float, cap: int) -> list[str]:
    best = ranked.best(cap)
    return [name for name, score in best if score >= calm * best[0][1]]


def _calm(working: Working, needed: list[str], cap: int) -> bool:
    """Whether the set can stay as it is."""
    return len(working.held) <= cap and all(name in working.names for name in needed)


def _best(working: Working, new: list[str], ranked: Ranked, cap: int) -> Working:
    """The `cap` best of what is loaded and what is new, by this turn's scores."""
    place = {name: index for index, (name, _) in enumerate(ranked.best(len(ranked.tools)))}
    both = sorted((*working.names, *new), key=lambda name: place.get(name, len(place)))
    return _ordered(working, both[:cap])


def _ordered(working: Working, kept: list[str]) -> Working:
    """These tools, those that are loaded already first and in their order."""
    held = [one for one in working.held if one.name in kept]
    there = {one.name for one in held}
    held += [Held(name=name, added=working.turn, needed=working.turn) for name in kept if name not in there]
    return working.model_copy(update={"held": tuple(held)})
