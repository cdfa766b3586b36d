"""Which entries of a playbook a request sees: all of them while they fit, else those found for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.protocols import Allowance
from ctxeng.turn import Note, Request, Section, Trust


class Search(Protocol):
    """Finds texts: the k best (index, score) for a query, best first, scores from 0 to 1."""

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """At most k (index, score), best first."""
        ...


@dataclass(frozen=True)
class _Known:
    """A section made before, and what it was made from."""

    entry: Entry
    trust: Trust
    price: Callable[[Section], int]
    section: Section


@dataclass(frozen=True)
class EntryPicker:
    """A playbook as a source.

    The whole playbook while it fits its allowance, in its own order, so that a learning step only appends
    to the prompt. Beyond that, what `index` finds for the query; an entry shown last turn stays unless
    others beat it by more than `stickiness` (hysteresis: the prompt's prefix changes only when it pays).
    """

    playbook: Callable[[], Playbook]
    index: Callable[[Sequence[str]], Search]
    name: str = "playbook"
    stickiness: float = 0.15
    candidates: bool = True
    _found: dict[str, Search] = field(default_factory=dict, init=False, repr=False, compare=False)
    _known: dict[str, _Known] = field(default_factory=dict, init=False, repr=False, compare=False)

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections of the entries picked, in a stable order."""
        playbook = self.playbook()
        entries = [entry for entry in playbook.entries if self._visible(entry, request.agent)]
        sections = [self._priced(entry, playbook, allowance) for entry in entries]
        if sum(section.tokens for section in sections) <= allowance.tokens:
            return sections
        return self._best(playbook, entries, sections, request, allowance)

    def select(self, playbook: Playbook, query: str, limit: int) -> list[Entry]:
        """The `limit` best entries for a query, best first: the verb for those who want only this piece."""
        entries = [entry for entry in playbook.entries if self._visible(entry, "")]
        found = self._search(playbook.version, entries).search(query, limit)
        return [entries[index] for index, _ in found]

    def _best(
        self,
        playbook: Playbook,
        entries: Sequence[Entry],
        sections: Sequence[Section],
        request: Request,
        allowance: Allowance,
    ) -> list[Section]:
        version = f"{playbook.version}:{request.agent}"
        found = dict(self._search(version, entries).search(request.query.text, len(entries)))
        shown = {ref: place for place, ref in enumerate(request.shown.get(self.name, ()))}

        def rank(index: int) -> tuple[float, int]:
            kept = self.stickiness if sections[index].ref in shown else 0.0
            return -(found.get(index, 0.0) + kept), index

        kept = allowance.fill([sections[index] for index in sorted(range(len(sections)), key=rank)])
        # what was shown keeps its place, what is new comes behind it
        return sorted(kept, key=lambda section: shown.get(section.ref, len(shown)))

    def _search(self, version: str, entries: Sequence[Entry]) -> Search:
        if version not in self._found:
            self._found.clear()
            self._found[version] = self.index([f"{entry.when}\n{entry.text}" for entry in entries])
        return self._found[version]

    def _visible(self, entry: Entry, agent: str) -> bool:
        if entry.status == "retired" or (entry.status == "candidate" and not self.candidates):
            return False
        return not entry.audience or not agent or agent in entry.audience

    def _priced(self, entry: Entry, playbook: Playbook, allowance: Allowance) -> Section:
        """The entry's section; an untouched entry is the same object in the next version, and made once."""
        trust = _trust(entry, playbook)
        known = self._known.get(entry.id)
        if known and known.entry is entry and known.trust == trust and known.price == allowance.price:
            return known.section
        body = Note(text=entry.text, when=entry.when)
        section = Section(kind="playbook", source=self.name, body=body, ref=entry.id, trust=trust)
        self._known[entry.id] = _Known(entry, trust, allowance.price, allowance.priced(section))
        return self._known[entry.id].section


def _trust(entry: Entry, playbook: Playbook) -> Trust:
    if entry.status == "candidate":
        return "untrusted"
    if entry.status == "frozen":
        return "trusted"  # people froze it: they have read it
    return playbook.provenance(entry.id).trust
