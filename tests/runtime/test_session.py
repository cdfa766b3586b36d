"""Sessions: turns behind each other, forks, crops, and going on after a restart."""

import pytest

from ctxeng.errors import BadInput
from ctxeng.kv.methods.names import make
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.session import Session
from tiny_model import greedy, tiny, tokens

MEMORY = 1 << 24


@pytest.fixture(scope="module")
def decoder():
    return tiny()


@pytest.fixture
def engine(decoder, tmp_path):
    with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path / "blocks")) as engine:
        yield engine


def test_a_second_turn_reads_only_what_is_new(engine, decoder):
    with Session(engine) as session:
        first, _ = session.generate(tokens(100), Generate(10)).result()
        second, report = session.generate(tokens(30, 1), Generate(10)).result()
        assert second == greedy(decoder, [*tokens(100), *first, *tokens(30, 1)], 10)
        assert report.prompt - report.cached == 31  # the last generated token was not in the cache yet
        assert session.tokens == [*tokens(100), *first, *tokens(30, 1), *second]


def test_forks_go_their_own_ways(engine, decoder):
    with Session(engine) as session:
        said, _ = session.generate(tokens(150), Generate(5)).result()
        base = [*tokens(150), *said]
        forks = [session.fork() for _ in range(3)]
        for number, fork in enumerate([session, *forks]):
            found, _ = fork.generate(tokens(70, number), Generate(6)).result()
            assert found == greedy(decoder, [*base, *tokens(70, number)], 6)
        for fork in forks:
            fork.close()


def test_forks_hold_what_they_share_once(engine):
    with Session(engine, CachePlan(reuse=False)) as session:
        session.extend(tokens(640))
        before = engine.describe()["cache_used"]
        with session.fork(), session.fork():
            assert engine.describe()["cache_used"] - before <= before / 4


@pytest.mark.parametrize("keep", [155, 128, 101, 3, 0])
def test_a_crop_forgets_and_the_fork_beside_it_does_not(engine, decoder, keep):
    with Session(engine) as session:
        said, _ = session.generate(tokens(150), Generate(10)).result()
        base = [*tokens(150), *said]
        with session.fork() as fork:
            session.crop(keep)
            found, _ = session.generate(tokens(80, 1), Generate(6)).result()
            assert found == greedy(decoder, [*base[:keep], *tokens(80, 1)], 6)
            found, _ = fork.generate(tokens(5, 2), Generate(6)).result()
            assert found == greedy(decoder, [*base, *tokens(5, 2)], 6)


def test_stored_prefixes_are_not_written_over_by_a_crop(engine, decoder):
    with Session(engine) as session:
        session.generate(tokens(150), Generate(1)).result()
        session.crop(70)
        session.generate(tokens(90, 1), Generate(1)).result()
    found, report = engine.submit(tokens(150), Generate(6)).result()
    assert report.cached == 128
    assert found == greedy(decoder, tokens(150), 6)


@pytest.mark.parametrize("codec", ["dense", "int8"])
def test_a_saved_session_goes_on_in_another_process(decoder, tmp_path, codec):
    plan, folder = CachePlan(codec), tmp_path / "blocks"
    store = PrefixStore(folder)
    with Engine(decoder, memory=MEMORY, store=store) as engine, Session(engine, plan) as session:
        session.generate(tokens(200), Generate(5)).result()
        session.save(tmp_path / "session.json")
        want = session.generate(tokens(20, 1), Generate(6)).result()[0]
    with Engine(decoder, memory=MEMORY, store=PrefixStore(folder)) as engine:
        session = Session.open(engine, tmp_path / "session.json", plan)
        found, report = session.generate(tokens(20, 1), Generate(6)).result()
    assert found == want
    assert report.cached == 192


def test_a_session_of_another_model_or_no_session_is_refused(engine, tmp_path):
    path = tmp_path / "session.json"
    path.write_text("{}")
    with pytest.raises(BadInput, match="not a saved session"):
        Session.open(engine, path)
    path.write_text('{"tokens": [1], "model": "other"}')
    with pytest.raises(BadInput, match="another model"):
        Session.open(engine, path)
    with pytest.raises(BadInput, match="not a saved session"):
        Session.open(engine, tmp_path / "none.json")


