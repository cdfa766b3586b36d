"""Views of sessions: valid requests whatever comes in, sums that follow, edits that say what they cost."""

from __future__ import annotations

import random

import pytest

from ctxeng.memory.intake import taken_in
from ctxeng.memory.record import Cleared, Edit, Pruned, Record, Restored, Shortened, Summarised
from ctxeng.memory.unit import MISSING
from ctxeng.memory.view import View, folded
from ctxeng.message import Call, Message, Result, Text, assistant, user
from transcripts import invalid, transcript


def price(message: Message) -> int:
    return 4 + sum(len(part.model_dump_json()) // 4 for part in message.parts)


def view_of(*messages: Message) -> View:
    return folded(taken_in([("", message) for message in messages], 0), (), price)


def call(name: str, *more: str) -> Message:
    parts = tuple(Call(id=each, name="find", arguments={"q": each}) for each in (name, *more))
    return Message(role="assistant", parts=parts)


def result(name: str, text: str = "found") -> Message:
    return Message(role="tool", parts=(Result(call_id=name, text=text),))


def edits(draw: random.Random, records: int) -> list[Edit]:
    def numbers() -> tuple[int, ...]:
        return tuple(draw.randint(1, records) for _ in range(draw.randint(1, 3)))

    made: list[Edit] = []
    for _ in range(draw.randint(0, 4)):
        at = draw.randint(0, records)
        kind = draw.randint(0, 4)
        if kind == 0:
            edit: Edit = Summarised(made=at, upto=draw.randint(0, at), text="so far", kept=numbers()[:1])
        elif kind == 1:
            edit = Cleared(made=at, numbers=numbers(), inputs=draw.random() < 0.5)
        elif kind == 2:
            edit = Pruned(made=at, numbers=numbers(), text=draw.choice(("", "a note")))
        elif kind == 3:
            edit = Restored(made=at, numbers=numbers())
        else:
            edit = Shortened(made=at, number=draw.randint(1, records), text="short")
        made.append(edit)
    return sorted(made, key=lambda edit: edit.made)


@pytest.mark.parametrize("part", range(10))
def test_no_transcript_however_broken_becomes_an_invalid_request(part: int) -> None:
    for seed in range(part * 1_000, part * 1_000 + 1_000):
        records = taken_in([("", message) for message in transcript(seed)], 0)
        draw = random.Random(seed)
        view = folded(
            records, edits(draw, len(records)) if records else (), price, marked=draw.random() < 0.5
        )
        assert not (why := invalid(view.messages)), f"seed {seed}: {why}"


@pytest.mark.parametrize("seed", range(300))
def test_adding_one_by_one_ends_where_folding_everything_does(seed: int) -> None:
    records = taken_in([("", message) for message in transcript(seed, 25)], 0)
    made = edits(random.Random(seed), len(records)) if records else []
    live, waiting = View(price), list(made)
    for record in records:
        while waiting and waiting[0].made < record.number:
            live.apply(waiting.pop(0))
        live.add(record)
        assert not invalid(live.messages)
    for edit in waiting:
        live.apply(edit)
    at_once = folded(records, made, price)
    assert live.messages == at_once.messages
    assert live.tokens == at_once.tokens == sum(map(price, live.messages))
    assert live.prices == [price(message) for message in live.messages]
    assert live.turns == at_once.turns == sum(message.role == "user" for message in live.messages)


def test_every_text_that_was_taken_in_is_in_a_record() -> None:
    for seed in range(500):
        messages = transcript(seed)
        kept = "".join(record.message.text for record in taken_in([("", m) for m in messages], 0))
        for message in messages:
            for part in message.parts:
                if isinstance(part, Text | Result) and part.text.strip():
                    assert part.text in kept


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    view = view_of(user("go"), call("a", "b"), result("b"), user("and?"))
    shown = [part for message in view.messages for part in message.parts if isinstance(part, Result)]
    assert [(part.call_id, part.text) for part in shown] == [("a", MISSING), ("b", "found")]
    assert [(fault.kind, fault.call_id) for fault in view.missing] == [("missing", "a")]


def test_a_late_result_takes_the_place_of_the_one_that_was_missing() -> None:
    view = view_of(user("go"), call("a"), user("and?"), result("a", "at last"))
    assert [message.role for message in view.messages] == ["user", "assistant", "tool", "user"]
    assert view.messages[2].text == "at last"
    assert not view.missing


def test_results_that_answer_no_call_or_answer_twice_are_reported_and_not_shown() -> None:
    view = view_of(user("go"), result("nobody's"), call("a"), result("a"), result("a", "again"))
    assert [(fault.kind, fault.number) for fault in view.faults] == [("orphan", 2), ("duplicate", 5)]
    assert [message.text for message in view.messages if message.role == "tool"] == ["found"]


def test_an_id_that_a_provider_uses_again_goes_with_the_newest_call() -> None:
    view = view_of(user("go"), call("a"), result("a", "one"), user("more"), call("a"), result("a", "two"))
    assert [message.text for message in view.messages if message.role == "tool"] == ["one", "two"]
    assert not view.faults


def test_an_edit_says_from_which_token_on_the_prompt_is_new() -> None:
    view = view_of(user("go"), call("a"), result("a", "x" * 400), user("and?"), call("b"), result("b"))
    before = view.tokens
    change = view.apply(Cleared(numbers=(3,)))
    assert change.first == sum(view.prices[:2])
    assert change.rewritten == sum(view.prices[2:])
    assert change.saved == before - view.tokens > 0


def test_trying_an_edit_changes_nothing() -> None:
    view = view_of(user("go"), call("a"), result("a", "x" * 400), user("and?"))
    before, tokens = list(view.messages), view.tokens
    tried = view.would(Pruned(numbers=(3,), text="note"))
    assert view.messages == before
    assert view.tokens == tokens
    assert view.apply(Pruned(numbers=(3,), text="note")) == tried


def test_pruning_the_only_result_takes_its_call_too_and_puts_the_note_there() -> None:
    view = view_of(user("go"), call("a"), result("a"), assistant("done"))
    view.apply(Pruned(numbers=(3,), text="(found it)"))
    assert [message.text for message in view.messages] == ["go", "(found it)", "done"]


def test_pruning_one_of_two_results_keeps_the_pair_valid() -> None:
    view = view_of(user("go"), call("a", "b"), result("a", "left"), result("b", "right"))
    view.apply(Pruned(numbers=(3,)))
    assert not invalid(view.messages)
    assert "m3" in view.messages[2].text
    assert view.messages[3].text == "right"


def test_what_was_pruned_cleared_or_summarised_can_be_restored_in_full() -> None:
    messages = (user("go"), call("a"), result("a", "whole"), user("more"), call("b"), result("b"))
    view = view_of(*messages)
    whole = list(view.messages)
    view.apply(Pruned(numbers=(3,)))
    view.apply(Cleared(numbers=(6,), inputs=True))
    view.apply(Restored(numbers=(2, 3, 5, 6)))
    assert view.messages == whole
    view.apply(Summarised(made=6, upto=4, text="so far"))
    assert "whole" not in "".join(message.text for message in view.messages)
    view.apply(Restored(numbers=(3,)))
    assert [m.text for m in view.messages if m.role == "tool"] == ["whole", "found"]
    assert not invalid(view.messages)


def test_after_a_summary_there_are_what_is_kept_the_summary_and_the_tail() -> None:
    view = view_of(user("task"), call("a"), result("a"), call("b"), result("b"), call("c"), result("c"))
    view.apply(Summarised(made=7, upto=5, text="two looked up", kept=(1,)))
    assert [message.role for message in view.messages] == ["user", "user", "assistant", "tool"]
    assert view.messages[0].text == "task"
    assert "two looked up" in view.messages[1].text


def test_a_result_whose_call_was_summarised_is_reported_and_kept() -> None:
    view = view_of(user("task"), call("a"), user("go on"))
    view.apply(Summarised(made=3, upto=3, text="so far"))
    view.add(Record(number=4, message=result("a", "too late")))
    assert [(fault.kind, fault.number) for fault in view.faults] == [("late", 4)]
    assert view.records[-1].message.text == "too late"
    assert not invalid(view.messages)


def test_ids_are_shown_on_results_where_they_are_asked_for() -> None:
    records = taken_in([("", m) for m in (user("go"), call("a"), result("a", "found"))], 0)
    assert folded(records, (), price, marked=True).messages[2].text == "[m3] found"
    assert folded(records, (), price).messages[2].text == "found"
