"""ACE: reflect on what happened, curate what it teaches (Agentic Context Engineering, section 3).

Past the released code: UPDATE, MERGE and REMOVE work, votes are counted once a turn, ids and counters are
never copied by a model, the label-free case tells the reflector nothing of the label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Merge, Remove, Tag, Update
from ctxeng.playbook.entry import Entry, Provenance, mint
from ctxeng.playbook.learners.ace_forms import (
    AddNote,
    Curation,
    MergeNotes,
    Operation,
    Reflection,
    RemoveNote,
    UpdateNote,
)
from ctxeng.playbook.learners.evidence import cited_notes, failed, line, lineage, may_rewrite, outcome
from ctxeng.protocols import ModelRole, Models, Proposal
from ctxeng.text.prompts import Prompts
from ctxeng.text.replies import Unrepaired, ask_clipped
from ctxeng.turn import Trust, Turn, Usage, add_usage, least_trust

Retry = Callable[[Turn, str], Turn]  # the same task again, with advice; the result is judged
T = TypeVar("T")
REFLECTION: TypeAdapter[Reflection] = TypeAdapter(Reflection)
CURATION: TypeAdapter[Curation] = TypeAdapter(Curation)


@dataclass
class _Ledger:
    """What one proposal cost and what went wrong in it."""

    usage: dict[str, Usage] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AceLearner:
    """The ACE method: reflect on each turn, up to `rounds` times where it failed, then curate once.

    `origin` is the trust of the requests themselves; what was in the window can only lower it.
    """

    models: Models
    retry: Retry | None = None
    rounds: int = 3
    prompts: Prompts = Prompts()
    reply: int = 4096
    budget: str = "400 entries"
    origin: Trust = "user"
    name: str = field(default="ace", init=False)

    def propose(self, turns: Sequence[Turn], playbook: Playbook) -> Proposal:
        """Tags for the entries each turn cited, and what the curator makes of the reflections.

        A reply that is malformed even after its repair round is a failure in the proposal, not an exception.
        """
        ledger = _Ledger()
        reflections: list[Reflection] = []
        deltas: list[Delta] = []
        for turn in turns:
            reflection = self._reflect(turn, playbook, ledger)
            if reflection is not None:
                reflections.append(reflection)
                deltas += self._tags(turn, reflection, playbook)
        if any(reflection.says_something for reflection in reflections):
            curation = self._curate(reflections, playbook, ledger)
            deltas += self._deltas(curation, turns, playbook, ledger)
        return Proposal(tuple(deltas), ledger.usage, tuple(ledger.failures))

    def _reflect(self, turn: Turn, playbook: Playbook, ledger: _Ledger) -> Reflection | None:
        """The last reflection on a turn; each earlier one was tried out by answering again."""
        last, attempt = None, turn
        for number in range(1, max(1, self.rounds) + 1):
            text = self.prompts.fill(
                "reflect",
                task=attempt.request.query.text,
                attempt=attempt.answer.text if attempt.answer else f"(no answer: {attempt.error})",
                outcome=outcome(attempt),
                notes=cited_notes(attempt, playbook),
            )
            found = self._ask("reflect", text, REFLECTION, ledger)
            if found is None:
                break
            last = found
            if number >= self.rounds or self.retry is None or not failed(attempt):
                break
            attempt = self.retry(attempt, found.advice)
            ledger.usage = add_usage(ledger.usage, attempt.usage)
        return last

    def _curate(self, reflections: Sequence[Reflection], playbook: Playbook, ledger: _Ledger) -> Curation:
        text = self.prompts.fill(
            "curate",
            budget=self.budget,
            held=f"{len(playbook)} entries",
            playbook="\n".join(line(entry) for entry in playbook.entries) or "(empty)",
            reflections="\n\n".join(reflection.advice for reflection in reflections),
        )
        return self._ask("curate", text, CURATION, ledger) or Curation()

    def _deltas(
        self, curation: Curation, turns: Sequence[Turn], playbook: Playbook, ledger: _Ledger
    ) -> list[Delta]:
        trust = least_trust(self.origin, *(lineage(turn) for turn in turns))
        origin = Provenance(turns=tuple(turn.id for turn in turns), strategy=self.name, trust=trust)
        own = {entry.id for entry in playbook.own}
        minted: set[str] = set()
        deltas: list[Delta] = []
        for operation in curation.operations:
            wish: Operation = operation
            if unknown := [each for each in wish.about if each not in own]:
                ledger.failures.append(f"curate: {wish.op} of unknown entries {', '.join(unknown)}")
                continue
            if not may_rewrite(origin.trust, wish.about, playbook):
                if isinstance(wish, RemoveNote):
                    ledger.failures.append(
                        f"curate: remove of {wish.id} refused: it is trusted more than this turn"
                    )
                    continue
                # text of less trust never takes the place of text of more: it stands beside it
                wish = AddNote(op="add", text=wish.text or "", when=wish.when or "")
            try:
                deltas.append(self._delta(wish, origin, _taken(playbook, minted)))
            except (ValidationError, ValueError) as error:
                ledger.failures.append(f"curate: {wish.op} refused: {error}")
                continue
            minted |= {delta.entry.id for delta in deltas[-1:] if isinstance(delta, Add)}
        return deltas

    def _delta(
        self,
        wish: AddNote | UpdateNote | MergeNotes | RemoveNote,
        origin: Provenance,
        taken: Callable[[str], bool],
    ) -> Delta:
        match wish:
            case AddNote(section=section, text=text, when=when):
                new = mint(section, f"{origin.turns}{when}{text}", taken)
                status = "candidate" if origin.trust == "untrusted" else "active"
                entry = Entry(id=new, section=section, text=text, when=when, status=status)
                return Add(entry=entry, provenance=origin, evidence=origin.turns, by=self.name)
            case UpdateNote(id=each, text=text, when=when):
                return Update(id=each, text=text, when=when, evidence=origin.turns, by=self.name)
            case MergeNotes(ids=ids, text=text, when=when):
                return Merge(ids=ids, into=ids[0], text=text, when=when, evidence=origin.turns, by=self.name)
            case RemoveNote(id=each, reason=reason):
                return Remove(id=each, reason=reason, evidence=origin.turns, by=self.name)

    def _tags(self, turn: Turn, reflection: Reflection, playbook: Playbook) -> list[Delta]:
        """One vote a turn for each entry that it cited, whatever the number of rounds."""
        cited = set(turn.answer.cited if turn.answer else ()) & {entry.id for entry in playbook.own}
        votes = {vote.id: vote.tag for vote in reflection.tags if vote.id in cited}
        return [
            Tag(id=each, votes={tag: 1}, evidence=(turn.id,), by=self.name) for each, tag in votes.items()
        ]

    def _ask(self, role: ModelRole, text: str, form: TypeAdapter[T], ledger: _Ledger) -> T | None:
        try:
            found, usage = ask_clipped(self.models.role(role), text, self.reply, form, role)
        except Unrepaired as error:
            ledger.failures.append(f"{role}: {error}")
            ledger.usage = add_usage(ledger.usage, {role: error.usage})
            return None
        ledger.usage = add_usage(ledger.usage, {role: usage})
        return found


def _taken(playbook: Playbook, minted: set[str]) -> Callable[[str], bool]:
    return lambda each: playbook.taken(each) or each in minted
