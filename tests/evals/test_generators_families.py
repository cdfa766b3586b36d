"""What single families promise beyond what all of them do."""

import json
from collections import Counter
from itertools import pairwise

import pytest

from ctxeng_evals.generators.aggregation import Aggregation
from ctxeng_evals.generators.dialogue import Dialogue
from ctxeng_evals.generators.exam import Exam
from ctxeng_evals.generators.exam_tasks import PHRASES
from ctxeng_evals.generators.induction import Induction
from ctxeng_evals.generators.kv import KeyValues
from ctxeng_evals.generators.needles import Needles
from ctxeng_evals.generators.rules import Rules
from ctxeng_evals.generators.sessions import Sessions
from ctxeng_evals.generators.threads import Threads
from ctxeng_evals.generators.tool_words import NOUNS, SERVERS, VERBS
from ctxeng_evals.generators.toolzoo import ToolZoo
from ctxeng_evals.generators.tracking import Tracking


def places(case):
    at = {item.id: place for place, item in enumerate(case.items)}
    return [at[name] for name in case.gold]


@pytest.mark.parametrize(("depth", "place"), [(0.0, 0), (0.5, 53), (1.0, 103)])
def test_a_needle_stands_at_its_depth(depth, place):
    # a hundred sentences and three distractors: the end of the hay is place 103
    for case in Needles(kind="multi-key", depth=depth).cases()[:5]:
        assert abs(places(case)[0] - place) <= 2
        assert case.tags["depth"] == depth


def test_each_kind_of_needles_plants_as_many_facts_as_it_says():
    counted = {
        kind: sum(
            any(digit in item.text for digit in "0123456789") for item in Needles(kind=kind).case(0).items
        )
        for kind in ("single", "multi-key", "multi-value", "multi-query")
    }
    assert counted == {"single": 1, "multi-key": 4, "multi-value": 4, "multi-query": 4}


def test_a_tracked_value_passes_through_every_hop():
    case = Tracking(hops=5, chains=2).case(0)
    texts = {item.id: item.text for item in case.items}
    assert len(case.items) == 100 + 6 * 3
    assert [texts[name].split()[1] for name in case.gold] == case.target.split(", ")


@pytest.mark.parametrize("items", [8, 9, 100])
def test_the_most_common_are_strictly_more_common_than_the_others(items):
    for case in Aggregation(kind="top", items=items).cases()[:20]:
        ranked = Counter(item.text.split()[-1].rstrip(".") for item in case.items).most_common()
        assert len(case.items) == items
        assert {name for name, _ in ranked[:3]} == set(case.target.split(", "))
        assert ranked[2][1] > (ranked[3][1] if len(ranked) > 3 else 0)


def test_the_position_of_a_pair_is_tagged():
    assert KeyValues(pairs=1).case(0).tags["position"] == 0
    for position in (0.0, 0.25, 1.0):
        case = KeyValues(pairs=101, position=position).case(0)
        assert places(case) == [100 * position]
        assert case.tags["position"] == position
    assert len({KeyValues().case(index).tags["position"] for index in range(30)}) > 10


def test_a_forward_thread_runs_down_the_haystack_and_a_backward_one_up():
    for index in range(10):
        down = places(Threads(direction="forward").case(index))
        up = places(Threads(direction="backward").case(index))
        assert down == sorted(down)
        assert up == sorted(up, reverse=True)


def test_a_broken_thread_ends_where_the_evidence_ends():
    family = Threads()
    case = family.case(0)
    left = [item for item in case.items if item.id != case.gold[3]]
    assert family.read(case, left) in next(item.text for item in case.items if item.id == case.gold[2])


def test_exams_state_their_instructions_where_their_mode_says():
    for index in range(10):
        papers = {mode: Exam(mode=mode, questions=30).case(index) for mode in ("GIST", "LIST", "LIMT")}
        tasks = {
            mode: [{name for phrase, name in PHRASES.items() if phrase in item.text} for item in paper.items]
            for mode, paper in papers.items()
        }
        assert any(phrase in papers["GIST"].question for phrase in PHRASES)
        assert all(
            not any(phrase in papers[mode].question for phrase in PHRASES) for mode in ("LIST", "LIMT")
        )
        assert set().union(*tasks["GIST"]) == set()
        assert len(set().union(*tasks["LIST"])) == 1
        assert len(set().union(*tasks["LIMT"])) > 4
        assert all(tasks["LIMT"])


@pytest.mark.parametrize(("share", "false"), [(0.0, 0), (0.125, 2), (0.5, 8)])
def test_the_gold_of_an_induction_is_its_true_shots(share, false):
    for case in Induction(wrong=share).cases()[:10]:
        assert len(case.items) - len(case.gold) == false


def test_the_answer_to_an_induction_survives_a_thousand_shots_half_of_them_false():
    family = Induction(shots=1024, wrong=0.5)
    case = family.case(0)
    assert family.read(case, case.items) == case.target


