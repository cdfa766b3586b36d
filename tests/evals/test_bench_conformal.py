import numpy as np
import pytest

from ctxeng.chunks.selectors.conformal import Conformal, calibrate
from ctxeng.retrieval.lexical import Lexical
from ctxeng_evals import registry
from ctxeng_evals.bench.conformal import ALPHAS, SPLITS, Scored, halves, rows_of, scores_of
from pools import pool_of


def questions(seed, count, size=12):
    """Questions whose gold scores higher than the rest on the whole, one or two gold sentences each."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        gold = np.arange(size) < draw.integers(1, 3)
        found.append(Scored(draw.beta(np.where(gold, 4, 1), 3), gold, np.full(size, 60)))
    return found


@pytest.mark.parametrize("alpha", ALPHAS)
def test_coverage_over_splits_is_what_alpha_says(alpha):
    coverage, passing, _ = halves(questions(0, 400), alpha, "corpus", "encoder", seed=0).mean(axis=0)
    assert 1 - alpha - 0.01 <= coverage <= 1 - alpha + 0.02
    assert passing < 12


def test_what_a_split_measures_is_what_the_selector_does():
    asked = questions(1, 60)
    found = halves(asked, 0.2, "corpus", "encoder", seed=3)
    assert found.shape == (2 * SPLITS, 3)
    order = np.random.default_rng(3).permutation(60)
    calibration = calibrate([asked[place].worst for place in order[:30]], 0.2, "corpus", "encoder")
    selector = Conformal(calibration, "corpus", "encoder")
    rows = []
    for each in (asked[place] for place in order[30:]):
        pool = pool_of(each.scores, each.tokens)
        chosen = list(selector.select(pool, 10_000).chosen)
        rows.append((each.gold.sum() == each.gold[chosen].sum(), len(chosen), pool.price(chosen) > 512))
        assert ("void" in selector.select(pool, 512).note) == rows[-1][2]
    assert found[0] == pytest.approx(np.mean(rows, axis=0))


def test_coverage_holds_on_hotpotqa(data):
    rows = {row.name: row for row in rows_of(registry.load("hotpotqa"), "BM25", Lexical, "bm25", seed=1)}
    for alpha in ALPHAS:
        assert rows[f"BM25, alpha {alpha:g}: coverage, all gold passes"].value >= 1 - alpha - 0.01
        passing = rows[f"BM25, alpha {alpha:g}: sentences that pass"]
        assert 0 < passing.value < passing.baseline


def test_a_question_s_gold_is_marked_among_its_sentences(data):
    dataset = registry.load("hotpotqa", limit=5)
    for case, each in zip(dataset.cases, scores_of(dataset, Lexical), strict=True):
        assert [dataset.items(case)[place].id for place in np.flatnonzero(each.gold)] == sorted(
            case.gold, key=[item.id for item in dataset.items(case)].index
        )
        assert each.worst == min(each.scores[each.gold])