def test_saving_needs_a_folder(decoder, tmp_path):
    with Engine(decoder, memory=MEMORY) as engine, Session(engine) as session:
        session.extend(tokens(10))
        with pytest.raises(BadInput, match="has a folder"):
            session.save(tmp_path / "session.json")


def test_one_generation_runs_at_a_time(engine):
    with Session(engine) as session:
        handle = session.generate(tokens(10), Generate(500))
        for call in (lambda: session.generate([1]), session.fork, lambda: session.crop(0)):
            with pytest.raises(BadInput, match="generating"):
                call()
        handle.cancel()
        list(handle)


def test_a_cancelled_turn_leaves_a_session_that_goes_on(engine, decoder):
    with Session(engine) as session:
        handle = session.generate(tokens(60), Generate(500))
        next(iter(handle))
        handle.cancel()
        list(handle)
        so_far = session.tokens
        found, _ = session.generate(tokens(5, 1), Generate(5)).result()
        assert found == greedy(decoder, [*so_far, *tokens(5, 1)], 5)


def test_a_crop_out_of_range_and_late_parallel_parts_are_refused(engine):
    with Session(engine) as session:
        prompt = Prompt((Part("chunk", tuple(tokens(40)), parallel=True), Part("query", (1, 2))))
        session.extend(prompt)
        with pytest.raises(BadInput, match="cannot crop to 50 tokens: there are 42"):
            session.crop(50)
        with pytest.raises(BadInput, match="stand side by side"):
            session.crop(10)
        with pytest.raises(BadInput, match="first prompt"):
            session.generate(prompt)


def test_closed_sessions_and_engines_leave_no_block_in_use(decoder):
    engine = Engine(decoder, memory=MEMORY)
    with Session(engine, CachePlan(reuse=False)) as session:
        session.extend(tokens(300))
        with session.fork() as fork:
            fork.extend(tokens(100))
            fork.crop(10)
    assert engine.describe()["blocks_in_use"] == 0
    engine.close()


@pytest.mark.parametrize("codec", ["dense", "int8"])
@pytest.mark.parametrize("count", [1, 64, 100, 128])
@pytest.mark.parametrize("cropped", [False, True])
def test_an_answer_to_what_is_read_already_needs_nothing_new(decoder, codec, count, cropped):
    with Engine(decoder, memory=MEMORY) as engine, Session(engine, CachePlan(codec)) as session:
        session.extend(tokens(count + 9) if cropped else tokens(count))
        if cropped:
            session.crop(count)
            held = tokens(count + 9)[:count]
        else:
            held = tokens(count)
        session.extend([])
        assert session.tokens == held
        found, _ = session.generate(options=Generate(4)).result()
        want, _ = engine.submit(held, Generate(4), CachePlan(codec, reuse=False)).result()
        assert found == want


def test_behind_what_was_thinned_something_has_to_be_read(engine):
    with Session(engine, CachePlan(policy=make("snapkv", {"budget": 64}))) as session:
        session.extend(tokens(200))
        with pytest.raises(BadInput, match="were thinned, or stand side by side: give some to read"):
            session.generate(options=Generate(4))
        session.generate(tokens(1), Generate(4)).result()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("quest", {"pages": 2, "dense": 0}),
        ("squeezed", {}),
        ("snapkv", {"budget": 0.9}),
        ("h2o", {"budget": 0.9}),
    ],
)
def test_a_policy_forgets_what_was_cropped(engine, name, options):
    plan = CachePlan(policy=make(name, options), reuse=False)
    with Session(engine, plan) as session, Session(engine, plan) as other:
        for one in (session, other):
            one.generate(tokens(300), Generate(2)).result()
        length = len(session.tokens)
        session.generate(tokens(250, 1), Generate(20)).result()
        session.crop(length)
        found, want = (one.generate(tokens(250, 2), Generate(20)).result()[0] for one in (session, other))
        assert found == want
