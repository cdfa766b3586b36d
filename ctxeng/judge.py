"""Judges: exact, numeric, contains, set overlap; each says Unlabelled when it cannot tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ctxeng.errors import UnknownName
from ctxeng.protocols import Judge
from ctxeng.turn import Answer, Feedback, Labelled, Observed, Truth, Turn, Unlabelled

_AROUND = "\"'`()[]{}*_,;:!?"
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Compare:
    """Compares the answer with the truth; no answer scores 0, no truth leaves the turn unlabelled.

    A list of targets is several right answers, of which the best match counts; with `together` it is one
    answer of several items. A score of None means that this target cannot be compared with.
    """

    score: Callable[[str, str], float | None]
    together: bool = False

    def judge(self, turn: Turn, truth: Truth | None) -> Feedback:
        """Labelled with a score from 0 to 1, or Unlabelled."""
        if truth is None:
            return Unlabelled()
        answer = "" if turn.answer is None else _said(turn.answer)
        targets = [str(t) for t in truth.target] if isinstance(truth.target, list) else [str(truth.target)]
        if self.together:
            targets = [", ".join(targets)]
        scores = [score for t in targets if (score := self.score(answer, t)) is not None]
        if not scores:
            return Unlabelled(comment=f"the judge cannot compare with {truth.target!r}")
        return Labelled(score=max(scores), truth=truth)


@dataclass(frozen=True)
class ByExecution:
    """Feedback from the world, without a label: `run` executes the answer and returns (score, evidence)."""

    run: Callable[[Turn], tuple[float, str]]

    def judge(self, turn: Turn, truth: Truth | None) -> Feedback:  # noqa: ARG002 - label-free by design
        """Observed; the truth, if there is one, is not looked at."""
        score, evidence = self.run(turn)
        return Observed(score=score, evidence=evidence)


@dataclass(frozen=True)
class NoJudge:
    """Says nothing of any turn: label-free learning."""

    def judge(self, turn: Turn, truth: Truth | None) -> Feedback:  # noqa: ARG002 - label-free by design
        """Unlabelled, always."""
        return Unlabelled()


def exact(answer: str, target: str) -> float:
    """1.0 where both are the same after folding case, outer punctuation and white space."""
    return float(normalised(answer) == normalised(target))


def numeric(answer: str, target: str, tolerance: float = 0.005) -> float | None:
    """1.0 where the last number of the answer is within `tolerance` (absolute) of the target.

    None where the target has no number.
    """
    wanted, found = _last_number(target), _last_number(answer)
    if wanted is None:
        return None
    return float(found is not None and abs(wanted - found) <= tolerance + 1e-12)


def contains(answer: str, target: str) -> float:
    """1.0 where the target's words stand in the answer, in order."""
    return float(f" {normalised(target)} " in f" {normalised(answer)} ")


def overlap(answer: str, target: str) -> float:
    """Jaccard overlap of two comma-separated sets."""
    found = {normalised(item) for item in answer.split(",") if item.strip()}
    wanted = {normalised(item) for item in target.split(",") if item.strip()}
    return len(found & wanted) / len(found | wanted) if found | wanted else 1.0


def normalised(text: str) -> str:
    """Lower case, single spaces, no quotes, brackets or sentence marks around words.

    Signs that change what is said stay: "-5" is not "5", "C#" not "C++", "50%" not "50".
    """
    words = (word.strip(_AROUND).rstrip(".").strip(_AROUND) or word for word in text.lower().split())
    return " ".join(words)


SCORES: Mapping[str, Callable[[str, str], float | None]] = {
    "exact": exact,
    "numeric": numeric,
    "contains": contains,
    "overlap": overlap,
}


def judge_named(name: str) -> Judge:
    """The judge of this name. Raises UnknownName with those there are."""
    if name == "none":
        return NoJudge()
    if name not in SCORES:
        raise UnknownName("judge", name, [*SCORES, "none"])
    return Compare(SCORES[name], together=name == "overlap")


def _said(answer: Answer) -> str:
    """The choice that was read from the reply where there is one, else its text."""
    return answer.parsed if isinstance(answer.parsed, str) else answer.text


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
