"""Judged turns become deltas, deltas the next playbook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ctxeng.errors import DeltaRefused
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Merge, Remove, Tag, Update, targets
from ctxeng.playbook.refine import EntryBudget, Refiner
from ctxeng.playbook.store import PlaybookStore
from ctxeng.protocols import Judge, Learner, Proposal
from ctxeng.tokens import Estimate
from ctxeng.turn import Truth, Turn

When = Literal["proactive", "lazy", "never"]


@dataclass(frozen=True)
class Learned:
    """What one learning step did: the deltas that landed, those that did not, and what failed."""

    applied: tuple[Delta, ...] = ()
    refused: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class Learning:
    """The backward pass: judge, propose, apply, refine, keep the budget. All writes go to the store."""

    store: PlaybookStore
    judge: Judge
    learner: Learner
    refiner: Refiner = Refiner()
    refine: When = "lazy"
    budget: EntryBudget = EntryBudget()
    count: Callable[[str], int] = Estimate().count
    approve: Literal["auto", "human", "candidate"] = "auto"

    def judged(self, turn: Turn, truth: Truth | None) -> Turn:
        """The turn with its feedback."""
        return turn.model_copy(update={"feedback": self.judge.judge(turn, truth)})

    def propose(self, turns: Sequence[Turn]) -> Proposal:
        """What the learner wants changed; new entries wait as candidates where the settings say so."""
        playbook = self.store.playbook
        proposal = self.learner.propose(turns, playbook)
        # the version it was proposed against: another writer's newer one decides what still holds
        deltas = [delta.model_copy(update={"base": playbook.version}) for delta in proposal.deltas]
        if self.approve != "candidate":
            return replace(proposal, deltas=tuple(deltas))
        # nothing that a person has read is changed before a person has read the change
        waiting = [delta for delta in deltas if isinstance(delta, Update | Merge | Remove)]
        failures = [f"{delta.op} of {', '.join(targets(delta))} waits for a person" for delta in waiting]
        kept = tuple(_as_candidate(delta) for delta in deltas if isinstance(delta, Add | Tag))
        return replace(proposal, deltas=kept, failures=(*proposal.failures, *failures))

    def apply(self, deltas: Sequence[Delta], *, by: str, why: str, key: str) -> Learned:
        """The deltas applied, each step under a key of its own, so that doing it again changes nothing.

        A delta that no longer applies (its entry is gone) is refused alone and reported; the rest land.
        """
        done = self.store.has(key)  # by the same feedback, or before a kill
        good, refused = ([], []) if done else admissible(self.store.playbook, deltas)
        applied = self.store.applied(key) if done else list(good)
        if good:
            self.store.apply(good, by=by, why=why, key=key)
        for name, upkeep in (("refine", self._refinement), ("budget", self._evictions)):
            more = upkeep(self.store.playbook)
            if more:
                self.store.apply(more, by=name, why=name, key=f"{key}:{name}")
                applied += more
        return Learned(tuple(applied), tuple(refused), (), self.store.playbook.version)

    def _refinement(self, playbook: Playbook) -> list[Delta]:
        over = self.budget.evictions(playbook, self.count)
        due = self.refine == "proactive" or (self.refine == "lazy" and over)
        return self.refiner.propose(playbook) if due else []

    def _evictions(self, playbook: Playbook) -> list[Delta]:
        return self.budget.evictions(playbook, self.count)


def admissible(playbook: Playbook, deltas: Sequence[Delta]) -> tuple[list[Delta], list[str]]:
    """The deltas that apply one after another, and why the others do not."""
    if not deltas:
        return [], []
    try:
        playbook.apply(deltas)
    except DeltaRefused as error:
        good, refused = [], []
        for delta, result in zip(deltas, error.results, strict=True):
            if result == "ok":
                good.append(delta)
            else:
                refused.append(f"{delta.op}: {result}")
        again, more = admissible(playbook, good)
        return again, refused + more
    return list(deltas), []


def _as_candidate(delta: Delta) -> Delta:
    if not isinstance(delta, Add) or delta.entry.status != "active":
        return delta
    return delta.model_copy(update={"entry": delta.entry.model_copy(update={"status": "candidate"})})
