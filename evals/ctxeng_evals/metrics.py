"""Metrics by name: a case and what a subject made of it, in; a score out, or None where it does not apply."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from ctxeng import judge
from ctxeng.errors import UnknownName
from ctxeng.retrieval.words import terms
from ctxeng.turn import Usage
from ctxeng_evals.case import Case, Dataset, Outcome

Score = Callable[["Seen"], "float | None"]
_NAMED = re.compile(r"(?P<name>[a-z0-9_]+)(?:@(?P<k>\d+)|\.(?P<role>[a-z]+))?")
_VALUE = re.compile(r"[$€£]?\d[\w.,:/%-]*|(?<=[a-z,;] )[A-Z][\w'-]+")  # numbers, and names inside a sentence
_BILLED: Mapping[str, Literal["input", "output", "cached"]] = {
    "tokens_in": "input",
    "tokens_out": "output",
    "tokens_cached": "cached",
}


@dataclass(frozen=True)
class Seen:
    """A case, what a subject made of it, and the items it could choose from."""

    case: Case
    outcome: Outcome
    dataset: Dataset

    @property
    def targets(self) -> list[str]:
        """The accepted answers."""
        target = self.case.target
        if target is None:
            return []
        return [_text(each) for each in target] if isinstance(target, list) else [_text(target)]

    @property
    def answer(self) -> str:
        """The answer as text; empty where there is none."""
        return "" if self.outcome.answer is None else _text(self.outcome.answer)

    @property
    def window(self) -> str:
        """The text of the window."""
        bodies = {item.id: item.body for item in self.dataset.items(self.case)}
        return "\n".join(piece.text or bodies.get(piece.ref, "") for piece in self.outcome.window)

    def usage(self, field: Literal["input", "output", "cached", "cost"]) -> float:
        """What was billed, all roles together."""
        return float(getattr(sum(self.outcome.usage.values(), Usage()), field))

    def billed(self, role: str, field: Literal["input", "output", "cached"]) -> float:
        """The same of one role; 0 where it had nothing to do."""
        return float(getattr(self.outcome.usage.get(role, Usage()), field))


@dataclass(frozen=True)
class Metric:
    """A metric of a case. `better` says which way; `k` cuts a ranking where the name ends in `@k`."""

    name: str
    score: Score
    better: Literal["higher", "lower"] = "higher"
    about: str = ""


def metric(name: str) -> Metric:
    """The metric of a name such as `exact`, `ndcg@10` or `tokens_in.retrieve`. Raises UnknownName."""
    found = _NAMED.fullmatch(name)
    if found and found["role"] and found["name"] in _BILLED:
        plain, field, role = METRICS[found["name"]], _BILLED[found["name"]], found["role"]
        return Metric(name, lambda seen: seen.billed(role, field), plain.better, f"{plain.about}, by {role}")
    if found and found["k"] and found["name"] in RANKED:
        make, about = RANKED[found["name"]]
        return Metric(name, make(int(found["k"])), "higher", about)
    if name not in METRICS:
        raise UnknownName("metric", name, known())
    return METRICS[name]


def known() -> list[str]:
    """Every name, rankings with their cut as `name@k`."""
    return [*METRICS, *(f"{name}@k" for name in RANKED), *(f"{name}.ROLE" for name in _BILLED)]


# -- answers --------------------------------------------------------------------------------------------


def _best(compare: Callable[[str, str], float | None]) -> Score:
    """The best match among the accepted answers."""

    def score(seen: Seen) -> float | None:
        scores = [found for t in seen.targets if (found := compare(seen.answer, t)) is not None]
        return max(scores, default=None)

    return score


def token_f1(answer: str, target: str) -> float:
    """F1 of the words of both, as SQuAD has it."""
    said, wanted = judge.normalised(answer).split(), judge.normalised(target).split()
    common = sum(min(said.count(word), wanted.count(word)) for word in set(said))
    if not common:
        return float(said == wanted)
    return 2 * common / (len(said) + len(wanted))


def edit_similarity(answer: str, target: str) -> float:
    """1 less the Levenshtein distance over the longer length."""
    if not answer and not target:
        return 1.0
    row = list(range(len(target) + 1))
    for place, one in enumerate(answer, 1):
        before, row[0] = row[0], place
        for column, other in enumerate(target, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (one != other)),
            )
    return 1 - row[-1] / max(len(answer), len(target))


def set_f1(seen: Seen) -> float | None:
    """F1 of two sets; a set is a list, or text with commas."""
    if seen.case.target is None:
        return None
    said, wanted = _set(seen.outcome.answer), _set(seen.case.target)
    if not said or not wanted:
        return float(said == wanted)
    return 2 * len(said & wanted) / (len(said) + len(wanted))


def _set(value: JsonValue) -> set[str]:
    items = value if isinstance(value, list) else _text(value).split(",") if value is not None else []
    return {judge.normalised(_text(item)) for item in items if _text(item).strip()}


def _text(value: JsonValue) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


# -- evidence -------------------------------------------------------------------------------------------


def recall(seen: Seen) -> float | None:
    """The share of the gold items that are in the window."""
    gold = set(seen.case.gold)
    return len(gold & set(seen.outcome.selected)) / len(gold) if gold else None


def precision(seen: Seen) -> float | None:
    """The share of the selected items that are gold; 0 where nothing was selected."""
    chosen = set(seen.outcome.selected)
    return (len(chosen & set(seen.case.gold)) / len(chosen) if chosen else 0.0) if seen.case.gold else None


def all_gold(seen: Seen) -> float | None:
    """1 where every gold item is in the window: recall hides the one hop that is missing."""
    return float(set(seen.case.gold) <= set(seen.outcome.selected)) if seen.case.gold else None


def mrr(seen: Seen) -> float | None:
    """One over the rank of the first gold item; 0 where none was selected."""
    if not seen.case.gold:
        return None
    gold = set(seen.case.gold)
    ranks = (rank for rank, name in enumerate(seen.outcome.selected, 1) if name in gold)
    return 1 / rank if (rank := next(ranks, 0)) else 0.0


def kept(seen: Seen) -> float | None:
    """1 where an accepted answer stands in the window's text: evidence that survived compaction."""
    window = f" {judge.normalised(seen.window)} "
    return float(any(f" {judge.normalised(t)} " in window for t in seen.targets)) if seen.targets else None


