"""CIPHER: what a user likes, inferred from edits of drafts and filed under the context it was seen in.

Gao et al., "Aligning LLM Agents by Learning Latent Preference from User Edits" (2024). Past the paper: no
model is needed, a context that is seen again updates its entry, where the paper stores one more, and the
newest edit wins. What was learned is an entry like any other: people read, change and remove it by its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Delta, Tag
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.evidence import line, lineage, may_rewrite
from ctxeng.playbook.learners.preference_ask import PreferenceAsk
from ctxeng.playbook.learners.preference_clauses import Preference, heard
from ctxeng.playbook.learners.preference_file import Filing
from ctxeng.playbook.learners.preference_near import Extract, closest, extract, nearest, preferences
from ctxeng.playbook.learners.preference_traits import wishes
from ctxeng.playbook.learners.preference_words import Swap, swaps
from ctxeng.playbook.refine import Embed
from ctxeng.protocols import Models, Proposal
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Edited, Trust, Turn, least_trust

_OFTEN = 2


@dataclass(frozen=True)
class PreferenceLearner:
    """Learns from edited turns; all others teach it nothing.

    With `models` the role `reflect` infers and folds preferences, without them rules over draft and edit do.
    A request whose `about` has a cosine of at least `same` with an entry's context updates that entry; the
    same preference in another context extends the entry, up to `spread` contexts. An untouched draft votes
    for the preferences that it was written by. Edits that only add or correct facts teach nothing: they are
    about one request, and a preference learned from them would put its facts into the next one.
    `origin` is the trust of the edits themselves; what was in the window can only lower it.
    """

    models: Models | None = None
    embed: Embed = field(default_factory=lambda: HashingEmbedder().embed)
    k: int = 5
    same: float = 0.6
    spread: int = 8
    about: Extract = extract
    section: str = "preferences"
    prompts: Prompts = Prompts()
    reply: int = 1024
    origin: Trust = "user"
    name: str = field(default="preference", init=False)

    def propose(self, turns: Sequence[Turn], playbook: Playbook) -> Proposal:
        """What the edits teach, one after another: a later one builds on what the earlier ones left.

        A reply that is malformed even after its repair round is a failure in the proposal, not an exception.
        """
        ask = PreferenceAsk(self.models, self.prompts, self.reply) if self.models else None
        recurring = _recurring(turns)
        deltas: list[Delta] = []
        for turn in turns:
            lesson = self._lesson(turn, playbook, recurring, ask)
            playbook = playbook.apply(lesson).playbook if lesson else playbook
            deltas += lesson
        return Proposal(tuple(deltas), ask.usage if ask else {}, tuple(ask.failures) if ask else ())

    def _lesson(
        self, turn: Turn, playbook: Playbook, recurring: Sequence[Swap], ask: PreferenceAsk | None
    ) -> list[Delta]:
        if not isinstance(turn.feedback, Edited) or turn.answer is None:
            return []
        context = self.about(turn.request.query.text)
        if turn.feedback.score == 1:
            return self._confirmed(turn, context, playbook)
        said = self._said(turn, context, playbook, recurring, ask)
        if not said.text:
            return []
        trust = least_trust(self.origin, lineage(turn))
        own = {entry.id for entry in playbook.own}
        free = [
            entry
            for entry in preferences(playbook)
            if entry.id in own and entry.status != "frozen" and may_rewrite(trust, (entry.id,), playbook)
        ]
        near = nearest(free, context, self.k, self.embed)
        filing = Filing(playbook, turn.id, context, trust, self.section, self.name, self.spread)
        others = [entry for entry, _ in near]
        if not near or near[0][1] < self.same:
            return filing.anew(said.text, others)
        home = others[0]
        text = self._folded(home, said, context, ask)
        if text == home.text:  # said again
            return [self._vote(home, turn)]
        return filing.rewritten(home, text, others[1:], self.embed, self.same)

    def _said(
        self,
        turn: Turn,
        context: str,
        playbook: Playbook,
        recurring: Sequence[Swap],
        ask: PreferenceAsk | None,
    ) -> Preference:
        draft, edit = (turn.answer.text if turn.answer else ""), _edit(turn)
        if ask is None:
            return Preference(wishes(draft, edit, recurring))
        known = [line(entry) for entry, _ in closest(playbook, context, self.k, self.embed)]
        request = turn.request.query.text
        return heard(ask.infer(request, draft, edit, "\n".join(known) or "(none)"))

    def _folded(self, home: Entry, said: Preference, context: str, ask: PreferenceAsk | None) -> str:
        if ask is None or said.text == home.text:
            return heard(home.text).then(said).text
        return ask.fold(context, home.text, said.text)

    def _confirmed(self, turn: Turn, context: str, playbook: Playbook) -> list[Delta]:
        """A vote for each preference of this context that was in the window of an untouched draft."""
        shown = {ref for refs in turn.shown.values() for ref in refs}
        shown |= {section.ref for section in turn.context.sections}
        own = {entry.id for entry in playbook.own} & shown
        near = closest(playbook, context, self.k, self.embed)
        return [self._vote(entry, turn) for entry, cosine in near if entry.id in own and cosine >= self.same]

    def _vote(self, entry: Entry, turn: Turn) -> Tag:
        return Tag(id=entry.id, votes={"helpful": 1}, evidence=(turn.id,), by=self.name)


def _edit(turn: Turn) -> str:
    return turn.feedback.text if isinstance(turn.feedback, Edited) else ""


def _recurring(turns: Sequence[Turn]) -> list[Swap]:
    """Exchanges of words that two of the edits make."""
    made = [set(swaps(turn.answer.text, _edit(turn))) for turn in turns if turn.answer and _edit(turn)]
    counts = Counter(swap for each in made for swap in each)
    return [swap for swap, count in counts.items() if count >= _OFTEN]
