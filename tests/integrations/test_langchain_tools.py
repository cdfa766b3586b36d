"""LangChain tools as ours, and ours as LangChain tools."""

import asyncio

import pytest
from langchain_core.tools import ToolException, tool

from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.functions import Functions
from ctxeng.tools.providers import Providers
from ctxeng.turn import Call, Scope
from ctxeng_integrations.langchain_tools import LangChainProvider, as_langchain


@tool
def multiply(a: int, b: int) -> int:
    """The product of two numbers."""
    return a * b


@tool
def broken(text: str) -> str:
    """Never works."""
    raise RuntimeError(f"no {text}")


@tool
async def greet(name: str) -> dict[str, str]:
    """A greeting."""
    return {"hello": name}


@pytest.fixture
def provider():
    return LangChainProvider("lc", [multiply, broken, greet])


def call(name, /, **arguments):
    return Call(id="c", name=name, arguments=arguments)


def test_their_tools_are_listed_with_their_schemas(provider):
    found = provider.tools()
    assert [(each.name, each.server) for each in found] == [
        ("multiply", "lc"),
        ("broken", "lc"),
        ("greet", "lc"),
    ]
    assert found[0].description == "The product of two numbers."
    assert found[0].parameters["properties"]["a"]["type"] == "integer"
    assert found[0].parameters["required"] == ["a", "b"]


def test_their_calls_run_through_a_catalogue(provider):
    catalogue = Catalogue()
    providers = Providers(catalogue, [provider])
    providers.refresh()
    assert providers.run(call("multiply", a=6, b=7), Scope()).text == "42"
    assert asyncio.run(providers.arun(call("greet", name="Ida"), Scope())).text == '{"hello": "Ida"}'


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (call("broken", text="way"), "RuntimeError: no way"),
        (call("multiply", a="x", b=1), "a"),
        (call("absent"), "no tool 'absent'"),
        (Call(id="c", name="multiply", malformed="{"), "not valid JSON"),
    ],
)
def test_what_goes_wrong_is_an_error_result(provider, asked, said):
    for result in (provider.run(asked, Scope()), asyncio.run(provider.arun(asked, Scope()))):
        assert result.is_error
        assert said in result.text


def halve(number: int) -> float:
    """Half of a number."""
    return 1 / number * number * number / 2


def test_ours_run_in_langchain_and_errors_are_theirs():
    functions = Functions.of(halve)
    (ours,) = as_langchain(functions.tools, functions)
    assert ours.invoke({"number": 8}) == "4.0"
    assert asyncio.run(ours.ainvoke({"number": 6})) == "3.0"
    with pytest.raises(ToolException, match="ZeroDivisionError"):
        ours.invoke({"number": 0})
