"""What shrinks a session: clearing, setting aside; edits are made once, in batches, where they pay."""

from __future__ import annotations

from ctxeng.memory.aside import SetAside
from ctxeng.memory.clear import ClearToolUses, actions_only
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.policy import Worth
from ctxeng.memory.record import Cleared, Shortened
from ctxeng.memory.trigger import Condition
from ctxeng.memory.view import Change
from ctxeng.message import Message, user
from ctxeng.tokens import Estimate
from sessions import Recording, call, result, session, words


def steps(count: int, size: int = 20, tool: str = "find") -> list[Message]:
    return [
        message
        for number in range(count)
        for message in (call(f"c{number}", tool=tool), result(f"c{number}", words(size)))
    ]


def cleared(held: object) -> list[Cleared]:
    return [edit for edit in held.view.edits if isinstance(edit, Cleared)]  # type: ignore[attr-defined]


def test_nothing_is_cleared_below_the_trigger() -> None:
    held = session(user("go"), *steps(5), policies=(ClearToolUses(Condition("tokens", 1_000)),))
    assert held.compact() == []


def test_all_but_the_last_results_go_in_one_edit_and_their_calls_stay() -> None:
    held = session(user("go"), *steps(6), policies=(ClearToolUses(Condition("tokens", 50), keep=2),))
    done = held.compact()
    assert [each.edit.type for each in done] == ["cleared"]
    assert cleared(held)[0].numbers == (3, 5, 7, 9)
    assert [len(message.calls) for message in held.view.messages if message.role == "assistant"] == [1] * 6


def test_what_was_cleared_stays_cleared_and_is_not_cleared_again() -> None:
    held = session(user("go"), *steps(6), policies=(ClearToolUses(Condition("tokens", 50), keep=2),))
    held.compact()
    before = list(held.view.messages)
    assert held.compact() == []
    assert held.view.messages == before
    held.refresh()
    assert held.view.messages == before


def test_excluded_tools_keep_their_results_and_do_not_count_as_kept() -> None:
    messages = [user("go"), *steps(4), call("n", tool="notes"), result("n", words(20))]
    policy = ClearToolUses(Condition("tokens", 50), keep=1, exclude_tools=("notes",))
    held = session(*messages, policies=(policy,))
    held.compact()
    assert cleared(held)[0].numbers == (3, 5, 7)


def test_too_little_is_not_worth_an_edit() -> None:
    policy = ClearToolUses(Condition("tokens", 50), keep=5, clear_at_least=100)
    held = session(user("go"), *steps(6), policies=(policy,))
    assert held.compact() == []
    held.append([(f"x{n}", message) for n, message in enumerate(steps(12, size=30))])
    assert len(held.compact()) == 1


def test_inputs_go_too_where_that_is_asked_for() -> None:
    policy = ClearToolUses(Condition("tokens", 50), keep=2, clear_tool_inputs=True)
    held = session(user("go"), *steps(4), policies=(policy,))
    held.compact()
    arguments = [message.calls[0].arguments for message in held.view.messages if message.calls]
    assert arguments == [{}, {}, {"q": "c2"}, {"q": "c3"}]


def test_an_edit_pays_where_it_saves_more_over_the_next_calls_than_it_costs_once() -> None:
    worth = Worth(calls=20, cached=0.1)
    assert worth.pays(Change(first=100, rewritten=1_000, saved=500))
    assert not worth.pays(Change(first=100, rewritten=1_000, saved=400))
    assert Worth(calls=100).pays(Change(first=100, rewritten=1_000, saved=100))


def test_clearing_waits_until_it_pays_for_the_cache_it_costs() -> None:
    policy = ClearToolUses(Condition("tokens", 50), keep=1, worth=Worth(calls=1))
    held = session(user("go"), *steps(6), policies=(policy,))
    assert held.compact() == []
    patient = ClearToolUses(Condition("tokens", 50), keep=1, worth=Worth(calls=1_000))
    assert patient.propose(held.view) is not None


def test_actions_only_keeps_every_call_and_the_last_observations() -> None:
    held = session(user("go"), *steps(5), policies=(actions_only(keep=2),))
    held.compact()
    shown = [message.text for message in held.view.messages if message.role == "tool"]
    assert [text == words(20) for text in shown] == [False, False, False, True, True]


def test_a_result_too_large_is_shown_in_part_and_names_where_the_whole_is() -> None:
    text = "start " + words(500) + " end"
    held = session(user("go"), call("a"), result("a", text), policies=(SetAside(most=60),))
    done = held.compact()
    assert [each.edit.type for each in done] == ["shortened"]
    shown = held.view.messages[-1].text
    assert shown.startswith("start")
    assert "in memory as m3" in shown
    assert held.view.prices[-1] <= 60
    assert held.view.records[2].message.text == text


def test_results_that_fit_are_left_alone_and_looked_at_once() -> None:
    held = session(user("go"), *steps(3), policies=(SetAside(most=60),))
    assert held.compact() == []
    assert held.view.fresh == []
    assert not any(isinstance(edit, Shortened) for edit in held.view.edits)


def test_a_task_that_is_over_the_limit_alone_does_not_lead_to_a_summary_a_step() -> None:
    recording = Recording()
    policy = Compaction(recording, Estimate(), Condition("tokens", 100), keep=20, room=40)
    held = session(user(words(300, "task")), policies=(policy,))
    for number in range(40):
        held.append([(f"{number}c", call(f"c{number}")), (f"{number}r", result(f"c{number}", words(4)))])
        held.compact()
    summaries = [edit for edit in held.view.edits if edit.type == "summarised"]
    assert 3 <= len(summaries) <= 14
    assert held.view.messages[0].text.startswith("task")
    assert held.view.tokens < 300 + 20 + 40 + 3 * 20
