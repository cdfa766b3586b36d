import json

import numpy as np
import pytest

from ctxeng.chunks.selectors.conformal import Calibration, Conformal, calibrate, fingerprint
from ctxeng.errors import BadInput, UnknownName
from pools import pool_of


def made(scores, alpha=0.1, **more):
    return calibrate(scores, alpha, "corpus", "encoder", **more)


def selector(scores, alpha=0.1, **more):
    return Conformal(made(scores, alpha, **more), "corpus", "encoder")


def test_the_threshold_is_the_corrected_quantile():
    scores = [place / 100 for place in range(1, 100)]  # 99 of them: (99 + 1) * .1 is the tenth lowest
    assert made(scores[::-1], 0.1).threshold == 0.10
    assert made(scores, 0.05).threshold == 0.05
    assert made(scores, 0.29).threshold == 0.29  # 100 * .29 is 28.999999999999996


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("draw_scores", ["continuous", "ties"])
def test_coverage_on_held_out_questions_is_at_least_one_minus_alpha(alpha, draw_scores):
    draw = np.random.default_rng(7)
    covered = []
    for _ in range(100):
        scores = draw.beta(2, 3, 300) if draw_scores == "continuous" else draw.integers(0, 6, 300) / 5
        threshold = made(scores[:150].tolist(), alpha).threshold
        covered.append(float((scores[150:] >= threshold).mean()))
    assert np.mean(covered) >= 1 - alpha - 0.01
    if draw_scores == "continuous":  # not by letting everything pass
        assert np.mean(covered) <= 1 - alpha + 0.02


def test_coverage_holds_with_very_few_calibration_questions_too():
    draw = np.random.default_rng(8)
    hits = []
    for _ in range(4_000):
        scores = draw.normal(size=13)
        threshold = made(scores[:12].tolist(), 0.2).threshold  # the second lowest of twelve: 11 / 13
        hits.append(scores[12] >= threshold)
    assert np.mean(hits) == pytest.approx(11 / 13, abs=0.02)


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.1, 9), (0.2, 4), (0.15, 6)])
def test_with_fewer_questions_than_the_alpha_needs_everything_passes_and_it_says_so(alpha, needed):
    assert made([0.5] * needed, alpha).threshold == 0.5
    few = made([0.5] * (needed - 1), alpha)
    assert few.threshold is None
    assert few.needed == needed
    found = Conformal(few, "corpus", "encoder").select(pool_of([0.0, 0.9]), 100)
    assert found.chosen == (1, 0)
    assert f"{needed - 1} calibration questions are too few" in found.note


def test_gold_outside_of_the_candidates_counts_as_a_miss_and_cannot_be_most_of_the_alpha():
    assert made([-np.inf, *[0.5] * 98], 0.05).threshold == 0.5
    with pytest.raises(BadInput, match="outside their candidates"):
        made([*[-np.inf] * 20, *[0.5] * 79], 0.1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_an_alpha_that_is_no_error_rate_is_refused(alpha):
    with pytest.raises(BadInput, match="alpha"):
        made([0.5] * 50, alpha)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(score):
    with pytest.raises(BadInput, match="no number"):
        made([0.5, score])


# -- selecting -----------------------------------------------------------------------------------------


def test_all_that_reach_the_threshold_are_chosen_and_nothing_else():
    found = selector([0.5] * 20).select(pool_of([0.49, 0.5, 0.9, 0.1]), 1_000)
    assert found.chosen == (2, 1)
    assert found.note == ""


def test_it_abstains_where_nothing_passes():
    found = selector([0.5] * 20).select(pool_of([0.4, 0.3]), 1_000)
    assert found.chosen == ()
    assert "abstained" in found.note


def test_where_the_budget_is_too_small_the_best_are_taken_and_the_guarantee_is_void():
    found = selector([0.5] * 20).select(pool_of([0.6, 0.7, 0.8]), 20)
    assert found.chosen == (2, 1)
    assert "void" in found.note
    assert "30 tokens of 20" in found.note


@pytest.mark.parametrize(
    ("corpus", "encoder", "named"), [("new", "encoder", "corpus"), ("corpus", "new", "encoder")]
)
def test_a_calibration_of_another_corpus_or_encoder_is_stale(corpus, encoder, named):
    with pytest.raises(BadInput, match=f"made for {named} '{named}', this is 'new'"):
        Conformal(made([0.5] * 20), corpus, encoder)


def test_the_calibrated_score_can_be_one_of_the_details():
    pool = pool_of([0.9, 0.1], details={"bm25": np.array([2.0, 7.0])})
    calibrated = selector([5.0] * 20, score="bm25")
    assert calibrated.select(pool, 100).chosen == (1,)
    with pytest.raises(UnknownName, match="bm25"):
        calibrated.select(pool_of([0.9]), 100)


def test_a_fingerprint_is_of_the_texts_whatever_their_order():
    assert fingerprint(["a", "b"]) == fingerprint(["b", "a"])
    assert len({fingerprint(texts) for texts in (["a", "b"], ["ab"], ["a"], ["a", "a"], [])}) == 5


# -- the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 50])
def test_a_calibration_survives_its_file(tmp_path, count):
    calibration = made([0.5] * count)
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration
    assert json.loads((tmp_path / "c.json").read_text())["alpha"] == 0.1


@pytest.mark.parametrize(
    "text", ["", "{}", '{"threshold": NaN, "alpha": 0.1, "n": 9, "corpus": "", "encoder": ""}']
)
def test_a_file_that_is_no_calibration_is_refused_by_name(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(BadInput, match=r"c\.json: no calibration"):
        Calibration.load(tmp_path / "c.json")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"c\.json: no calibration"):
        Calibration.load(tmp_path / "c.json")