@pytest.mark.parametrize("world", ["lists", "words"])
def test_few_shots_half_of_them_false_still_leave_one_answer(world):
    family = Induction(world=world, shots=4, wrong=0.5, count=300)
    assert all(family.read(case, case.items) == case.target for case in family.cases())


def test_turns_of_a_session_share_items_and_group_and_ask_different_things():
    cases = Sessions(turns=5, count=10).cases()
    first, second = list(cases[:5]), list(cases[5:])
    assert [case.turn for case in first] == [0, 1, 2, 3, 4]
    assert len({case.group for case in first}) == 1
    assert first[0].group != second[0].group
    assert all(case.items == first[0].items for case in first)
    assert first[0].items != second[0].items
    assert len({case.question for case in first}) == 5
    assert [case.tags["stage"] for case in first] == ["generation", *["retrieval"] * 4]


def test_requests_share_items_but_no_group():
    cases = list(Sessions(mode="multi-request", capability="multi").cases()[:5])
    assert len({case.group for case in cases}) == 5
    assert {case.turn for case in cases} == {0}
    assert len({item.source for case in cases for item in case.items}) == 1
    assert [case.tags["capability"] for case in cases] == [
        "string",
        "semantic",
        "global",
        "string",
        "semantic",
    ]
    stages = ["generation", "loading", "compression", "loading", "loading"]
    assert [case.tags["stage"] for case in cases] == stages


def test_a_tool_is_shown_as_a_function_schema_and_has_near_duplicates():
    for case in ToolZoo(tools=60).cases()[:10]:
        assert {item.kind for item in case.items} == {"tool"}
        for item in case.items:
            shown = json.loads(item.shown)
            assert shown["type"] == "function"
            assert shown["function"]["name"] == item.id
            assert shown["function"]["parameters"]["type"] == "object"
        parts = case.target.split("_")
        near = [
            item.id
            for item in case.items
            if sum(one != other for one, other in zip(item.id.split("_"), parts, strict=True)) == 1
        ]
        assert len(near) >= 3
        assert len(case.items) == 60


def test_a_paraphrase_shares_no_word_of_content_with_what_it_means():
    small = {"a", "an", "the", "of", "in", "for", "by", "as", "to", "who", "those"}
    for word in (*VERBS, *NOUNS, *SERVERS):
        meant = {word.name, *word.about.lower().split()}
        assert not (meant & set(word.asked.lower().split())) - small


def test_a_rule_changes_after_so_many_cases_and_never_to_itself():
    family = Rules(every=10, stale=9, docks=3)
    assert [family.case(index).tags["epoch"] for index in (0, 9, 10, 95)] == [0, 0, 1, 9]
    revisions = {item.id: item.text.split()[-1] for item in family.case(95).items}
    assert len(revisions) == 3 * 4 * 10
    for before, after in pairwise(f"north-frozen-{number}" for number in range(1, 11)):
        assert revisions[before] != revisions[after]


def test_a_stale_rule_without_the_one_in_force_misleads():
    family = Rules(every=1, stale=1)
    for case in family.cases()[1:30]:
        stale = [item for item in case.items if item.id not in case.gold]
        assert family.read(case, stale) != case.target


def test_entries_keep_their_text_from_case_to_case():
    family = Rules()
    first, second = ({item.id: item.text for item in family.case(index).items} for index in (26, 60))
    shared = first.keys() & second.keys()
    assert len(shared) == 2 * 3 * 4
    assert all(first[name] == second[name] for name in shared)


def test_a_mixed_dialogue_asks_all_four_kinds_in_turn():
    cases = list(Dialogue().cases()[:40])
    asks = [case.tags["ask"] for case in cases]
    assert asks[:4] == ["current", "previous", "contradiction", "unknown"]
    assert {case.target for case in cases[2::4]} == {"yes", "no"}
    assert {case.target for case in cases[3::4]} == {"unknown"}
    assert all(len(case.gold) == 1 for case in cases[::4])
    assert all(len(case.gold) == 2 for case in cases[1::4])


def test_messages_alternate_within_sessions_and_stand_in_reading_order():
    case = Dialogue(sessions=20).case(0)
    assert len(case.items) == 20 * 12
    assert len({item.source for item in case.items}) == 20
    assert [item.role for item in case.items[:4]] == ["user", "assistant", "user", "assistant"]
    by_id = {item.id: item for item in case.items}
    assert all(by_id[name].role == "user" for name in case.gold)


def test_the_days_of_a_long_dialogue_restore_its_order():
    family = Dialogue(ask="current", sessions=30)
    assert all(family.read(case, case.items[::-1]) == case.target for case in family.cases()[:20])


def test_guesses_differ_from_case_to_case_and_stay_the_same_for_one():
    family = Rules()
    guesses = [family.read(case, ()) for case in family.cases()]
    assert set(guesses) == set(family.case(0).choices)
    assert guesses == [family.read(case, ()) for case in family.cases()]


def test_an_update_that_was_lost_leaves_the_stale_value():
    family = Dialogue(ask="current")
    for case in family.cases()[:20]:
        left = [item for item in case.items if item.id not in case.gold]
        assert family.read(case, left) not in (case.target, "unknown")
