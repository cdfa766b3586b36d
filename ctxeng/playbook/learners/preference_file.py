"""Filing a preference in the playbook: the deltas that add, update, split and merge its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Merge, Update
from ctxeng.playbook.entry import Entry, Provenance, mint
from ctxeng.playbook.learners.preference_near import KIND, contexts, cosines_to, filed
from ctxeng.playbook.refine import Embed
from ctxeng.turn import Trust, least_trust


@dataclass(frozen=True)
class Filing:
    """Files what one turn taught: one entry says one thing for all its contexts, so there are few."""

    playbook: Playbook
    turn: str
    context: str
    trust: Trust
    section: str
    by: str
    spread: int

    def anew(self, text: str, others: Sequence[Entry]) -> list[Delta]:
        """A preference of a new context: extends the one of `others` that says the same, or else an Add."""
        for twin in self._twins(text, others):
            extracts = [*contexts(twin), self.context]
            if contexts(twin) and len(extracts) <= self.spread:
                return [self._update(twin, when=filed(extracts))]
        return [self._add(text, self.context, None)]

    def rewritten(
        self, home: Entry, text: str, others: Sequence[Entry], embed: Embed, same: float
    ) -> list[Delta]:
        """The new text for the context's entry.

        Where the entry holds for other contexts too, they keep the old text and this one parts from them.
        Where another entry now says the same, both become one.
        """
        extracts = contexts(home)
        cosines = cosines_to(self.context, extracts, embed)
        mine = [each for each, cosine in zip(extracts, cosines, strict=True) if cosine >= same]
        rest = [each for each in extracts if each not in mine]
        if mine and rest:
            return [self._update(home, when=filed(rest)), self._add(text, filed(mine), home)]
        for twin in self._twins(text, others):
            both = [*contexts(twin), *extracts]
            if contexts(twin) and extracts and len(both) <= self.spread and self._alike(twin, home):
                return [self._merge(twin, home, text, filed(both))]
        return [self._update(home, text=text)]

    def _twins(self, text: str, others: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in others if entry.text == text]

    def _alike(self, first: Entry, second: Entry) -> bool:
        """Whether a merge lowers nobody's trust."""
        trusts = {self.playbook.provenance(entry.id).trust for entry in (first, second)}
        return len(trusts) == 1 and first.status == second.status

    def _add(self, text: str, when: str, parent: Entry | None) -> Add:
        trust = least_trust(self.trust, self.playbook.provenance(parent.id).trust) if parent else self.trust
        waits = trust == "untrusted" or (parent is not None and parent.status == "candidate")
        entry = Entry(
            id=mint(self.section, f"{self.turn}{when}{text}", self.playbook.taken),
            kind=KIND,
            section=self.section,
            text=text,
            when=when,
            status="candidate" if waits else "active",
        )
        parents = (parent.id,) if parent else ()
        origin = Provenance(turns=(self.turn,), parents=parents, strategy=self.by, trust=trust)
        return Add(entry=entry, provenance=origin, evidence=(self.turn,), by=self.by)

    def _update(self, entry: Entry, text: str | None = None, when: str | None = None) -> Update:
        return Update(id=entry.id, text=text, when=when, evidence=(self.turn,), by=self.by)

    def _merge(self, twin: Entry, home: Entry, text: str, when: str) -> Merge:
        own = [entry.id for entry in self.playbook.own]
        into, gone = sorted((twin.id, home.id), key=own.index)  # the older stays
        return Merge(ids=(into, gone), into=into, text=text, when=when, evidence=(self.turn,), by=self.by)
