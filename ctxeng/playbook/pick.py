"""Which entries of a playbook a request sees: all of them while they fit, else those found for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.protocols import Allowance
from ctxeng.turn import Note, Request, Section, Trust

_EARLIER = 0.5  # what the question before counts against the present one


class Search(Protocol):
    """Finds texts: the k best (index, score) for a query, best first; scores above 0."""

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
    stickiness: float = 0.25
    candidates: bool = True
    _found: dict[str, tuple[tuple[str, str], Search]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _visible_of: dict[str, tuple[Playbook, tuple[Entry, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _known: dict[str, _Known] = field(default_factory=dict, init=False, repr=False, compare=False)

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections of the entries picked, in a stable order."""
        playbook = self.playbook()
        entries = self._entries(playbook, request.agent)
        sections = [self._priced(entry, playbook, allowance) for entry in entries]
        if sum(section.tokens for section in sections) <= allowance.tokens:
            return sections
        return self._best(playbook, sections, request, allowance)

    def select(self, playbook: Playbook, query: str, limit: int) -> list[Entry]:
        """The `limit` best entries for a query, best first: the verb for those who want only this piece."""
        entries = self._entries(playbook, "")
        return [entries[index] for index, _ in self._search(playbook, "").search(query, limit)]

    def _best(
        self, playbook: Playbook, sections: Sequence[Section], request: Request, allowance: Allowance
    ) -> list[Section]:
        scores = self._scores(playbook, request, len(sections))
        shown = {ref: place for place, ref in enumerate(request.shown.get(self.name, ()))}

        def rank(index: int) -> tuple[float, int]:
            kept = self.stickiness if sections[index].ref in shown else 0.0
            return -(scores.get(index, 0.0) + kept), index

        kept = allowance.fill([sections[index] for index in sorted(range(len(sections)), key=rank)])
        own = {section.ref: place for place, section in enumerate(sections)}
        # what was shown keeps its place, what is new comes behind it in the playbook's own order
        return sorted(kept, key=lambda section: (shown.get(section.ref, len(shown)), own[section.ref]))

    def _scores(self, playbook: Playbook, request: Request, count: int) -> dict[int, float]:
        """What each entry is worth for the question, and for the one before it, which counts half.

        A follow-up ("and who decides that?") has no subject of its own.
        """
        search = self._search(playbook, request.agent)
        earlier = [message.text for message in request.history if message.role == "user"][-1:]
        scores: dict[int, float] = {}
        for text, weight in ((request.query.text, 1.0), *((text, _EARLIER) for text in earlier)):
            found = search.search(text, count)
            top = found[0][1] if found else 1.0
            for index, score in found:
                scores[index] = scores.get(index, 0.0) + weight * score / top
        return scores

    def _entries(self, playbook: Playbook, agent: str) -> tuple[Entry, ...]:
        """The entries this agent may see; found once a version, for walking 10,000 takes milliseconds."""
        last = self._visible_of.get(agent)
        if last is None or last[0] is not playbook:
            last = (playbook, tuple(entry for entry in playbook.entries if self._visible(entry, agent)))
            self._visible_of[agent] = last
        return last[1]

    def _search(self, playbook: Playbook, agent: str) -> Search:
        key, entries = (playbook.version, agent), self._entries(playbook, agent)
        last = self._found.get(agent)
        if last is None or last[0] != key:
            last = (key, self.index([f"{entry.when}\n{entry.text}" for entry in entries]))
            self._found[agent] = last
        return last[1]

    def _visible(self, entry: Entry, agent: str) -> bool:
        if entry.status == "retired" or (entry.status == "candidate" and not self.candidates):
            return False
        return not entry.audience or not agent or agent in entry.audience

    def _priced(self, entry: Entry, playbook: Playbook, allowance: Allowance) -> Section:
        """The entry's section; an untouched entry is the same object in the next version, and made once."""
        trust = trust_of(entry, playbook)
        known = self._known.get(entry.id)
        if known and known.entry is entry and known.trust == trust and known.price == allowance.price:
            return known.section
        body = Note(text=entry.text, when=entry.when)
        section = Section(kind="playbook", source=self.name, body=body, ref=entry.id, trust=trust)
        self._known[entry.id] = _Known(entry, trust, allowance.price, allowance.priced(section))
        return self._known[entry.id].section


def trust_of(entry: Entry, playbook: Playbook) -> Trust:
    """How far an entry is trusted: a candidate is not, whatever it was learned from."""
    if entry.status == "candidate":
        return "untrusted"
    if entry.status == "frozen":
        return "trusted"  # people froze it: they have read it
    return playbook.provenance(entry.id).trust
