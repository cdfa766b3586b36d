"""Metrics against values worked out by hand, and intervals against what they must do."""

import random

import pytest

from ctxeng.errors import UnknownName
from ctxeng.turn import Usage
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece
from ctxeng_evals.metrics import Seen, edit_similarity, metric, token_f1
from ctxeng_evals.stats import difference_of, mean_of
from ctxeng_evals.tally import SET_METRICS, Tally

ITEMS = tuple(Item(id=name, text=f"Text of {name}.") for name in "abcde")


def score(name, *, answer=None, target=None, gold=(), selected=(), **fields):
    case = Case(id="1", question="q", target=target, gold=gold, items=ITEMS)
    window = tuple(Piece(source="s", kind="chunk", ref=each, tokens=3) for each in selected)
    outcome = Outcome(answer=answer, selected=selected, window=window, **fields)
    return metric(name).score(Seen(case, outcome, Dataset("d", [case])))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("exact", {"answer": "Paris.", "target": ["Rome", "paris"]}, 1),
        ("exact", {"answer": None, "target": "x"}, 0),
        ("exact", {"answer": 7, "target": 7.0}, 1),
        ("exact", {"answer": "x"}, None),
        ("numeric", {"answer": "about 5", "target": "five"}, None),
        ("token_f1", {"answer": "the red car", "target": "red car"}, 0.8),
        ("set_f1", {"answer": ["a", "b"], "target": ["b", "c"]}, 0.5),
        ("set_f1", {"answer": "a, b", "target": "b,a"}, 1),
        ("set_f1", {"answer": "", "target": []}, 1),
        ("recall", {"gold": ("a", "b"), "selected": ("b", "c")}, 0.5),
        ("recall", {"selected": ("b",)}, None),
        ("all_gold", {"gold": ("a", "b"), "selected": ("b", "c", "a")}, 1),
        ("all_gold@2", {"gold": ("a", "b"), "selected": ("b", "c", "a")}, 0),
        ("recall@1", {"gold": ("a", "b"), "selected": ("b", "c", "a")}, 0.5),
        ("precision", {"gold": ("a",), "selected": ("a", "b", "c", "d")}, 0.25),
        ("precision", {"gold": ("a",)}, 0),
        ("mrr", {"gold": ("a",), "selected": ("c", "b", "a")}, 1 / 3),
        ("mrr", {"gold": ("a",), "selected": ("c",)}, 0),
        ("ndcg@3", {"gold": ("a", "b"), "selected": ("a", "b", "c")}, 1),
        ("ndcg@3", {"gold": ("a",), "selected": ("c", "a")}, 0.6309),
        ("kept", {"target": "text of b", "selected": ("b",)}, 1),
        ("kept", {"target": "text of b", "selected": ("a",)}, 0),
        ("tokens", {"selected": ("a", "b")}, 6),
        ("brier", {"answer": "x", "target": "x", "confidence": 0.7}, 0.09),
        ("tokens_in", {"usage": {"answer": Usage(input=5), "retrieve": Usage(input=2)}}, 7),
        ("tokens_in.retrieve", {"usage": {"answer": Usage(input=5), "retrieve": Usage(input=2)}}, 2),
    ],
)
def test_a_metric_says(name, given, value):
    found = score(name, **given)
    assert found == (None if value is None else pytest.approx(value, abs=1e-4))


def test_words_and_edits():
    assert token_f1("", "") == 1
    assert token_f1("a", "b") == 0
    assert edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert edit_similarity("", "") == 1


def test_an_unknown_metric_is_named_with_those_there_are():
    with pytest.raises(UnknownName, match="ndcg@k"):
        metric("f1")


def test_an_interval_holds_the_mean_and_narrows_with_n():
    draw = random.Random(0)
    values = [float(draw.random() < 0.3) for _ in range(400)]
    few = mean_of(values[:40], [str(i) for i in range(40)])
    many = mean_of(values, [str(i) for i in range(400)])
    assert many.low <= many.mean <= many.high
    assert many.high - many.low < few.high - few.low


def test_cases_of_one_group_count_as_one_draw():
    values = [1.0] * 10 + [0.0] * 10
    alone = mean_of(values, [str(i) for i in range(20)])
    together = mean_of(values, ["a"] * 10 + ["b"] * 10)
    assert together.groups == 2
    assert together.high - together.low > alone.high - alone.low


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    draw = random.Random(1)
    hits = 0
    for trial in range(200):
        values = [float(draw.random() < 0.4) for _ in range(60)]
        found = mean_of(values, [str(i) for i in range(60)], seed=trial)
        hits += found.low <= 0.4 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_a_paired_difference_sees_what_two_intervals_hide():
    draw = random.Random(2)
    first = [draw.random() for _ in range(60)]
    pairs = [(x, x + 0.02 + 0.01 * draw.random()) for x in first]
    found = difference_of(pairs, [str(i) for i in range(60)])
    assert found.real
    noise = difference_of([(draw.random(), draw.random()) for _ in range(60)], [str(i) for i in range(60)])
    assert not noise.real
    assert difference_of([], []) is None


def tally(records, *, twins=False):
    found = Tally(len({record["case"] for record in records}))
    for record in records:
        found.add({"scores": {}, **record}, None, twins=twins)
    return found


def test_pass_at_k_is_the_unbiased_estimate():
    found = tally([{"case": "1", "scores": {"exact": right}} for right in (1.0, 0.0, 0.0, 0.0)])
    assert SET_METRICS["pass@2"].values(found, "exact") == [(pytest.approx(0.5), "1")]
    assert SET_METRICS["pass@1"].values(found, "exact") == [(pytest.approx(0.25), "1")]


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    sure = [{"case": str(i), "scores": {"exact": float(i < 6)}, "confidence": 0.95} for i in range(10)]
    gaps = SET_METRICS["ece"].values(tally(sure), "exact")
    assert sum(gap for gap, _ in gaps) / len(gaps) == pytest.approx(0.35)
