"""Parallel parts: equal to one pass with their mask and positions, in any order, read once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.kv.piece import Placed
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from tiny_model import logits, tiny, tokens

MEMORY = 1 << 24
DECODER = tiny()


def prompt(head, documents, rest):
    parts = [Part("system", tuple(head))] if head else []
    parts += [Part("chunk", tuple(d), parallel=True) for d in documents]
    return Prompt((*parts, Part("query", tuple(rest))))


def truth(head, documents, rest):
    """Log-probabilities after one pass over everything: documents see the head and themselves."""
    ids = [*head, *(t for d in documents for t in d), *rest]
    after = len(head) + max(map(len, documents), default=0)
    positions = [*range(len(head)), *(len(head) + i for d in documents for i in range(len(d)))]
    positions += range(after, after + len(rest))
    piece = np.array([0] * len(head) + [n + 1 for n, d in enumerate(documents) for _ in d] + [-1] * len(rest))
    seen = (piece[:, None] == piece) | (piece == 0) | (piece[:, None] == -1)
    mask = torch.from_numpy(seen & np.tri(len(ids), dtype=bool))[None, None]
    return logits(DECODER, ids, positions, mask)[-1].log_softmax(-1)


def asked(engine, made, plan=None):
    handle = engine.submit(made, Generate(1), plan or CachePlan())
    (token,) = handle
    return token, handle.report


@given(
    st.integers(0, 140),
    st.lists(st.integers(1, 140), min_size=1, max_size=4),
    st.integers(1, 70),
)
@settings(max_examples=15, deadline=None)
def test_parallel_parts_are_one_pass_with_their_mask_and_positions(head, sizes, rest):
    documents = [tokens(size, seed) for seed, size in enumerate(sizes)]
    want = truth(tokens(head, 50), documents, tokens(rest, 60))
    with Engine(DECODER, memory=MEMORY, chunk=60) as engine:
        for order in (documents, documents[::-1]):
            token, _ = asked(engine, prompt(tokens(head, 50), order, tokens(rest, 60)))
            assert token.logprob == pytest.approx(float(want.max()), abs=1e-4)


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
def test_parts_seen_before_are_not_read_again_in_whatever_order(codec):
    documents = [tokens(size, size) for size in (100, 30, 64)]
    plan = CachePlan(codec)
    with Engine(DECODER, memory=MEMORY) as engine:
        first, report = asked(engine, prompt(tokens(64, 9), documents, tokens(10)), plan)
        assert (report.cached, report.changed) == (0, 0)
        second, report = asked(engine, prompt(tokens(64, 9), documents[::-1], tokens(10)), plan)
        assert (report.cached, report.changed) == (258, 258)
        assert second.logprob == pytest.approx(first.logprob, abs=1e-4)
        _, report = asked(engine, prompt(tokens(64, 9), [*documents[:2], tokens(20, 7)], tokens(10)), plan)
        assert (report.cached, report.changed) == (194, 194)


def test_one_parallel_part_without_temperature_is_plain_reading():
    with Engine(DECODER, memory=MEMORY) as engine:
        token, _ = asked(engine, prompt(tokens(50), [tokens(90, 1)], tokens(10, 2)))
        plain, _ = asked(engine, [*tokens(50), *tokens(90, 1), *tokens(10, 2)])
    assert token.id == plain.id
    assert token.logprob == pytest.approx(plain.logprob, abs=1e-5)


def test_temperature_and_scale_change_what_is_seen():
    made = prompt(tokens(50), [tokens(90, 1), tokens(40, 3)], tokens(10, 2))
    with Engine(DECODER, memory=MEMORY) as engine:
        plain, _ = asked(engine, made)
        warm, _ = asked(engine, made, CachePlan(temperature=0.5, scale=0.8))
    assert plain.logprob != pytest.approx(warm.logprob, abs=1e-4)


def test_parts_behind_another_head_serve_only_where_that_is_asked_for_and_it_is_said():
    documents = [tokens(80, 1)]
    with Engine(DECODER, memory=MEMORY) as engine:
        asked(engine, prompt(tokens(64), documents, [1]))
        _, report = asked(engine, prompt(tokens(30, 5), documents, [1]))
        assert (report.cached, report.notes) == (0, ())
        exact, _ = asked(engine, prompt(tokens(20, 6), documents, [1]), CachePlan(reuse=False))
        moved, report = asked(engine, prompt(tokens(20, 6), documents, [1]), CachePlan(moved=True))
        assert report.cached == 80
        assert "approximate: 80 tokens" in report.notes[0]
        assert moved.logprob != exact.logprob


def test_moving_a_part_that_sees_nothing_before_it_is_exact():
    """Behind no head a part depends on itself only: at another place its keys turn with the query."""
    documents, rest = [tokens(80, 1)], tokens(9, 2)
    want = truth([], documents, rest)
    with Engine(DECODER, memory=MEMORY) as engine:
        asked(engine, prompt([], documents, rest))
        _, (found,) = engine.call(lambda: next(iter(engine.pieces._parts.values())))
        placed = engine.rotation(500)
        with torch.inference_mode():
            far = Sequence(engine.pools)
            far.place(Placed(found.share(), 300, placed.turn(300)))
            far.reserve(20)
            span = Span(far, 0, len(rest), placed)
            hidden = DECODER.hidden(torch.tensor(rest), CachedAttention(DECODER.config, [span]))
            best = DECODER.logits(hidden)[-1].log_softmax(-1)
            far.release()
    assert torch.allclose(best, want, atol=1e-4)


def test_a_head_that_is_cancelled_in_the_middle_gives_everything_back():
    documents = [tokens(140, seed) for seed in range(4)]
    with Engine(DECODER, memory=MEMORY, chunk=16) as engine:
        handle = engine.submit(prompt(tokens(300), documents, [1]), Generate(5), CachePlan(reuse=False))
        handle.cancel()
        list(handle)
        assert engine.describe()["blocks_in_use"] == 0


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((Part("chunk", (1,), parallel=True),), "no parallel part"),
        ((), "at least one token"),
        ((Part("a", (1,)), Part("b", (2,), parallel=True), Part("c", ())), "no parallel part"),
    ],
)
def test_prompts_that_cannot_be_laid_out_are_refused(parts, said):
    with pytest.raises(BadInput, match=said):
        Prompt(parts)


def test_parts_that_are_only_stored_make_way_for_new_ones():
    room = 40 * 3 * 2 * 32 * 2 * 64 * 4
    with Engine(DECODER, memory=room) as engine:
        for seed in range(12):
            documents = [tokens(130, 100 * seed + n) for n in range(3)]
            token, _ = asked(engine, prompt(tokens(70, seed), documents, tokens(9)))
            want = truth(tokens(70, seed), documents, tokens(9))
            assert token.logprob == pytest.approx(float(want.max()), abs=1e-4)
        assert engine.describe()["cache_used"] <= room