def newest_gold(seen: Seen) -> float | None:
    """1 where the gold item that was said last is in the window: of a value that changed, the newest."""
    gold = set(seen.case.gold)
    last = next((item.id for item in reversed(seen.dataset.items(seen.case)) if item.id in gold), None)
    return None if last is None else float(last in seen.outcome.selected)


def gold_words(seen: Seen) -> float | None:
    """The share of the gold items' terms, those of the question left out, that stand in the window."""
    gold = set(seen.case.gold)
    said = {term for item in seen.dataset.items(seen.case) if item.id in gold for term in terms(item.text)}
    said -= set(terms(seen.case.question))
    return len(said & set(terms(seen.window))) / len(said) if said else None


def answer_values(seen: Seen) -> float | None:
    """The share of the answer's numbers and names, the question's left out, that stand in the window."""
    asked, window = seen.case.question.casefold(), seen.window.casefold()
    values = {value.casefold().rstrip(".,:") for target in seen.targets for value in _VALUE.findall(target)}
    values = {value for value in values if value not in asked}
    return sum(value in window for value in values) / len(values) if values else None


def _recall_at(k: int) -> Score:
    def score(seen: Seen) -> float | None:
        gold = set(seen.case.gold)
        return len(gold & set(seen.outcome.selected[:k])) / len(gold) if gold else None

    return score


def _all_gold_at(k: int) -> Score:
    return lambda seen: (
        float(set(seen.case.gold) <= set(seen.outcome.selected[:k])) if seen.case.gold else None
    )


def _ndcg_at(k: int) -> Score:
    def score(seen: Seen) -> float | None:
        gold = set(seen.case.gold)
        gains = (1 / math.log2(rank + 1) for rank in range(1, min(k, len(gold)) + 1))
        found = [
            1 / math.log2(rank + 1) for rank, name in enumerate(seen.outcome.selected[:k], 1) if name in gold
        ]
        return sum(found) / sum(gains) if gold else None

    return score


def _brier(seen: Seen) -> float | None:
    """The squared distance between the confidence it gave and whether it was right."""
    right = METRICS["exact"].score(seen)
    sure = seen.outcome.confidence
    return None if right is None or sure is None else (sure - right) ** 2


RANKED: Mapping[str, tuple[Callable[[int], Score], str]] = {
    "recall": (_recall_at, "share of the gold items among the first k"),
    "all_gold": (_all_gold_at, "every gold item among the first k"),
    "ndcg": (_ndcg_at, "discounted gain of the first k, 1 for a perfect order"),
}
METRICS: Mapping[str, Metric] = {
    each.name: each
    for each in (
        Metric("exact", _best(judge.exact), about="the answer, after folding case and punctuation"),
        Metric("numeric", _best(judge.numeric), about="the last number, within 0.005"),
        Metric("contains", _best(judge.contains), about="an accepted answer stands in the reply"),
        Metric("token_f1", _best(token_f1), about="F1 of the words"),
        Metric("set_f1", set_f1, about="F1 of two sets"),
        Metric("edit_similarity", _best(edit_similarity), about="1 - edit distance / longer length"),
        Metric("recall", recall, about="share of the gold items in the window"),
        Metric("precision", precision, about="share of the window's items that are gold"),
        Metric("all_gold", all_gold, about="every gold item is in the window"),
        Metric("mrr", mrr, about="one over the rank of the first gold item"),
        Metric("kept", kept, about="an accepted answer stands in the window's text"),
        Metric("newest_gold", newest_gold, about="the gold item that was said last is in the window"),
        Metric("gold_words", gold_words, about="share of the gold items' terms in the window's text"),
        Metric("answer_values", answer_values, about="share of the answer's numbers and names in it"),
        Metric("brier", _brier, "lower", "squared error of the stated confidence"),
        Metric("tokens", lambda seen: float(seen.outcome.tokens), "lower", "tokens of the window"),
        Metric("tokens_in", lambda seen: seen.usage("input"), "lower", "tokens billed, input"),
        Metric("tokens_out", lambda seen: seen.usage("output"), "lower", "tokens billed, output"),
        Metric("tokens_cached", lambda seen: seen.usage("cached"), "higher", "of the input, from a cache"),
        Metric("cost", lambda seen: seen.usage("cost"), "lower", "money billed"),
        Metric("prefix", lambda seen: seen.outcome.prefix, "higher", "prompt bytes kept since last case"),
        Metric(
            "held",
            lambda seen: None if seen.outcome.held is None else float(seen.outcome.held),
            "lower",
            "bytes kept between cases",
        ),
    )
}
