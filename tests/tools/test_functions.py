"""Functions as tools: schema from the signature, every failure a result."""

import pytest

from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Scope


def book(seat: str, count: int = 1) -> dict[str, object]:
    """Book seats.

    More that the model need not read.
    """
    return {"seat": seat, "count": count}


def whose(scope: Scope) -> str:
    """Who asks."""
    return scope.user


def broken() -> None:
    """Fails."""
    raise RuntimeError("out of paper")


TOOLS = Functions.of(book, whose, broken)


def run(name, **fields):
    return TOOLS.run(Call(id="1", name=name, **fields), Scope(user="ann"))


def test_the_signature_becomes_the_schema():
    tool = TOOLS.tools[0]
    assert tool.description == "Book seats."
    assert tool.parameters["required"] == ["seat"]
    assert tool.parameters["properties"]["count"]["type"] == "integer"
    assert "scope" not in TOOLS.tools[1].parameters["properties"]


def test_results_are_json_and_defaults_are_the_functions_own():
    assert run("book", arguments={"seat": "4A"}).text == '{"seat": "4A", "count": 1}'


def test_the_scope_reaches_the_function_and_never_the_model():
    assert run("whose").text == "ann"
    assert run("whose", arguments={"scope": {"user": "eve"}}).text == "ann"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"name": "nothing"}, "no tool named 'nothing'; there are: book, whose, broken"),
        ({"name": "book", "arguments": {}}, "seat: Field required"),
        ({"name": "book", "malformed": '{"seat": '}, "not valid JSON"),
        ({"name": "broken"}, "RuntimeError: out of paper"),
    ],
)
def test_what_goes_wrong_is_a_result_that_says_so(call, said):
    result = run(call.pop("name"), **call)
    assert result.is_error
    assert said in result.text
