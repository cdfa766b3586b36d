"""Provider limits: which names pass, and names that fit and lead back."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, UnknownName
from ctxeng.tools.limits import (
    ANTHROPIC,
    BEDROCK,
    GEMINI,
    LIMITS,
    OPENAI,
    STRICTEST,
    fitted,
    limits_for,
    limits_of,
)
from ctxeng.turn import Tool


def tool(name, server="", description="Does it."):
    return Tool(name=name, server=server, description=description)


@pytest.mark.parametrize(
    ("limits", "name", "taken"),
    [
        (OPENAI, "get-it_2", True),
        (OPENAI, "get.it", False),
        (OPENAI, "a" * 64, True),
        (OPENAI, "a" * 65, False),
        (OPENAI, "", False),
        (OPENAI, "naïve", False),
        (OPENAI, "get\n", False),
        (ANTHROPIC, "a" * 128, True),
        (GEMINI, "get.it:now", True),
        (GEMINI, "2fast", False),
        (BEDROCK, "2fast", True),
    ],
)
def test_a_provider_takes_the_names_it_documents(limits, name, taken):
    assert limits.takes(name) is taken


def test_names_that_pass_stay_and_the_tools_are_the_same_objects():
    tools = [tool("read"), tool("write")]
    assert fitted(tools, OPENAI).tools == tuple(tools)


def test_a_name_of_two_servers_gets_its_server_in_front():
    found = fitted([tool("search", "git hub"), tool("search", "jira"), tool("other", "jira")], OPENAI)
    assert [each.name for each in found.tools] == ["git_hub__search", "jira__search", "other"]
    assert found.originals["jira__search"].server == "jira"


def test_a_name_that_needs_no_change_keeps_it_against_one_that_would_become_it():
    found = fitted([tool("get.it"), tool("get_it")], OPENAI)
    first, second = (each.name for each in found.tools)
    assert second == "get_it"
    assert first.startswith("get_it_")


def test_new_names_do_not_depend_on_the_order_of_the_tools():
    tools = [tool("get.it"), tool("get it"), tool("x" * 80), tool("x" * 81), tool("日本")]
    forward, back = fitted(tools, OPENAI), fitted(tools[::-1], OPENAI)
    assert forward.originals == back.originals


def test_a_long_description_is_cut_at_a_sentence():
    about = "It reads. " + "It goes on. " * 200
    (found,) = fitted([tool("read", description=about)], OPENAI).tools
    assert len(found.description) <= 1024
    assert found.description.endswith("It goes on.")


def test_one_sentence_that_is_too_long_is_cut_at_a_word_and_says_so():
    (found,) = fitted([tool("read", description="word " * 400)], OPENAI).tools
    assert 1000 < len(found.description) <= 1024
    assert found.description.endswith("word…")


def test_too_many_tools_are_refused_with_the_figure():
    with pytest.raises(BadInput, match="129 tools are more than the 128 that openai takes"):
        fitted([tool(f"t{index}") for index in range(129)], OPENAI)


def test_no_limit_on_the_number_is_invented_where_none_is_known():
    assert len(fitted([tool(f"t{index}") for index in range(600)], ANTHROPIC).tools) == 600


def test_two_tools_of_one_server_with_one_name_are_refused():
    with pytest.raises(BadInput, match="server 's' has two tools named 'read'"):
        fitted([tool("read", "s"), tool("read", "s")], OPENAI)


def test_a_model_of_an_unknown_provider_gets_the_strictest_limits():
    assert limits_for("anthropic/some-model") is ANTHROPIC
    assert limits_for("vertex_ai/some-model") is GEMINI
    assert limits_for("ollama/some-model") is STRICTEST
    with pytest.raises(UnknownName):
        limits_of("nobody")


CHARACTERS = st.text(string.ascii_letters[:3] + "_-.: é日", min_size=0, max_size=70)


@given(
    st.lists(st.tuples(CHARACTERS, st.sampled_from(["", "a", "a b", "a_b"])), max_size=12, unique=True),
    st.sampled_from(list(LIMITS.values())),
)
def test_every_name_passes_is_unique_and_leads_back(pairs, limits):
    tools = [tool(name, server) for name, server in pairs]
    found = fitted(tools, limits)
    assert all(limits.takes(each.name) for each in found.tools)
    assert [found.originals[each.name] for each in found.tools] == tools
    assert len(found.originals) == len(tools)
