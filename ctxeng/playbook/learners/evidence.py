"""What a learner may know of a turn: its outcome, the notes it cited, and how far all that is trusted."""

from __future__ import annotations

from collections.abc import Sequence

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.turn import TRUST_ORDER, Edited, Labelled, Observed, Trust, Turn, Unlabelled, least_trust

SOLVED = 0.999


def outcome(turn: Turn) -> str:
    """The feedback in words. Without a label nothing in it depends on one."""
    match turn.feedback:
        case Labelled(score=score, truth=truth):
            verdict = "right" if score >= SOLVED else "wrong" if score <= 0 else f"partly right ({score:.2f})"
            return f"The answer was {verdict}. The right answer: {truth.target}"
        case Observed(score=score, evidence=evidence):
            return f"Observed score {score:.2f} of 1. {evidence}".strip()
        case Edited(score=score, text=text):
            return f"The user kept {score:.0%} of the answer. What they made of it:\n{text}"
        case Unlabelled(comment=comment):
            return f"Unknown. {comment}".strip()


def failed(turn: Turn) -> bool:
    """Whether feedback says that the turn could have gone better; unknown is not failed."""
    match turn.feedback:
        case Labelled(score=score) | Observed(score=score) | Edited(score=score):
            return score < SOLVED
        case Unlabelled():
            return False


def cited_notes(turn: Turn, playbook: Playbook) -> str:
    """The entries the answer cited, one a line; the reflector sees no others (ACE, section 3)."""
    cited = turn.answer.cited if turn.answer else ()
    return "\n".join(line(playbook.get(each)) for each in cited if each in playbook) or "(none)"


def line(entry: Entry) -> str:
    """An entry as a learner's model reads it; further lines are indented, so it stays one item."""
    body = f"When {entry.when}: {entry.text}" if entry.when else entry.text
    return f"[{entry.id}] ({entry.section}) " + body.replace("\n", "\n  ")


def may_rewrite(trust: Trust, ids: Sequence[str], playbook: Playbook) -> bool:
    """Whether something of this trust may change these entries: not where any is trusted more."""
    held = [playbook.provenance(each).trust for each in ids]
    return all(TRUST_ORDER.index(trust) >= TRUST_ORDER.index(each) for each in held)


def lineage(turn: Turn) -> Trust:
    """The least trust of what was in the window and of what tools returned."""
    said = {"chunk", "playbook", "summary", "step"}
    seen = (
        section.trust
        for section in turn.context.sections
        if section.kind in said or (section.kind == "message" and section.trust == "untrusted")
    )
    ran_tools: tuple[Trust, ...] = ("untrusted",) if any(step.results for step in turn.steps) else ()
    return least_trust(*seen, *ran_tools)
