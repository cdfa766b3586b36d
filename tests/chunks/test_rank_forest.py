import numpy as np
import pytest
from pydantic import ValidationError

from ctxeng.chunks.rank.forest import Forest
from ctxeng_evals.training import trees

STUMP = {
    "start": -1.0,
    "roots": (0,),
    "feature": (1, -1, -1),
    "threshold": (0.5, 0.0, 0.0),
    "left": (1, 0, 0),
    "right": (2, 0, 0),
    "missing_left": (0, 0, 0),
    "value": (0.0, 2.0, 3.0),
}


def test_rows_go_left_at_most_the_threshold_and_unknown_ones_where_the_node_says():
    forest = Forest(**STUMP)
    rows = np.array([[9.0, 0.5], [9.0, 0.6], [9.0, np.nan]])
    assert forest.score(rows).tolist() == [1.0, 2.0, 2.0]
    assert Forest(**{**STUMP, "missing_left": (1, 0, 0)}).score(rows)[2] == 1.0


def test_probabilities_are_those_of_the_log_odds():
    assert Forest(**STUMP).probability(np.array([[0.0, 0.0]]))[0] == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_trees_add_up():
    double = {**STUMP, "roots": (0, 0)}
    assert Forest(**double).score(np.array([[0.0, 0.0]])).tolist() == [3.0]


def test_no_rows_have_no_scores():
    assert Forest(**STUMP).score(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("left", (0, 0, 0), "leads back"),
        ("right", (7, 0, 0), "no node"),
        ("roots", (3,), "root"),
        ("value", (0.0,), "differ in length"),
    ],
)
def test_a_broken_forest_is_refused(field, value, said):
    with pytest.raises(ValidationError, match=said):
        Forest(**{**STUMP, field: value})


def test_it_says_what_scikit_learn_says(tmp_path):
    sklearn = pytest.importorskip("sklearn.ensemble", reason="scikit-learn trains the forests: extra `train`")

    draw = np.random.default_rng(3)
    rows = draw.normal(size=(600, 5))
    rows[draw.random((600, 5)) < 0.2] = np.nan
    rows[:, 4] = np.where(draw.random(600) < 0.5, 1.0, np.nan)  # nothing but missing or not
    gold = (
        np.nan_to_num(rows[:, 0])
        + np.nan_to_num(rows[:, 1]) * np.nan_to_num(rows[:, 2])
        + np.isnan(rows[:, 4])
        > 0.3
    )
    forest = trees.fitted(rows, gold, np.ones(600), seed=1)
    learner = sklearn.HistGradientBoostingClassifier(**trees.OPTIONS, random_state=1)
    learner.fit(rows, gold, sample_weight=np.ones(600))
    assert np.abs(forest.probability(rows) - learner.predict_proba(rows)[:, 1]).max() < 1e-4
    assert Forest.model_validate_json(forest.model_dump_json()) == forest
