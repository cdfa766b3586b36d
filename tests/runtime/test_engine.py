"""The engine: streams that do not touch each other, answers that do not depend on how the work was cut."""

import threading
import time

import pytest

from ctxeng.errors import BadInput, CacheFull, Cancelled, ModelError
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate, Report, Token
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.sampling import Sampling
from ctxeng.runtime.tokenizer import ByteTokenizer
from tiny_model import greedy, logits, tiny, tokens

MEMORY = 1 << 24


@pytest.fixture(scope="module")
def decoder():
    return tiny()


def test_greedy_output_is_that_of_passes_without_a_cache(decoder):
    with Engine(decoder, memory=MEMORY, chunk=50) as engine:
        for count in (1, 63, 64, 65, 130):
            ids, report = engine.submit(tokens(count), Generate(12)).result()
            assert ids == greedy(decoder, tokens(count), 12)
            assert (report.prompt, report.generated, report.ended) == (count, 12, "length")


def test_many_streams_at_once_give_what_each_gives_alone(decoder):
    prompts = [tokens(20 + 17 * i, seed=i) for i in range(9)]
    with Engine(decoder, memory=MEMORY, chunk=32, batch=4) as engine:
        handles = [engine.submit(p, Generate(15)) for p in prompts]
        found = [h.result()[0] for h in handles]
    assert found == [greedy(decoder, p, 15) for p in prompts]


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
def test_the_chunk_size_does_not_change_what_is_said(decoder, codec):
    said = []
    for chunk in (64, 512):
        with Engine(decoder, memory=MEMORY, chunk=chunk) as engine:
            handle = engine.submit(tokens(400), Generate(8), CachePlan(codec))
            said.append([(token.id, token.logprob) for token in handle])
    assert [i for i, _ in said[0]] == [i for i, _ in said[1]]
    assert [p for _, p in said[0]] == pytest.approx([p for _, p in said[1]], abs=1e-5)


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
def test_a_stored_prefix_does_not_change_what_is_said(decoder, codec):
    prompt = tokens(300)
    with Engine(decoder, memory=MEMORY) as engine:
        plan = CachePlan(codec)
        first = [(t.id, t.logprob) for t in engine.submit(prompt, Generate(8), plan)]
        handle = engine.submit(prompt, Generate(8), plan)
        second = [(t.id, t.logprob) for t in handle]
        assert (handle.report.cached, handle.report.changed) == (256, 256)
    assert [i for i, _ in first] == [i for i, _ in second]
    assert [p for _, p in first] == pytest.approx([p for _, p in second], abs=1e-5)


