"""The pruner alone: few of many tools, as the objects they came as."""

import pytest

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tools.pruner import ToolPruner
from ctxeng.turn import Tool


def refund(order: str) -> str:
    """Pay an order's price back to the customer."""
    return order


def weather(city: str) -> str:
    """The weather of today in a city."""
    return city


def translate(text: str, language: str) -> str:
    """A text in another language."""
    return text + language


SCHEMA = {
    "type": "function",
    "function": {
        "name": "ship",
        "description": "Send a parcel",
        "parameters": {"type": "object", "properties": {"address": {"type": "string"}}},
    },
}


class Named:
    name = "calendar_add"
    description = "Put an appointment into the calendar"
    inputSchema = {"type": "object", "properties": {"day": {"type": "string"}}}  # noqa: N815 - MCP's name


@pytest.mark.parametrize("encoder", [None, HashingEmbedder()])
def test_the_objects_that_were_given_come_back_in_their_order(encoder):
    pruner = ToolPruner(encoder)
    given = [refund, weather, translate, SCHEMA, Named(), Tool(name="pay", description="Pay a bill")]
    assert pruner.select("what is the weather in Oslo", given, 1) == [weather]
    assert pruner.select("an appointment in my calendar", given, 1) == [given[4]]
    assert pruner.select("send the parcel to this address", given, 1) == [SCHEMA]
    both = pruner.select("weather in the city, and pay the bill", given, 2)
    assert both == [weather, given[5]]


def test_few_tools_are_all_given_back_without_a_look():
    assert ToolPruner(None).select("anything", ["no tool at all"], 8) == ["no tool at all"]


def test_two_tools_of_one_name_are_two():
    given = [
        Tool(name="search", description="Search mail"),
        Tool(name="search", description="Search flights"),
    ]
    assert ToolPruner(None).select("flights to Rome", [*given, refund], 1) == [given[1]]


def test_what_is_no_tool_is_named_by_its_place():
    with pytest.raises(BadInput, match="tool 2 is a int"):
        ToolPruner(None).select("x", [refund, 7], 1)
    with pytest.raises(BadInput, match="tool 1 has no name"):
        ToolPruner(None).select("x", [{"description": "?"}, refund], 1)
