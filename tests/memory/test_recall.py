"""Finding what left the window: passages, times, duplicates, walls between users, and forgetting."""

from __future__ import annotations

import pytest

from ctxeng.memory.intake import FROM_MEMORY
from ctxeng.memory.memory import Memory
from ctxeng.memory.recall import Recall
from ctxeng.memory.shelf import searched_texts
from ctxeng.message import assistant, user
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.turn import Scope
from sessions import SCOPE, call, price, result, store, words

ALL = SCOPE.model_copy(update={"session": ""})
LONG = "The harbour was built in 1887 of granite from the hills. " + words(60, "stone")


def kept(*texts, scope=SCOPE, clock=None, where=None):
    where = where or store()
    memory = Memory(where, price, clock=clock or (lambda: "2026-05-01T00:00:00+00:00"))
    session = memory.session(scope)
    start = len(session.view.records)
    session.append([(f"{start + n}", user(text)) for n, text in enumerate(texts)])
    return where


def found(recall, query, **options):
    return [each.text for each in recall.search(query, options.pop("scope", ALL), **options)]


@pytest.mark.parametrize("encoder", [None, HashingEmbedder()])
def test_a_long_record_is_found_alone_and_short_ones_with_what_was_said_around_them(encoder):
    recall = Recall(kept("hello", "the code is 7351", "thanks", LONG, "bye"), encoder)
    assert found(recall, "harbour granite", count=1) == [LONG]
    (passage,) = recall.search("code", ALL, 1)
    assert passage.refs == ("monday:m1", "monday:m2", "monday:m3")
    assert passage.text == "user: hello\nuser: the code is 7351\nuser: thanks"


def test_a_long_text_that_is_said_again_stands_once_where_it_was_said_last():
    recall = Recall(kept(LONG, "and now something else", LONG))
    (one,) = [each for each in recall.search("harbour", ALL, 5) if "harbour" in each.text]
    assert one.ref == "monday:m3"


def test_what_arrives_is_found_at_once_and_short_records_join_the_open_passage():
    where = kept("the code is 7351")
    recall = Recall(where)
    assert len(recall.search("code", ALL, 5)[0].records) == 1
    kept("and the door is green", where=where)
    assert len(recall.search("code", ALL, 5)[0].records) == 2
    assert found(recall, "green door")


def test_results_that_were_recalled_are_not_found_again():
    where = store()
    session = Memory(where, price).session(SCOPE)
    session.append(
        [("a", call("k")), ("b", result("k", FROM_MEMORY + "the code is 7351")), ("c", assistant("ok"))]
    )
    assert found(Recall(where), "code 7351") == []
    assert not any("7351" in text for text in searched_texts(where, SCOPE))


def test_times_bound_what_is_found():
    where = kept(LONG, clock=lambda: "2026-03-10T08:00:00+00:00")
    recall = Recall(where)
    assert found(recall, "harbour", since="2026-03", until="2026-03")
    assert not found(recall, "harbour", since="2026-04")
    assert not found(recall, "harbour", until="2026-02")


def test_refs_that_are_shown_already_are_left_out_of_a_passage():
    recall = Recall(kept("hello", "the code is 7351", "thanks"))
    (passage,) = recall.search("code", ALL, 1, without={"monday:m1", "monday:m3"})
    assert passage.refs == ("monday:m2",)
    assert recall.search("code", ALL, 1, without={"monday:m1", "monday:m2", "monday:m3"}) == []


def test_a_session_is_searched_alone_where_it_is_named():
    where = kept(LONG)
    kept(
        "the harbour again, but in another session",
        scope=SCOPE.model_copy(update={"session": "two"}),
        where=where,
    )
    assert {each.session for each in Recall(where).search("harbour", ALL, 5)} == {"monday", "two"}
    assert {each.session for each in Recall(where).search("harbour", SCOPE, 5)} == {"monday"}


def test_nobody_finds_what_others_said():
    where = kept(LONG)
    for other in (Scope(tenant="acme", user="bob"), Scope(tenant="", user="ada"), Scope()):
        assert Recall(where).search("harbour", other, 5) == []


def test_what_was_forgotten_vanishes_from_a_live_index():
    where = kept(LONG)
    recall = Recall(where)
    assert found(recall, "harbour")
    where.forget(SCOPE)
    assert found(recall, "harbour") == []
    kept("a new harbour", where=where)
    assert found(recall, "harbour") == ["a new harbour"]


def test_by_price_the_short_one_of_two_that_say_the_same_comes_first():
    short = "the harbour was built of granite in the year 1887"
    recall = Recall(kept(LONG + words(300, "talk"), "x " * 70, short))
    by_price = recall.search("harbour granite 1887", ALL, 2, price=lambda each: len(each.text))
    assert short in by_price[0].text