def test_the_first_changed_token_is_reported(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        engine.submit(tokens(200), Generate(1)).result()
        edited = tokens(200)
        edited[130] += 1
        _, report = engine.submit(edited, Generate(1)).result()
        assert (report.cached, report.changed) == (128, 128)
        _, report = engine.submit(tokens(100, seed=9), Generate(1)).result()
        assert (report.cached, report.changed) == (0, 0)


def test_a_log_probability_is_that_of_the_models_own_distribution(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        (token,) = engine.submit(tokens(40), Generate(1, Sampling(temperature=1.5, seed=3)))
    want = logits(decoder, tokens(40))[-1].log_softmax(-1)[token.id]
    assert token.logprob == pytest.approx(float(want), abs=1e-5)


def test_a_seed_gives_the_same_tokens_again_and_another_seed_others(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        runs = [
            engine.submit(tokens(10), Generate(20, Sampling(temperature=2.0, seed=seed))).result()[0]
            for seed in (1, 1, 2)
        ]
    assert runs[0] == runs[1] != runs[2]


def test_a_stop_token_ends_it_and_is_not_given_out(decoder):
    said = greedy(decoder, tokens(30), 10)
    stop = said[4]
    with Engine(decoder, memory=MEMORY) as engine:
        ids, report = engine.submit(tokens(30), Generate(10, stop=(stop,))).result()
    assert ids == said[: said.index(stop)]
    assert report.ended == "stop"


def test_a_stop_text_ends_it_and_nothing_of_it_is_given_out(decoder):
    with Engine(decoder, ByteTokenizer(), memory=MEMORY) as engine:
        letters = {i: -100.0 for i in range(258) if not 97 <= i < 123}
        sampling = Sampling(temperature=1.0, seed=1, bias=letters)
        free = engine.submit(tokens(30), Generate(40, sampling)).text()
        stop = free[10:13]
        text = engine.submit(tokens(30), Generate(40, sampling, stop_texts=(stop,))).text()
    assert len(free) == 40
    assert text == free[: free.index(stop)]


def test_a_cancelled_stream_gives_everything_back_and_touches_no_other(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        plan = CachePlan(reuse=False)
        long = engine.submit(tokens(100), Generate(5000), plan)
        other = engine.submit(tokens(50), Generate(30), plan)
        next(iter(long))
        long.cancel()
        with pytest.raises(Cancelled):
            long.result()
        assert other.result()[0] == greedy(decoder, tokens(50), 30)
        assert engine.describe()["blocks_in_use"] == 0


def test_a_deadline_ends_a_stream_as_cancelled(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        handle = engine.submit(tokens(10), Generate(5000, deadline=time.monotonic() + 0.3))
        with pytest.raises(Cancelled):
            handle.result()


def test_what_can_never_fit_is_refused_by_arithmetic_and_others_go_on(decoder):
    with Engine(decoder, memory=1 << 20) as engine:
        other = engine.submit(tokens(50), Generate(30))
        big = engine.submit(tokens(100), Generate(5000))
        with pytest.raises(CacheFull, match="the key-value cache needs") as found:
            big.result()
        assert found.value.cap == 1 << 20
        assert other.result()[0] == greedy(decoder, tokens(50), 30)


def test_what_fits_later_waits_for_its_turn(decoder):
    room = 3 * 2 * 32 * 2 * 64 * 4 * 3  # three blocks of every layer and head
    with Engine(decoder, memory=room) as engine:
        plan = CachePlan(reuse=False)
        handles = [engine.submit(tokens(60, seed=i), Generate(60), plan) for i in range(4)]
        assert [h.result()[0] for h in handles] == [greedy(decoder, tokens(60, seed=i), 60) for i in range(4)]


def test_one_that_waits_can_be_cancelled_before_its_turn(decoder):
    room = 3 * 2 * 32 * 2 * 64 * 4 * 2
    with Engine(decoder, memory=room) as engine:
        plan = CachePlan(reuse=False)
        first = engine.submit(tokens(10), Generate(110), plan)
        waiting = [engine.submit(tokens(10, seed), Generate(110), plan) for seed in (1, 2, 3)]
        waiting[2].cancel()
        with pytest.raises(Cancelled):
            waiting[2].result()
        assert engine.describe()["waiting"] >= 1
        for handle in (first, *waiting[:2]):
            handle.cancel()
            list(handle)


def test_stored_prefixes_make_way_for_what_is_asked_now(decoder):
    room = 3 * 2 * 32 * 2 * 64 * 4 * 4
    with Engine(decoder, memory=room) as engine:
        for seed in range(5):
            ids, _ = engine.submit(tokens(130, seed), Generate(5)).result()
            assert ids == greedy(decoder, tokens(130, seed), 5)
        assert engine.describe()["cache_used"] <= room


def test_an_error_in_one_stream_is_raised_there_and_nowhere_else(decoder):
    class Broken:
        def mask(self):
            raise RuntimeError("out of order")

        def accept(self, token):
            raise AssertionError(token)

    with Engine(decoder, memory=MEMORY) as engine:
        plan = CachePlan(reuse=False)
        other = engine.submit(tokens(50), Generate(30), plan)
        bad = engine.submit(tokens(40), Generate(5, constraint=Broken), plan)
        with pytest.raises(ModelError, match="RuntimeError: out of order"):
            bad.result()
        assert other.result()[0] == greedy(decoder, tokens(50), 30)
        assert engine.describe()["blocks_in_use"] == 0


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        ([], Generate(1), "at least one token"),
        ([1, 258], Generate(1), "token 258 is none of the 258"),
        ([1], Generate(-1), "max_tokens must be 0 or more"),
        ([1], Generate(1, stop_texts=("x",)), "need a tokenizer"),
    ],
)
def test_bad_requests_are_refused_at_once(decoder, ids, options, said):
    with Engine(decoder, memory=MEMORY) as engine, pytest.raises(BadInput, match=said):
        engine.submit(ids, options)


def test_closing_ends_what_runs_and_gives_all_blocks_back(decoder):
    engine = Engine(decoder, memory=MEMORY)
    handles = [engine.submit(tokens(100, i), Generate(5000)) for i in range(3)]
    next(iter(handles[0]))
    engine.close()
    for handle in handles:
        with pytest.raises(Cancelled):
            handle.result()
    assert engine.pools.in_use == 0
    assert engine.pools.budget.used == 0
    with pytest.raises(BadInput, match="closed"):
        engine.submit([1])
    engine.close()


def test_prompts_from_many_threads_come_back_to_their_own(decoder):
    found = {}
    with Engine(decoder, memory=MEMORY, batch=3) as engine:

        def ask(seed):
            found[seed] = engine.submit(tokens(30, seed), Generate(6)).result()[0]

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {seed: greedy(decoder, tokens(30, seed), 6) for seed in range(8)}


def test_a_handle_gives_tokens_then_keeps_the_report(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        handle = engine.submit(tokens(10), Generate(3))
        assert all(isinstance(token, Token) for token in handle)
        assert isinstance(handle.report, Report)
        assert list(handle) == []


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
def test_other_families_run_too_with_windows_and_scalings(family):
    extra = {
        "llama": {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}, "max_position_embeddings": 64},
        "qwen2": {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1},
        "mistral": {"sliding_window": 20},
    }[family]
    decoder = tiny(model_type=family, **extra)
    if family == "llama":
        with Engine(decoder, memory=MEMORY) as engine:
            ids, _ = engine.submit(tokens(50), Generate(8)).result()
        assert ids == greedy(decoder, tokens(50), 8)  # within the trained length: not scaled
        return
    with Engine(decoder, memory=MEMORY, chunk=40) as engine:
        for codec in ("dense", "int8"):
            ids, _ = engine.submit(tokens(150), Generate(8), CachePlan(codec)).result()
            assert codec != "dense" or ids == greedy(decoder, tokens(150), 8)
