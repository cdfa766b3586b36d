"""Triggers: sentences and LangChain's form, and what is said of those that are none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ctxeng.errors import BadInput
from ctxeng.memory.trigger import NEVER, All, Any, Condition, trigger


@dataclass
class Sizes:
    tokens: int = 0
    turns: int = 0
    messages: list[int] = field(default_factory=list)


def test_a_sentence_of_or_and_and_reads_as_people_read_it() -> None:
    found = trigger("tokens > 20k or turns > 40 and messages >= 100")
    both = All((Condition("turns", 41), Condition("messages", 100)))
    assert found == Any((Condition("tokens", 20_001), both))


def test_parentheses_come_first() -> None:
    found = trigger("(tokens > 20k or turns >= 40) and messages >= 1.5k")
    assert found == All(
        (Any((Condition("tokens", 20_001), Condition("turns", 40))), Condition("messages", 1_500))
    )


def test_langchains_form_is_understood() -> None:
    assert trigger(("tokens", 4_000)) == Condition("tokens", 4_000)
    assert trigger([("tokens", 4_000), ("messages", 50)]) == Any(
        (Condition("tokens", 4_000), Condition("messages", 50))
    )
    assert trigger([{"tokens": 4_000, "turns": 3}]) == Any(
        (All((Condition("tokens", 4_000), Condition("turns", 3))),)
    )


@pytest.mark.parametrize(
    ("sizes", "fires"),
    [
        (Sizes(tokens=20_000), False),
        (Sizes(tokens=20_001), True),
        (Sizes(turns=41), False),
        (Sizes(turns=41, messages=[0] * 100), True),
    ],
)
def test_it_fires_where_the_sentence_says_so(sizes: Sizes, *, fires: bool) -> None:
    assert trigger("tokens > 20k or turns > 40 and messages >= 100").fires(sizes) is fires


def test_a_trigger_of_nothing_never_fires() -> None:
    assert not NEVER.fires(Sizes(tokens=10**9))


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("", "ends where a condition"),
        ("token > 20k", "tokens, messages, turns"),
        ("tokens < 20k", "'< 20k' is not understood"),
        ("tokens > lots", "an amount"),
        ("tokens > 20k turns > 3", "'turns' is too much"),
        ("(tokens > 20k", "closing parenthesis"),
        ("tokens > 20k or", "ends where a condition"),
    ],
)
def test_a_sentence_that_is_none_is_named_with_the_way_out(sentence: str, says: str) -> None:
    with pytest.raises(BadInput, match="for example") as error:
        trigger(sentence)
    assert says in str(error.value)


def test_an_amount_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="no amount"):
        trigger(("tokens", -1))
