from ctxeng.models.chat import Assembly
from ctxeng.turn import Call, Opaque, Text


def delta(finish=None, **fields):
    return {"choices": [{"delta": fields, "finish_reason": finish}]}


def call(index, name="", arguments="", **fields):
    return {"index": index, "function": {"name": name, "arguments": arguments}, **fields}


def assembled(*pieces):
    made = Assembly("anthropic")
    for piece in pieces:
        made.feed(piece)
    return made


def test_signed_thinking_grows_from_fragments_and_comes_before_what_it_led_to():
    made = assembled(
        delta(
            reasoning_content="so",
            thinking_blocks=[{"type": "thinking", "thinking": "so", "signature": None}],
        ),
        delta(thinking_blocks=[{"type": "thinking", "thinking": " be it", "signature": ""}]),
        delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "sig1"}]),
        delta(thinking_blocks=[{"type": "redacted_thinking", "data": "xyz"}]),
        delta(thinking_blocks=[{"type": "thinking", "thinking": "again", "signature": "sig2"}]),
        delta(content="yes"),
        delta("stop"),
    )
    opaque, text = made.message().parts
    assert opaque == Opaque(
        provider="anthropic",
        payload={
            "thinking_blocks": [
                {"type": "thinking", "thinking": "so be it", "signature": "sig1"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "thinking", "thinking": "again", "signature": "sig2"},
            ]
        },
    )
    assert text == Text(text="yes")


def test_calls_that_all_claim_the_same_index_are_told_apart_by_id():
    made = assembled(
        delta(tool_calls=[call(0, "add", '{"a"', id="x")]),
        delta(tool_calls=[call(0, "", ": 1}")]),
        delta(tool_calls=[call(0, "sub", "{}", id="y")]),
        delta("stop"),
    )
    assert made.message().calls == (
        Call(id="x", name="add", arguments={"a": 1}),
        Call(id="y", name="sub"),
    )
    assert made.ended() == "calls"


def test_what_a_provider_attaches_to_a_call_is_kept_for_the_way_back():
    fields = {"thought_signature": "abc"}
    made = assembled(delta(tool_calls=[call(0, "add", "{}", id="x", provider_specific_fields=fields)]))
    assert made.message().parts[0].payload == {"calls": {"x": fields}}


def test_a_call_without_an_id_gets_one():
    made = assembled(delta(tool_calls=[call(0, "add", "{}"), call(1, "sub", "{}")]))
    assert [made.id for made in made.message().calls] == ["call_0", "call_1"]


def test_an_empty_answer_is_an_empty_text():
    assert assembled(delta("stop")).message().parts == (Text(text=""),)


def test_pieces_without_choices_or_deltas_say_nothing():
    made = assembled({}, {"choices": []}, {"choices": [{"delta": None}]})
    assert not made.began
