"""Conformal retrieval: how often all gold passes the calibrated threshold on held-out questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.pool import Floats
from ctxeng.chunks.selectors.conformal import calibrate, fingerprint
from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import Embedder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.retrieval.lexical import Lexical
from ctxeng.tokens import Estimate
from ctxeng_evals import registry
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.case import Dataset

ALPHAS = (0.05, 0.1, 0.2)
SPLITS = 100
BUDGET = 512
Index = Lexical | Hybrid


@dataclass(frozen=True)
class Scored:
    """One question's sentences: scores, which of them are gold, and tokens, (N,) each."""

    scores: Floats
    gold: np.ndarray[tuple[int], np.dtype[np.bool_]]
    tokens: np.ndarray[tuple[int], np.dtype[np.int64]]

    @property
    def worst(self) -> float:
        """The score of the gold sentence that is hardest to find."""
        return float(self.scores[self.gold].min())


def run(seed: int = 0) -> Figures:
    """Coverage, and what it costs, over splits of HotpotQA's questions into halves; gold are sentences."""
    dataset = registry.load("hotpotqa")
    rows, notes = rows_of(dataset, "BM25", Lexical, "bm25", seed), []
    encoder = Embedder()
    try:
        name = encoder.name
    except BadInput as error:
        notes.append(f"hybrid scores were left out: {error}")
    else:
        rows += rows_of(dataset, "hybrid", lambda texts: Hybrid(texts, encoder), name, seed)
    notes.append(
        f"{len(dataset.cases)} questions, {SPLITS} random splits into halves, each way round; tokens are "
        "estimated and without titles; "
        "top-k: so many best sentences as pass on average, coverage on all questions"
    )
    return Figures("conformal", tuple(rows), tuple(notes), seed)


def rows_of(
    dataset: Dataset, label: str, index: Callable[[Sequence[str]], Index], encoder: str, seed: int
) -> list[Row]:
    """The figures of one way of scoring, at each alpha."""
    scored = scores_of(dataset, index)
    corpus = fingerprint(item.text for case in dataset.cases for item in dataset.items(case))
    sentences = float(np.mean([len(each.scores) for each in scored]))
    rows = []
    for alpha in ALPHAS:
        coverage, passing, void = halves(scored, alpha, corpus, encoder, seed).mean(axis=0).tolist()
        plain = np.mean([_best_hold_all(each, round(passing)) for each in scored])
        what = f"{label}, alpha {alpha:g}"
        rows += [
            Row(f"{what}: coverage, all gold passes", coverage, "", None, "", f">= {1 - alpha - 0.01:.2f}"),
            Row(f"{what}: sentences that pass", passing, "", sentences, "all of them"),
            Row(f"{what}: top-k with as many sentences, coverage", float(plain), ""),
            Row(f"{what}: guarantee void at {BUDGET} tokens", 100 * void, "% of questions"),
        ]
    return rows


def scores_of(dataset: Dataset, index: Callable[[Sequence[str]], Index]) -> list[Scored]:
    """Every question's sentences, scored by an index of its own over title and text."""
    counter, found = Estimate(), []
    for case in dataset.cases:
        items = dataset.items(case)
        scores = index([f"{item.title}\n{item.text}" for item in items]).scores(case.question)
        found.append(
            Scored(
                scores.astype(np.float64),
                np.array([item.id in case.gold for item in items]),
                np.array([counter.count(item.text) for item in items]),
            )
        )
    return found


def halves(scored: Sequence[Scored], alpha: float, corpus: str, encoder: str, seed: int) -> Floats:
    """(2 * SPLITS, 3): coverage, sentences that pass, share of questions whose passing exceed the budget.

    Each split calibrates on one half of the questions and measures on the other, then the other way round:
    a half that is easy by chance makes one direction look better and the other worse.
    """
    draw = np.random.default_rng(seed)
    worst = [each.worst for each in scored]
    found = []
    for _ in range(SPLITS):
        order = draw.permutation(len(scored)).tolist()
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        for known, fresh in ((one, other), (other, one)):
            threshold = calibrate([worst[place] for place in known], alpha, corpus, encoder).threshold
            found.append(np.mean([_passed(scored[place], threshold) for place in fresh], axis=0))
    return np.array(found)


def _passed(each: Scored, threshold: float | None) -> tuple[bool, int, bool]:
    passing = each.scores >= (-np.inf if threshold is None else threshold)
    return bool(passing[each.gold].all()), int(passing.sum()), bool(each.tokens[passing].sum() > BUDGET)


def _best_hold_all(each: Scored, count: int) -> bool:
    best = np.argsort(-each.scores, kind="stable")[:count]
    return bool(each.gold[best].sum() == each.gold.sum())
