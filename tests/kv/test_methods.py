"""What every cache method promises: budgets kept, bytes freed, second turns, nothing left behind."""

import pytest

from ctxeng.errors import BadInput, UnknownName
from ctxeng.kv.methods.names import METHODS, make
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from kv_sessions import DECODER, GATES, HEADS, LAYERS, kept, said, settled
from tiny_model import tokens

ALL = {  # options under which nothing is given up
    "streaming": {"budget": 1000},
    "h2o": {"budget": 1000},
    "snapkv": {"budget": 1000},
    "adakv": {"budget": 1000},
    "pyramidkv": {"budget": 1000},
    "windowkv": {"budget": 1000},
    "think": {"keep": 1.0},
    "quest": {"pages": 100},
    "squeezed": {"fixed": 64, "quantile": 0.0},
    "duo": {"gates": GATES, "share": 1.0},
}
HALF = {
    "streaming": {"budget": 0.5},
    "h2o": {"budget": 0.5, "recent": 16},
    "snapkv": {"budget": 0.5},
    "adakv": {"budget": 0.5},
    "pyramidkv": {"budget": 0.5, "steepness": 4.0},
    "windowkv": {"budget": 0.5},
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("codec", ["dense", "int8"])
def test_where_everything_fits_the_answer_is_that_of_no_method(engine, name, codec):
    plain, _ = said(engine, tokens(200), None, codec=codec)
    found, _ = said(engine, tokens(200), make(name, ALL[name]), codec=codec)
    assert [i for i, _ in found] == [i for i, _ in plain]
    tolerance = 1e-4 if codec == "dense" else 2e-2  # rows that were coded twice
    assert [p for _, p in found] == pytest.approx([p for _, p in plain], abs=tolerance)


@pytest.mark.parametrize("name", HALF)
def test_kept_rows_stay_within_the_budget_and_bytes_fall_with_them(engine, name):
    with (
        settled(engine, tokens(640), None) as whole,
        settled(engine, tokens(640), make(name, HALF[name])) as thin,
    ):
        rows = kept(thin)
        assert sum(len(head) for layer in rows for head in layer) <= 320 * LAYERS * HEADS
        assert all(head == sorted(set(head)) for layer in rows for head in layer)
        assert thin.nbytes <= whole.nbytes * 0.68  # half of the rows, in blocks of 64, and their numbers


@pytest.mark.parametrize("name", HALF)
def test_the_end_of_the_prompt_stays_and_the_same_is_kept_again(engine, name):
    half = make(name, HALF[name])
    with settled(engine, tokens(300), half) as one, settled(engine, tokens(300), half) as two:
        assert kept(one) == kept(two)
        assert all(head[-1] == 299 for layer in kept(one) for head in layer)


@pytest.mark.parametrize("name", METHODS)
def test_a_second_turn_goes_on_from_what_was_kept(engine, name):
    others = {"think": {"keep": 0.5}, "quest": {"pages": 2}, "squeezed": {"fixed": 128}}
    others["duo"] = {"gates": GATES, "sinks": 4, "recent": 60}
    options = HALF.get(name) or others[name]
    with settled(engine, tokens(300), make(name, options)) as session:
        ids, report = session.generate(tokens(40, 1), Generate(10)).result()
        assert (len(ids), report.cached) == (10, 300)
        again, _ = session.generate(tokens(3, 2), Generate(4)).result()
        assert len(again) == 4
        assert len(session.tokens) == 357


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("count", [1, 5, 33, 64])
def test_prompts_shorter_than_a_methods_window_are_simply_kept(engine, name, count):
    plain, _ = said(engine, tokens(count), None)
    options = {name: value for name, value in HALF.get(name, {}).items() if name != "budget"}
    found, _ = said(engine, tokens(count), make(name, {**options, **ALL[name]}))
    assert [i for i, _ in found] == [i for i, _ in plain]


@pytest.mark.parametrize("name", HALF)
def test_a_fork_of_a_thinned_session_is_not_thinned_again(engine, name):
    with settled(engine, tokens(300), make(name, HALF[name])) as session, session.fork() as fork:
        before = kept(session)
        found, _ = fork.generate(tokens(5, 1), Generate(6)).result()
        want, _ = session.generate(tokens(5, 1), Generate(6)).result()
        assert found == want
        assert all(
            set(old) <= set(new)
            for layers in zip(before, kept(fork), strict=True)
            for old, new in zip(*layers, strict=True)
        )


def test_nothing_is_left_behind(engine):
    for name in METHODS:
        settled(engine, tokens(200), make(name, ALL[name])).close()
    engine.call(lambda: (engine.pieces.clear(), engine.store.clear()))
    assert engine.describe()["blocks_in_use"] == 0


@pytest.mark.parametrize("name", ["snapkv", "think"])
def test_methods_that_drop_rows_refuse_parallel_parts(engine, name):
    prompt = Prompt((Part("chunk", tuple(tokens(40)), parallel=True), Part("query", (1,))))
    with pytest.raises(BadInput, match="no parallel parts"):
        engine.submit(prompt, Generate(1), CachePlan(policy=make(name)))


def test_a_stored_prefix_serves_methods_that_look_at_the_last_queries_only():
    with Engine(DECODER, memory=1 << 25) as engine:
        engine.submit(tokens(300), Generate(1)).result()
        _, report = engine.submit(tokens(300), Generate(1), CachePlan(policy=make("snapkv"))).result()
        assert report.cached == 256
        _, report = engine.submit(tokens(300), Generate(1), CachePlan(policy=make("h2o"))).result()
        assert report.cached == 0


def test_names_and_options_that_are_unknown_say_which_there_are():
    with pytest.raises(UnknownName, match="unknown cache method 'magic'; known: adakv"):
        make("magic")
    with pytest.raises(BadInput, match="snapkv has no option 'size'; it has: budget, window, kernel"):
        make("snapkv", {"size": 3})
    with pytest.raises(BadInput, match="must exceed"):
        make("snapkv", {"budget": 20})
