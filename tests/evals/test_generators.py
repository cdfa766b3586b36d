"""Every family of generated cases, in all its variants, held to what a generator promises."""

import random
import re
import statistics
import time
from dataclasses import replace

import pytest

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.generators.registry import GENERATORS, made

VARIANTS = [
    ("needles", {"kind": "single", "items": 40}),
    ("needles", {"kind": "multi-key", "depth": 0.5, "items": 40}),
    ("needles", {"kind": "multi-value", "items": 40}),
    ("needles", {"kind": "multi-query", "needles": 6, "items": 40}),
    ("tracking", {"items": 40}),
    ("tracking", {"items": 0, "hops": 8, "chains": 0}),
    ("aggregation", {"kind": "count", "items": 60}),
    ("aggregation", {"kind": "top"}),
    ("kv", {"pairs": 30}),
    ("kv", {"position": 1.0, "pairs": 30}),
    ("threads", {"pairs": 40}),
    ("threads", {"direction": "backward", "steps": 8, "threads": 0, "pairs": 40}),
    ("threads", {"kind": "conditional", "pairs": 40}),
    ("exam", {"mode": "GIST"}),
    ("exam", {"mode": "LIST", "questions": 1}),
    ("exam", {"mode": "LIMT", "questions": 60, "wrong": 0.5}),
    ("induction", {"world": "lists"}),
    ("induction", {"world": "words"}),
    ("induction", {"world": "lists", "wrong": 0.5, "shots": 4}),
    ("induction", {"world": "words", "wrong": 0.125, "shots": 64}),
    ("sessions", {"capability": "string", "items": 60}),
    ("sessions", {"capability": "semantic", "items": 60, "mode": "multi-request"}),
    ("sessions", {"capability": "global", "items": 60}),
    ("sessions", {"capability": "multi", "items": 60, "mode": "multi-request"}),
    ("toolzoo", {}),
    ("toolzoo", {"needed": 3, "tools": 90, "servers": 8}),
    ("rules", {}),
    ("rules", {"every": 1, "stale": 3, "docks": 3}),
    ("dialogue", {"ask": "current", "turns": 8, "sessions": 4}),
    ("dialogue", {"ask": "previous", "facts": 6, "sessions": 3}),
    ("dialogue", {"ask": "contradiction", "turns": 8, "sessions": 4}),
    ("dialogue", {"ask": "unknown", "turns": 8, "sessions": 4}),
    ("dialogue", {"ask": "mixed", "turns": 8, "sessions": 4}),
]


@pytest.fixture(
    scope="module",
    params=VARIANTS,
    ids=lambda variant: "-".join((variant[0], *map(str, variant[1].values()))),
)
def family(request):
    name, parameters = request.param
    return GENERATORS[name](count=24, **parameters)


@pytest.fixture(scope="module")
def cases(family):
    return list(family.cases())


def members(answer):
    return {part.strip() for part in str(answer).split(",") if part.strip()}


def score(metric, answer, target):
    """What the metrics of that name say: equality, F1 of two sets, equality of numbers."""
    if metric == "set_f1":
        given, wanted = members(answer), members(target)
        return 2 * len(given & wanted) / (len(given) + len(wanted))
    if metric == "numeric":
        return float(answer != "" and float(answer) == float(target))
    assert metric == "exact"
    return float(str(answer).casefold().strip() == str(target).casefold().strip())


def scores(family, cases, items_of):
    return [score(family.metric, family.read(case, items_of(case)), case.target) for case in cases]


def without_gold(case):
    return [item for item in case.items if item.id not in case.gold]


def shuffled(case):
    return random.Random(case.id + "/order").sample(case.items, len(case.items))


def test_the_reference_solver_is_right_with_all_items(family, cases):
    assert scores(family, cases, lambda case: case.items) == [1.0] * 24


def test_the_reference_solver_is_right_in_any_order(family, cases):
    assert scores(family, cases, shuffled) == [1.0] * 24


def test_the_gold_items_alone_are_enough(family, cases):
    # for what was never said there is no gold: it takes all messages to know
    known = [case for case in cases if case.gold]
    alone = scores(family, known, lambda case: [item for item in case.items if item.id in case.gold])
    assert alone == [1.0] * len(known)


def test_without_items_the_score_is_chance(family):
    cases = replace(family, count=200 if family.case(0).choices else 24).cases()
    expected = statistics.mean(family.chance(case) for case in cases)
    spread = (expected * (1 - expected) / len(cases)) ** 0.5
    assert abs(statistics.mean(scores(family, cases, lambda _: ())) - expected) <= 4 * spread


def test_without_the_gold_items_the_score_is_no_better_than_chance(family):
    cases = [case for case in replace(family, count=50).cases() if case.gold]
    if not cases:
        assert family.ask == "unknown"
        return
    expected = statistics.mean(family.chance(case) for case in cases)
    spread = (expected * (1 - expected) / len(cases)) ** 0.5
    assert statistics.mean(scores(family, cases, without_gold)) <= expected + 4 * spread + 0.02


def test_equal_seeds_give_equal_cases_and_others_differ(family, cases):
    again, other = replace(family).cases()[:8], replace(family, seed=1).cases()[:8]
    assert list(again) == cases[:8]
    assert all(mine.items != theirs.items for mine, theirs in zip(cases, other, strict=False))


