"""Tools as a source: the contract of every source, what a session remembers, what use teaches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.protocols import Allowance, Managed, MayBeQuiet
from ctxeng.render import price
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tokens import Estimate
from ctxeng.tools import sessions as sessions_module
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.modes import AUTONOMOUS, GUIDED, HYBRID, MODES, WORKFLOW
from ctxeng.tools.policy import Decay, SlidingWindow
from ctxeng.tools.priors import Used
from ctxeng.tools.sessions import Sessions
from ctxeng.tools.toolset import ToolSet
from ctxeng.tools.working import Held, Working
from ctxeng.turn import Answer, Context, Message, Result, Scope, Section, Step, Tool, Turn
from toolsets import EMAIL, FLIGHT, REFUND, SQL, WEATHER, asked, call, of, tool

COUNTER = Estimate()


def allowance(tokens):
    return Allowance(tokens, lambda section: price(section, COUNTER))


def shown(toolset, request, tokens=5_000):
    return [section.ref for section in toolset.gather(request, allowance(tokens)) if section.ref]


# -- the contract of every source ---------------------------------------------------------------------

texts = st.text(max_size=200)
tools = st.lists(
    st.builds(
        Tool,
        name=st.sampled_from(["a", "b b", "search_tools", "weather", "x" * 90]),
        description=texts,
        server=st.sampled_from(["", "s", "t"]),
        parameters=st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(
                    texts, st.fixed_dictionaries({"description": texts}), max_size=3
                ),
            }
        ),
    ),
    max_size=6,
)


@settings(max_examples=120, deadline=None)
@given(
    there=tools,
    own=tools,
    query=texts,
    tokens=st.integers(0, 900),
    mode=st.sampled_from(sorted(MODES)),
    expose=st.sampled_from(["native", "proxy"]),
    pinned=st.booleans(),
)
def test_it_never_goes_over_says_the_same_twice_and_changes_nothing(
    there, own, query, tokens, mode, expose, pinned
):
    catalogue = Catalogue(HashingEmbedder(16))
    catalogue.add(there)
    toolset = ToolSet(catalogue, MODES[mode], cap=4, found=2, expose=expose)
    request = asked(query, tools=tuple(own))
    if pinned:
        request = toolset.pin(request, toolset.chosen(request))
    before, version = request.model_dump_json(), catalogue.version
    sections = toolset.gather(request, allowance(tokens))
    assert sum(section.tokens for section in sections) <= tokens
    assert all(section.tokens == price(section, COUNTER) > 0 for section in sections)
    assert toolset.gather(request, allowance(tokens)) == sections
    assert (request.model_dump_json(), catalogue.version) == (before, version)
    names = [section.body.name for section in sections if isinstance(section.body, Tool)]
    assert len(names) == len(set(names))
    assert len([s for s in sections if s.ref in catalogue and s.ref not in {t.name for t in own}]) <= 4
    if toolset.quiet(request):
        assert sections == []


def test_it_is_a_source_that_the_model_may_change():
    assert isinstance(of(), Managed)
    assert isinstance(of(), MayBeQuiet)


def test_it_is_quiet_without_any_tools_and_shows_the_apps_own_without_a_catalogue():
    empty = ToolSet(Catalogue(HashingEmbedder(16)), GUIDED)
    assert empty.quiet(asked())
    assert empty.gather(asked(), allowance(100)) == []
    assert not empty.quiet(asked(tools=(WEATHER,)))
    assert [s.body for s in empty.gather(asked(tools=(WEATHER,)), allowance(100))] == [WEATHER]


@pytest.mark.parametrize(("found", "cap"), [(0, 4), (5, 4), (1, 0)])
def test_a_search_loads_from_one_tool_to_the_cap(found, cap):
    with pytest.raises(BadInput, match="a search loads"):
        of(found=found, cap=cap)


# -- the order and size of the block --------------------------------------------------------------------


def test_the_apps_own_come_first_then_managing_tools_then_the_loaded_in_their_order():
    toolset = of(mode=AUTONOMOUS)
    request = asked(tools=(tool("mine"),), pinned={"tools": ("refund", "weather")})
    names = [section.body.name for section in toolset.gather(request, allowance(5_000))]
    assert names == ["mine", "search_tools", "remove_tools", "refund", "weather"]


def test_no_more_than_the_cap_is_loaded_whatever_was_shown():
    request = asked(shown={"tools": ("weather", "refund", "find_flight", "gone")})
    assert shown(of(mode=AUTONOMOUS), request) == ["refund", "find_flight"]


# -- sessions -------------------------------------------------------------------------------------------


def turn_of(toolset, request, turn_id="t", calls=(), *, good=True, error=""):
    """A finished turn in which these tools were called, one a step; `good` says whether that went well."""
    names = toolset.chosen(request).names
    steps = tuple(
        Step(
            answer=Answer(message=Message(role="assistant", parts=(call(name, "k"),))),
            results=(Result(call_id="k", text="x", is_error=not good),),
        )
        for name in calls
    )
    request = toolset.pin(request, toolset.chosen(request))
    sections = tuple(Section(kind="tool", source="tools", body=name, ref=name) for name in names)
    context = Context(sections=sections)
    return Turn(id=turn_id, request=request, shown=context.shown, steps=steps, error=error)


def test_a_session_keeps_its_tools_and_another_does_not_see_them():
    toolset = of(mode=WORKFLOW)
    toolset.observe(turn_of(toolset, asked("forecast", session="a")))
    assert toolset.working(asked(session="a")).names == ("weather",)
    for other in (asked(session="b"), asked(), asked(session="a", scope={"tenant": "t"})):
        assert toolset.working(other).names == ()


def test_what_another_turn_showed_counts_where_it_is_not_the_sessions_last():
    toolset = of(mode=AUTONOMOUS)
    toolset.observe(turn_of(toolset, asked(session="a", shown={"tools": ("weather",)})))
    branch = asked(session="a", shown={"tools": ("refund",)})
    assert toolset.working(branch).names == ("refund",)
    assert toolset.working(asked(session="a", shown={"tools": ("weather",)})).names == ("weather",)


def test_a_failed_turn_leaves_and_teaches_nothing():
    toolset = of(mode=WORKFLOW)
    toolset.observe(turn_of(toolset, asked("forecast", session="a"), calls=["weather"], error="ModelError"))
    assert toolset.working(asked(session="a")).names == ()
    assert len(toolset.sessions.priors("")) == 0


def test_observing_a_turn_twice_is_observing_it_once():
    toolset = of(mode=WORKFLOW)
    turn = turn_of(toolset, asked("forecast", session="a"), calls=["weather"])
    toolset.observe(turn)
    before = toolset.sessions.working(turn.request.scope)
    toolset.observe(turn)
    assert toolset.sessions.working(turn.request.scope) == before
    assert before.turn == 2
    assert (before.held[0].uses, before.flow) == (1, ((1, 0),))


def test_a_tool_that_requests_keep_needing_stays_through_the_window_though_nobody_calls_it():
    toolset = of(mode=WORKFLOW, policy=SlidingWindow(window=2, extra=0))
    for number, query in enumerate(["forecast", "forecast", "forecast", "refund"]):
        toolset.observe(turn_of(toolset, asked(query, session="a"), f"t{number}"))
    assert toolset.working(asked(session="a")).names == ("weather", "refund")


def test_scores_that_decay_are_kept_from_turn_to_turn():
    toolset = of(mode=WORKFLOW, policy=Decay(rate=0.5))
    for number in range(3):
        toolset.observe(turn_of(toolset, asked("forecast", session="a"), f"t{number}"))
    (one,) = toolset.working(asked(session="a")).held
    assert one.score == pytest.approx(1.5)  # 1, and half of 1 from the turn before; none when it was added


def test_only_the_newest_sessions_are_remembered(monkeypatch):
    monkeypatch.setattr(sessions_module, "_SESSIONS", 2)
    sessions = Sessions()
    for number, name in enumerate("abac"):
        sessions.note(Scope(session=name), f"t{number}", Working(held=(Held(name=name),)), None)
    left = [name for name in "abc" if sessions.working(Scope(session=name)).held]
    assert left == ["a", "c"]
    assert len(sessions._seen) == 2


def test_a_tenant_can_be_forgotten():
    sessions = Sessions()
    for tenant in ("a", "b"):
        scope = Scope(tenant=tenant, session="s")
        sessions.note(scope, "t", Working(held=(Held(name="x"),)), Used("t", "r", ("x",)))
    sessions.forget("a")
    assert [len(sessions.priors(tenant)) for tenant in ("a", "b")] == [0, 1]
    assert [sessions.working(Scope(tenant=t, session="s")).names for t in ("a", "b")] == [(), ("x",)]


# -- what use teaches -----------------------------------------------------------------------------------


def test_what_served_a_request_is_found_by_a_similar_one_of_the_same_tenant_only():
    toolset = of(mode=WORKFLOW)
    umbrella = "do I take an umbrella"
    turn = turn_of(toolset, asked(umbrella, session="s", scope={"tenant": "a"}), calls=["weather"])
    toolset.observe(turn)
    assert shown(toolset, asked(f"{umbrella}?", scope={"tenant": "a"})) == ["weather"]
    assert shown(toolset, asked(f"{umbrella}?", scope={"tenant": "b"})) == []
    assert shown(toolset, asked(f"{umbrella}?")) == []


def test_calls_that_failed_or_were_never_run_teach_nothing():
    toolset = of()
    toolset.observe(turn_of(toolset, asked("a"), "1", ["weather"], good=False))
    unfinished = turn_of(toolset, asked("a"), "2", ["weather"])
    steps = tuple(step.model_copy(update={"results": ()}) for step in unfinished.steps)
    toolset.observe(unfinished.model_copy(update={"steps": steps}))
    assert toolset.sessions.priors("").used() == []


def test_a_call_that_failed_at_first_and_then_went_well_under_the_same_id_is_learned():
    toolset = of()
    bad = turn_of(toolset, asked("a"), "1", ["weather"], good=False)
    good = turn_of(toolset, asked("a"), "1", ["weather"])
    toolset.observe(good.model_copy(update={"steps": bad.steps + good.steps}))
    assert toolset.sessions.priors("").used() == [Used("1", "a", ("weather",))]


def test_the_apps_own_and_managing_tools_are_not_learned():
    toolset = of()
    request = asked("a", tools=(tool("refund"),))
    toolset.observe(turn_of(toolset, request, "1", ["refund", "search_tools", "find_flight"]))
    assert toolset.sessions.priors("").used() == [Used("1", "a", ("find_flight",))]


def test_sessions_of_two_users_with_one_name_are_two_sessions():
    toolset = of()
    for user, name in (("ann", "weather"), ("bob", "refund")):
        toolset.observe(turn_of(toolset, asked("a", session="1", scope={"user": user}), user, [name]))
    shares = toolset.sessions.priors("").together(["weather"], ["weather", "refund"])
    assert shares[0] > 0
    assert shares[1] == 0


def test_what_a_search_said_holds_whatever_is_learned_before_the_step_ends():
    toolset = of(EMAIL, FLIGHT, REFUND, SQL, WEATHER, mode=HYBRID)
    request, made = asked("hello"), call("search_tools", query="umbrella forecast")
    request = toolset.pin(request, toolset.chosen(request))
    result = toolset.manage(made, request, [made])
    many = [Used(str(number), "umbrella forecast", ("refund",)) for number in range(9)]
    toolset.sessions.priors("").learn(many)
    step = Step(answer=Answer(message=Message(role="assistant", parts=(made,))), results=(result,))
    assert "loaded weather" in result.text
    assert toolset.adjusted(request, step)[0].pinned["tools"] == ("weather",)
