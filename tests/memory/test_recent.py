"""The newest exchanges of a dialogue, with calls and results kept together and nothing lost beside them."""

from ctxeng.memory.recent import RecentHistory, split_exchanges
from ctxeng.protocols import Allowance
from ctxeng.turn import Call, Message, Request, Result, Text, assistant, user

ASKS = Message(role="assistant", parts=(Call(id="k", name="look"),))
FOUND = Result(call_id="k", text="rain")


def told(exchanges):
    return [[(message.role, message.text) for message in exchange] for exchange in exchanges]


def test_words_beside_a_tool_result_are_the_users_next_message():
    both = Message(role="user", parts=(FOUND, Text(text="And tomorrow?")))
    exchanges = split_exchanges([user("Today?"), ASKS, both, assistant("Sun.")])
    assert told(exchanges) == [
        [("user", "Today?"), ("assistant", ""), ("user", "rain")],
        [("user", "And tomorrow?"), ("assistant", "Sun.")],
    ]
    assert exchanges[0][2].parts == (FOUND,)


def test_a_result_without_its_call_and_a_call_without_its_result_are_left_out():
    orphan = Message(role="tool", parts=(FOUND,))
    assert split_exchanges([user("a"), orphan]) == [[user("a")]]
    assert split_exchanges([user("a"), ASKS]) == [[user("a")]]


def test_exchanges_are_kept_whole_from_the_newest_back():
    history = (user("one"), assistant("1"), user("two"), assistant("2"))
    request = Request(query=user("q"), history=history)
    sections = RecentHistory().gather(request, Allowance(20, lambda _: 10))
    assert [section.body.text for section in sections] == ["two", "2"]
