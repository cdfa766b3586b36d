"""Grow and refine: near-duplicate entries are merged by code, and the playbook is kept to its budget.

ACE, section 3.2, with its traps closed: groups are found by union-find, ids and votes are merged by code,
and pairs that a person keeps apart stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Delta, Merge, Remove, Tag
from ctxeng.playbook.entry import SUFFIX, Entry
from ctxeng.turn import TRUST_ORDER

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # (n,) texts -> (n, d), rows of length 1
_BLOCK = 1024  # rows compared at once: 1024 x 10k float32 are 40 MB
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATIONS = re.compile(r"\b(?:no|not|never|without|don't|doesn't|isn't|cannot|can't|avoid)\b", re.IGNORECASE)
_APART = "apart-"


@dataclass(frozen=True)
class Refiner:
    """Merges duplicates: the same text, the same text up to case and spaces, then cosine >= `threshold`.

    Similar texts whose numbers or negations differ say different things and are never merged.
    """

    embed: Embed | None = None
    threshold: float = 0.90
    name: str = "refine"

    def propose(self, playbook: Playbook) -> list[Delta]:
        """One Merge per group, into its most trusted, then most helpful, then oldest entry."""
        entries = [entry for entry in playbook.own if entry.status in {"active", "candidate"}]
        deltas: list[Delta] = []
        for group in self.groups(entries, playbook):
            best = max(group, key=lambda i: (*_standing(playbook, entries[i]), -i))
            ids = tuple(entries[i].id for i in group)
            deltas.append(Merge(ids=ids, into=entries[best].id, reason="near-duplicates", by=self.name))
        return deltas

    def groups(self, entries: Sequence[Entry], playbook: Playbook | None = None) -> list[list[int]]:
        """Indices of entries that say the same, two or more to a group, each in one group only."""
        parent = list(range(len(entries)))

        def root(index: int) -> int:
            while parent[index] != index:
                parent[index] = parent[parent[index]]
                index = parent[index]
            return index

        for first, second in self._pairs(entries):
            if playbook is None or not kept_apart(playbook, entries[first].id, entries[second].id):
                parent[max(root(first), root(second))] = min(root(first), root(second))
        members: dict[int, list[int]] = {}
        for index in range(len(entries)):
            members.setdefault(root(index), []).append(index)
        return [group for group in members.values() if len(group) > 1]

    def _pairs(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        pairs: list[tuple[int, int]] = []
        seen: dict[tuple[str, ...], int] = {}
        for index, entry in enumerate(entries):
            first = seen.setdefault((*_kind(entry), _fold(entry.when), _fold(entry.text)), index)
            if first != index:
                pairs.append((first, index))
        if self.embed is None or len(entries) < 2:  # noqa: PLR2004 - a pair
            return pairs
        vectors = self.embed([f"{entry.when}\n{entry.text}" for entry in entries])
        signs = [_sign(entry) for entry in entries]
        for start in range(0, len(entries), _BLOCK):
            near = vectors[start : start + _BLOCK] @ vectors.T >= self.threshold
            for row, column in zip(*np.nonzero(near), strict=True):
                first, second = start + int(row), int(column)
                if first < second and signs[first] == signs[second]:
                    pairs.append((first, second))
        return pairs


@dataclass(frozen=True)
class EntryBudget:
    """At most so many entries and tokens; enforced by code after every learning step.

    Evicted first: retired entries, then candidates, then active ones; within these the lowest of helpful
    minus harmful votes, and among equals what was learned before what a person wrote, the oldest first.
    Frozen entries stay.
    """

    entries: int | None = 400
    tokens: int | None = None

    def evictions(self, playbook: Playbook, count: Callable[[str], int]) -> list[Delta]:
        """The removals that bring the playbook within its budget."""
        own = playbook.own
        if self.tokens is None and (self.entries is None or len(own) <= self.entries):
            return []
        costs = {
            entry.id: count(f"{entry.when} {entry.text}") if self.tokens is not None else 0 for entry in own
        }
        held, spent = len(own), sum(costs.values())
        order = sorted(enumerate(own), key=lambda item: (*_worth(playbook, item[1]), item[0]))
        removals: list[Delta] = []
        for _, entry in order:
            within = (self.entries is None or held <= self.entries) and (
                self.tokens is None or spent <= self.tokens
            )
            if within:
                break
            if entry.status != "frozen":
                removals.append(Remove(id=entry.id, reason="over budget", by="budget"))
                held, spent = held - 1, spent - costs[entry.id]
        return removals


def keep_apart(first: str, second: str, by: str) -> list[Delta]:
    """Deltas that remember a decision: these two are never merged by code. Undo them to allow it again."""
    return [
        Tag(id=first, votes={_APART + second[-SUFFIX:]: 1}, reason="keep apart", by=by),
        Tag(id=second, votes={_APART + first[-SUFFIX:]: 1}, reason="keep apart", by=by),
    ]


def kept_apart(playbook: Playbook, first: str, second: str) -> bool:
    """Whether somebody decided that these two stay two entries."""
    return playbook.votes(first).get(_APART + second[-SUFFIX:], 0) > 0


def net_votes(playbook: Playbook, entry: Entry) -> int:
    """Helpful less harmful votes."""
    votes = playbook.votes(entry.id)
    return votes.get("helpful", 0) - votes.get("harmful", 0)


def _standing(playbook: Playbook, entry: Entry) -> tuple[bool, int, int]:
    """What a person accepted, and what is trusted more, is never swallowed by what is not."""
    trust = TRUST_ORDER.index(playbook.provenance(entry.id).trust)
    return entry.status == "active", trust, net_votes(playbook, entry)


def _worth(playbook: Playbook, entry: Entry) -> tuple[int, int, bool]:
    """What goes first where the budget is spent, from the least."""
    return _stage(entry), net_votes(playbook, entry), not playbook.provenance(entry.id).strategy


def _stage(entry: Entry) -> int:
    return ("retired", "candidate", "active", "frozen").index(entry.status)


def _kind(entry: Entry) -> tuple[str, ...]:
    return (entry.kind, *entry.audience)


def _fold(text: str) -> str:
    return re.sub(r"\W+", " ", text).casefold().strip() or text


def _sign(entry: Entry) -> tuple[object, ...]:
    """What must be equal in similar texts: numbers, negations, kind; of an exemplar also its meaning."""
    text = f"{entry.when} {entry.text}"
    meaning = _fold(entry.text) if entry.kind == "exemplar" else ""
    numbers = () if entry.kind == "exemplar" else tuple(sorted(_NUMBERS.findall(text)))
    return (*_kind(entry), meaning, numbers, len(_NEGATIONS.findall(text)) % 2)
