"""Memory in the model's own hands: results taken out, texts looked up, walls between users."""

from __future__ import annotations

import pytest

from ctxeng.memory.manage import Desk
from ctxeng.memory.memory import Memory
from ctxeng.memory.record import Pruned
from ctxeng.models.scripted import ScriptedModel
from ctxeng.turn import Call, Message, Request, Scope, user
from remembering import SCOPE, ask, price, remembering, texts


def test_the_model_takes_a_result_out_and_the_pair_stays_valid():
    def reply(context, ask):
        if len(model.asks) == 1:
            return "seen"
        if len(model.asks) == 2:
            call = Call(
                id="p", name="prune_context", arguments={"record_ids": ["m3"], "summary": "it was 42"}
            )
            return Message(role="assistant", parts=(call,))
        return "pruned"

    model = ScriptedModel(reply)
    app, source = remembering(model, edits=True)
    history = (
        user("look"),
        Message(role="assistant", parts=(Call(id="k", name="lookup", arguments={"key": "x"}),)),
        Message.model_validate(
            {"role": "tool", "parts": [{"type": "result", "call_id": "k", "text": "42 " * 99}]}
        ),
    )
    ask(app, "hello", history=history)
    turn = ask(app, "now prune")
    assert "took out m3" in turn.steps[0].results[0].text
    assert "tokens freed" in turn.steps[0].results[0].text
    assert any("[m3]" in text for text in texts(model.seen[1]))
    assert not any("[m3]" in text for text in texts(model.seen[2]))
    assert any("it was 42" in text for text in texts(model.seen[2]))
    assert source.memory.session(SCOPE).view.edits[0].type == "pruned"


def test_a_model_cannot_edit_where_edits_are_off():
    call = Call(id="p", name="prune_context", arguments={"record_ids": ["m1"], "summary": ""})
    model = ScriptedModel([Message(role="assistant", parts=(call,)), "fine"])
    app, _ = remembering(model)
    turn = ask(app, "hi")
    assert turn.steps[0].results[0].is_error


def test_the_model_looks_up_what_it_no_longer_sees_and_reads_it_whole():
    searched = Call(id="s", name="recall_memory", arguments={"query": "vault code"})
    read = Call(id="r", name="recall_memory", arguments={"ref": "sunday:m1"})
    model = ScriptedModel(
        ["ok", Message(role="assistant", parts=(searched,)), Message(role="assistant", parts=(read,)), "7351"]
    )
    app, source = remembering(model, recall=True, asks=True, recalled=1)
    ask(app, "the vault code is 7351", SCOPE.model_copy(update={"session": "sunday"}))
    turn = ask(app, "what is it?")
    assert "[sunday:m1]" in turn.steps[0].results[0].text
    assert turn.steps[1].results[0].text.endswith("the vault code is 7351")
    found = source.recall.search("vault code", SCOPE.model_copy(update={"session": ""}), 10)
    assert next(each.ref for each in found if "7351" in each.text) == "sunday:m1"
    assert not any("From memory" in each.text for each in found)


def test_nobody_reads_another_users_records_by_reference():
    read = Call(id="r", name="recall_memory", arguments={"ref": "sunday:m1"})
    model = ScriptedModel(["ok", Message(role="assistant", parts=(read,)), "no"])
    app, _ = remembering(model, recall=True, asks=True)
    ask(app, "the vault code is 7351", Scope(tenant="acme", user="bob", session="sunday"))
    turn = ask(app, "what is it?")
    assert turn.steps[0].results[0].is_error
    assert "7351" not in turn.steps[0].results[0].text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"record_ids": ["m9"], "summary": ""}, "no record 'm9'"),
        ({"record_ids": ["nonsense"], "summary": ""}, "no record 'nonsense'"),
        ({"record_ids": [], "summary": ""}, "`record_ids` is needed"),
        ({"record_ids": "m1", "summary": ""}, "`record_ids` is needed"),
        ({"record_ids": ["m1"]}, "`summary` is needed"),
    ],
)
def test_an_edit_that_cannot_be_made_is_said_and_changes_nothing(arguments, says):
    app, source = remembering(ScriptedModel(["hello"]), edits=True)
    ask(app, "hi")
    call = Call(id="p", name="prune_context", arguments=arguments)
    result = source.manage(call, Request(query=user("now"), scope=SCOPE), (call,))
    assert result.is_error
    assert says in result.text
    assert source.memory.session(SCOPE).view.edits == []


def test_an_edit_that_another_process_overtook_is_said_to_the_model():
    app, source = remembering(ScriptedModel(["hello"]), edits=True)
    ask(app, "hi")
    held = source.memory.session(SCOPE)
    other = Memory(source.memory.store, price).session(SCOPE)
    pruned = Pruned(numbers=(2,), text="")
    Desk(other).session.edit(pruned)
    call = Call(id="p", name="prune_context", arguments={"record_ids": ["m1"], "summary": ""})
    result = Desk(held).answered(call)
    assert result.is_error
    assert Desk(held).answered(call).is_error is False
