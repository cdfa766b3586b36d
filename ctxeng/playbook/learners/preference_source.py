"""The k closest preferences as a source: each says what the nearer ones leave open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.preference_near import Extract, closest, extract, shares
from ctxeng.playbook.pick import trust_of
from ctxeng.playbook.refine import Embed
from ctxeng.protocols import Allowance
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.turn import Note, Request, Section


@dataclass(frozen=True)
class PreferenceSource:
    """The preferences of the k contexts closest to a request, nearest first, within the allowance.

    A section is one entry without its context, so feedback can point at it; what a nearer entry says too,
    or contradicts, is left out of it. Entries whose cosine is below `within` times the best are too.
    """

    playbook: Callable[[], Playbook]
    k: int = 5
    within: float = 0.5
    about: Extract = extract
    embed: Embed = field(default_factory=lambda: HashingEmbedder().embed)
    candidates: bool = True
    name: str = "preferences"

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections of the preferences that this request and agent call for."""
        playbook = self.playbook()
        found = closest(playbook, self.about(request.query.text), self.k, self.embed)
        seen = [(entry, cosine) for entry, cosine in found if self._visible(entry, request.agent)]
        sections = [
            Section(
                kind="playbook",
                source=self.name,
                body=Note(text=text),
                ref=entry.id,
                trust=trust_of(entry, playbook),
            )
            for entry, text in shares(seen, self.within)
        ]
        return allowance.fill(sections)

    def _visible(self, entry: Entry, agent: str) -> bool:
        if entry.status == "candidate" and not self.candidates:
            return False
        return not entry.audience or not agent or agent in entry.audience
