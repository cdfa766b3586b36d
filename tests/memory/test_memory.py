"""Memory alone: an application's list in, a window out; nothing taken in twice, nothing lost."""

from __future__ import annotations

import threading

import pytest

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.clear import ClearToolUses
from ctxeng.memory.memory import Memory
from ctxeng.memory.record import Pruned, Restored
from ctxeng.memory.session import Session
from ctxeng.memory.trigger import Condition
from ctxeng.message import Message, assistant, user
from ctxeng.turn import Scope
from sessions import SCOPE, call, price, result, session, store, words


def dialogue(turns: int) -> list[Message]:
    return [m for n in range(turns) for m in (user(f"question {n}"), assistant(f"answer {n}"))]


def test_a_list_that_fits_comes_back_as_it_is() -> None:
    memory, messages = Memory(store(), price), dialogue(3)
    assert memory.compact(messages) == messages


def test_what_is_new_is_taken_in_and_nothing_twice() -> None:
    memory, messages = Memory(store(), price), dialogue(3)
    for end in (2, 4, 4, 6):
        assert memory.compact(messages[:end], SCOPE) == messages[:end]
    assert [record.number for record in memory.session(SCOPE).view.records] == [1, 2, 3, 4, 5, 6]


def test_a_process_that_starts_again_goes_on_where_the_store_ends() -> None:
    kept, messages = store(), dialogue(4)
    Memory(kept, price).compact(messages[:5], SCOPE)
    again = Memory(kept, price)
    assert again.compact(messages, SCOPE) == messages
    assert len(again.session(SCOPE).view.records) == 8


def test_an_edit_survives_a_restart() -> None:
    kept = store()
    messages = [user("go"), call("a"), result("a", words(50)), call("b"), result("b", "fine")]
    policies = (ClearToolUses(Condition("tokens", 20), keep=1),)
    window = Memory(kept, price, policies).compact(messages, SCOPE)
    assert "cleared" in window[2].text
    assert Memory(kept, price, policies).compact(messages, SCOPE) == window


def test_a_list_that_changed_behind_our_back_is_refused_by_name() -> None:
    memory, messages = Memory(store(), price), dialogue(3)
    memory.compact(messages, SCOPE)
    with pytest.raises(BadInput, match=r"session 'monday': its first 6 messages"):
        memory.compact(messages[:4], SCOPE)
    with pytest.raises(BadInput, match="only grows"):
        memory.compact([*messages[:5], assistant("another")], SCOPE)


def test_a_scope_without_a_session_is_refused() -> None:
    with pytest.raises(BadInput, match="needs a session"):
        Memory(store(), price).session(Scope(user="ada"))


def test_two_users_share_nothing() -> None:
    memory = Memory(store(), price)
    memory.compact(dialogue(2), SCOPE)
    other = SCOPE.model_copy(update={"user": "bob"})
    assert memory.session(other).view.records == []


def test_forgetting_a_user_leaves_the_others() -> None:
    memory = Memory(store(), price)
    other = SCOPE.model_copy(update={"user": "bob"})
    memory.compact(dialogue(2), SCOPE)
    memory.compact(dialogue(1), other)
    assert memory.forget(Scope(user="ada")).records == 4
    assert memory.session(SCOPE).view.records == []
    assert len(memory.session(other).view.records) == 2


def test_two_processes_that_write_one_session_lose_nothing() -> None:
    kept = store()
    first, second = Session(kept, SCOPE, price), Session(kept, SCOPE, price)
    first.append([("a", user("one"))])
    second.append([("b", user("two"))])
    first.append([("c", user("three"))])
    first.refresh()
    assert [record.message.text for record in first.view.records] == ["one", "two", "three"]


def test_threads_that_append_at_once_all_get_through() -> None:
    kept = store()
    held = Session(kept, SCOPE, price)
    threads = [
        threading.Thread(target=lambda name=name: held.append([(f"{name}", user(f"said {name}"))]))
        for name in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.message.text for record in held.view.records} == {f"said {n}" for n in range(16)}


def test_an_edit_is_made_although_others_added_something_meanwhile() -> None:
    kept = store()
    first = session(user("go"), call("a"), result("a", words(9)), kept=kept)
    Session(kept, SCOPE, price).append([("late", user("and?"))])
    first.edit(Pruned(numbers=(3,), text="(note)"))
    assert [message.text for message in first.view.messages] == ["go", "(note)", "and?"]


def test_an_edit_is_refused_where_another_edit_came_first() -> None:
    kept = store()
    first = session(user("go"), call("a"), result("a"), kept=kept)
    Session(kept, SCOPE, price).edit(Pruned(numbers=(3,)))
    with pytest.raises(Conflict):
        first.edit(Restored(numbers=(3,)))
    assert len(first.view.edits) == 1


def test_a_key_that_is_known_is_not_taken_in_again() -> None:
    held = session(user("one"))
    assert held.append([("0", user("one, said otherwise")), ("new", user("two"))])[0].message.text == "two"
    assert len(held.view.records) == 2