def test_a_case_depends_on_its_index_alone(family, cases):
    many = replace(family, count=1_000_000).cases()
    assert many[17] == cases[17]
    assert many[-1].id.endswith("-999999")
    assert list(family.cases()[3:6]) == [family.case(index) for index in (3, 4, 5)]


def test_ids_are_unique_and_gold_names_items(family, cases):
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        ids = [item.id for item in case.items]
        assert len(set(ids)) == len(ids)
        assert set(case.gold) <= set(ids)
        assert len(set(case.gold)) == len(case.gold)


def test_the_solver_looks_at_neither_target_nor_gold_nor_tags(family, cases):
    for case in cases[:6]:
        blind = case.model_copy(update={"target": None, "gold": (), "tags": {}})
        assert family.read(blind, case.items) == family.read(case, case.items)


def test_the_answer_is_not_in_the_question(family, cases):
    for case in cases:
        if case.choices:
            assert case.target in case.choices
            assert len(set(case.choices)) == len(case.choices)
            assert family.chance(case) == 1 / len(case.choices)
        else:
            assert family.chance(case) == 0
            answers = members(case.target) if family.metric == "set_f1" else {str(case.target)}
            assert answers
            assert all(not re.search(rf"\b{re.escape(text)}\b", case.question) for text in answers)


def test_every_case_says_how_hard_and_how_long_it_is(family, cases):
    for case in cases:
        assert case.tags["diffusion"] in (0, 1, 2)
        assert case.tags["scope"] in (0, 1, 2)
        assert case.tags["items"] == len(case.items)
        assert case.tags["characters"] == sum(len(item.body) for item in case.items)


BAD = [
    ("needles", {"kind": "double"}, "kind has to be one of .*'double'"),
    ("needles", {"depth": 1.5}, "depth has to be from 0 to 1, not 1.5"),
    ("needles", {"needles": 1}, "needles .* not 1"),
    ("needles", {"items": -1}, "items .* not -1"),
    ("tracking", {"hops": 0}, "hops .* not 0"),
    ("tracking", {"chains": -1}, "chains .* not -1"),
    ("aggregation", {"items": 3}, "items .* not 3"),
    ("aggregation", {"top": 8}, "top has to be from 1 to 7, not 8"),
    ("aggregation", {"categories": 40}, "categories .* not 40"),
    ("kv", {"pairs": 0}, "pairs .* not 0"),
    ("kv", {"position": -0.1}, "position .* not -0.1"),
    ("threads", {"pairs": 10}, "pairs has to be at least 20, not 10"),
    ("threads", {"direction": "sideways"}, "direction .* 'sideways'"),
    ("exam", {"mode": "gist"}, "mode .* 'gist'"),
    ("exam", {"wrong": 1.1}, "wrong .* not 1.1"),
    ("induction", {"shots": 3}, "shots .* not 3"),
    ("induction", {"wrong": 0.6}, "wrong .* not 0.6"),
    ("sessions", {"turns": 0}, "turns .* not 0"),
    ("sessions", {"capability": "none"}, "capability .* 'none'"),
    ("toolzoo", {"needed": 4}, "needed .* not 4"),
    ("toolzoo", {"tools": 1000}, "tools .* not 1000"),
    ("rules", {"every": 0}, "every .* not 0"),
    ("rules", {"docks": 2}, "docks .* not 2"),
    ("dialogue", {"sessions": 2}, "sessions .* not 2"),
    ("dialogue", {"turns": 6}, "turns .* not 6"),
    ("kv", {"count": 0}, "count has to be at least 1, not 0"),
]


@pytest.mark.parametrize(("name", "parameters", "sentence"), BAD)
def test_a_bad_parameter_is_refused_by_name(name, parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        GENERATORS[name](**parameters)


@pytest.mark.parametrize(
    "parameters",
    [{"pears": 3}, {"pairs": "many"}, {"pairs": 2.5}, {"pairs": True}, {"pairs": 0}, {"position": [1]}],
)
def test_a_parameter_file_is_told_the_family_and_what_it_knows(parameters):
    with pytest.raises(BadInput, match=r"the family kv .*known: count, seed, pairs, position"):
        made("kv", parameters)


def test_an_unknown_family_is_told_the_known_ones():
    with pytest.raises(UnknownName, match=r"unknown family of cases 'kvs'; known: aggregation, dialogue"):
        made("kvs", {})


def test_a_dataset_is_named_for_what_was_asked():
    generator, dataset = made("kv", {"pairs": 5, "count": 3, "position": 0})
    assert generator == GENERATORS["kv"](pairs=5, count=3, position=0.0)
    assert dataset.name == "kv:count=3,pairs=5,position=0"
    assert list(dataset.cases) == list(generator.cases())
    assert dataset.items(dataset.cases[0]) == dataset.cases[0].items
    assert made("kv", {})[1].name == "kv"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("needles", {"items": 1000}), ("kv", {"pairs": 1000}), ("sessions", {"items": 1000})],
)
def test_a_long_case_is_made_in_milliseconds(name, parameters):
    family = GENERATORS[name](**parameters)
    took = []
    for index in range(5):
        start = time.perf_counter()
        family.case(index)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.05  # 5 ms on an idle machine; shared ones are slower
