"""Learning without a model: a turn whose right answer is known becomes an entry, cue and meaning."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Tag
from ctxeng.playbook.entry import Entry, Provenance, mint
from ctxeng.playbook.learners.evidence import SOLVED, lineage
from ctxeng.protocols import Proposal
from ctxeng.turn import Edited, Labelled, Observed, Trust, Turn, least_trust


@dataclass(frozen=True)
class OnboxReflector:
    """Turns labelled turns, right or wrong, into entries: `when` is the cue, `text` what it means.

    A turn that was only observed teaches its own answer where it scored full marks; an unlabelled one
    teaches nothing. Entries that the answer cited are voted helpful where they say the right thing, and
    harmful where they say the wrong one that was answered.
    """

    cue: Callable[[str], str] = str.strip
    section: str = "cases"
    origin: Trust = "user"
    name: str = field(default="onbox", init=False)

    def propose(self, turns: Sequence[Turn], playbook: Playbook) -> Proposal:
        """One Add per new case, one Tag per entry that was cited."""
        deltas: list[Delta] = []
        known = {(entry.when, entry.text) for entry in playbook.entries}
        minted: set[str] = set()
        for turn in turns:
            meaning = right_answer(turn)
            if meaning is None:
                continue
            deltas += self._votes(turn, meaning, playbook)
            case = (printable(self.cue(turn.request.query.text)), printable(meaning))
            if all(case) and case not in known:
                known.add(case)
                new = mint(
                    self.section, f"{turn.id}{case}", lambda each: playbook.taken(each) or each in minted
                )
                minted.add(new)
                deltas.append(self._add(new, case, turn))
        return Proposal(tuple(deltas))

    def _add(self, new: str, case: tuple[str, str], turn: Turn) -> Add:
        trust = least_trust(self.origin, lineage(turn))
        entry = Entry(
            id=new,
            kind="exemplar",
            section=self.section,
            when=case[0],
            text=case[1],
            status="candidate" if trust == "untrusted" else "active",
        )
        provenance = Provenance(turns=(turn.id,), strategy=self.name, model="onbox", trust=trust)
        return Add(entry=entry, provenance=provenance, evidence=(turn.id,), by=self.name)

    def _votes(self, turn: Turn, meaning: str, playbook: Playbook) -> list[Delta]:
        own = {entry.id: entry for entry in playbook.own} if turn.answer and turn.answer.cited else {}
        cited = [own[each] for each in dict.fromkeys(turn.answer.cited if turn.answer else ()) if each in own]
        said = turn.answer.text if turn.answer else ""
        names = {meaning: "helpful"} if said == meaning else {meaning: "helpful", said: "harmful"}
        return [
            Tag(id=entry.id, votes={names[entry.text]: 1}, evidence=(turn.id,), by=self.name)
            for entry in cited
            if entry.kind == "exemplar" and entry.text in names
        ]


def printable(text: str) -> str:
    """The text as an entry can hold it: lines end in a newline, other control characters are spaces."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else " " for c in lines).strip()


def right_answer(turn: Turn) -> str | None:
    """What the turn should have answered, as far as its feedback tells."""
    match turn.feedback:
        case Labelled(truth=truth):
            if isinstance(truth.target, list):
                return str(truth.target[0]) if truth.target else None
            return str(truth.target)
        case Edited(text=text):
            return text.strip() or None
        case Observed(score=score) if score >= SOLVED and turn.answer is not None:
            return turn.answer.text
    return None
