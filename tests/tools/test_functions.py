"""Functions as tools: schema from the signature, every failure a result."""

import pytest

from ctxeng.errors import BadInput
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


def test_names_that_pydantic_keeps_to_itself_are_parameters_like_others():
    def odd(copy: int, _private: int, model_config: str = "m", **more: int) -> dict[str, object]:
        """Odd."""
        return {"copy": copy, "_private": _private, "model_config": model_config, **more}

    tools = Functions.of(odd)
    (tool,) = tools.tools
    assert list(tool.parameters["properties"]) == ["copy", "_private", "model_config"]
    given = {"copy": 1, "_private": 2, "z": 3}
    result = tools.run(Call(id="1", name="odd", arguments=given), Scope())
    assert result.text == '{"copy": 1, "_private": 2, "model_config": "m", "z": 3}'
    bad = tools.run(Call(id="1", name="odd", arguments={"copy": "x", "_private": 2}), Scope())
    assert bad.text.startswith("bad arguments: copy:")


def test_a_parameter_without_a_name_is_refused_when_the_tool_is_made():
    def place(first, /):
        """By position."""

    with pytest.raises(BadInput, match="first can only be given by position"):
        _ = Functions.of(place).tools
