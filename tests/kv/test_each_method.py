"""What each published method does that the others do not."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks import stored
from ctxeng.errors import BadInput
from ctxeng.kv.methods.adakv import shared
from ctxeng.kv.methods.duo import Gates, duo
from ctxeng.kv.methods.duo_profile import LookingBack, probe
from ctxeng.kv.methods.names import make
from ctxeng.kv.methods.pyramidkv import Pyramid
from ctxeng.kv.methods.quest import Quest
from ctxeng.kv.methods.think import Think
from ctxeng.kv.pool import Budget
from ctxeng.kv.reading import Metered
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.job import Generate
from ctxeng.runtime.rope import Rotation
from ctxeng_kernels.attend import attend
from ctxeng_kernels.pages import best_pages
from kv_sessions import DECODER, GATES, HEADS, LAYERS, kept, said, settled
from tiny_model import tokens


def test_streaming_holds_constant_memory_for_ever(engine):
    with settled(engine, tokens(200), make("streaming", {"budget": 128})) as session:
        sizes = []
        for _ in range(4):
            session.generate((1,), Generate(200)).result()
            sizes.append(max(len(head) for layer in kept(session) for head in layer))
        assert max(sizes) <= 128 + 64 + 1
        assert all(head[:4] == [0, 1, 2, 3] for layer in kept(session) for head in layer)


def test_h2o_keeps_the_rows_that_got_most_attention(engine):
    policy = make("h2o", {"budget": 100, "recent": 20})
    with settled(engine, tokens(300), policy) as session:
        columns = _columns(tokens(300))
        for layer in range(LAYERS):
            for head in range(HEADS):
                best = columns[layer][head, :280].argsort(descending=True)[:80].sort().values.tolist()
                assert len(set(best) & set(kept(session)[layer][head])) >= 79  # a tie may fall either way


def _columns(ids):
    """Attention that every row gets, by layer, from one pass with the whole map."""
    found = {}

    class See:
        def select(self, layer, q, segments):
            return segments

        def seen(self, layer, q, segments, lse):
            k, _, _ = segments[0].rows(HEADS, torch.float32)
            logits = (q.reshape(HEADS, -1, 32) @ k.transpose(1, 2) / 32**0.5).view(
                HEADS, -1, len(ids), len(ids)
            )
            order = torch.ones(len(ids), len(ids)).tril().bool()
            found[layer] = logits.masked_fill(~order, -torch.inf).softmax(-1).sum((1, 2))

    _read(ids, See())
    return found


@torch.inference_mode()
def _read(ids, watcher):
    sequence = Sequence(Pools(Shape(LAYERS, HEADS, 32), Budget(1 << 23)))
    sequence.reserve(len(ids))
    span = Span(sequence, 0, len(ids), Rotation.upto(DECODER.config.rope, len(ids)), watcher)
    DECODER.hidden(torch.tensor(ids), CachedAttention(DECODER.config, [span]))


def test_snapkv_keeps_what_the_last_queries_look_at(engine):
    with settled(engine, tokens(300), make("snapkv", {"budget": 60, "window": 32, "kernel": 1})) as session:
        rows = kept(session)
        assert all(len(head) == 60 for layer in rows for head in layer)
        assert all(head[-32:] == list(range(268, 300)) for layer in rows for head in layer)
        assert rows[0][0] != rows[0][1]  # each head its own


@given(st.integers(1, 60), st.integers(1, 80), st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_adakv_gives_out_a_layers_budget_and_no_head_less_than_its_floor(budget, rows, floor, seed):
    scores = torch.rand(4, rows, generator=torch.Generator().manual_seed(seed)) ** 4
    counts = shared(budget, scores, floor)
    assert sum(counts) == 4 * min(budget, rows)
    assert all(int(floor * min(budget, rows)) <= count <= rows for count in counts)


def test_adakv_gives_more_to_the_head_that_looks_wider():
    wide, narrow = torch.full((100,), 0.5), torch.zeros(100)
    narrow[:5] = 1.0
    assert shared(20, torch.stack((wide, narrow)), 0.2) == [32, 8]


@given(st.integers(1, 400), st.integers(1, 12), st.integers(1, 400))
@settings(deadline=None, max_examples=80)
def test_pyramids_fall_and_keep_their_mean(budget, layers, rows):
    budget = min(budget, rows)
    counts = [layer[0] for layer in Pyramid(20.0).split(budget, [torch.zeros(2, rows)] * layers)]
    assert counts == sorted(counts, reverse=True)
    assert budget - 1 <= sum(counts) / layers <= budget
    assert max(counts) <= rows


def test_windowkv_keeps_whole_windows_alike_in_all_heads_and_layers_of_a_group(engine):
    for task, suffix in (("localise", 32), ("aggregate", 16)):
        with settled(engine, tokens(320), make("windowkv", {"budget": 120, "task": task})) as session:
            rows = kept(session)
            assert all(head == rows[0][0] for layer in rows for head in layer)
            before = [row for row in rows[0][0] if row < 320 - suffix]
            assert len(before) % 8 == 0
            assert all(
                before[i] % 8 == 0 and before[i + 7] == before[i] + 7 for i in range(0, len(before), 8)
            )
            assert 120 - 8 < len(rows[0][0]) <= 120


def test_think_stores_fewer_channels_and_chooses_better_than_key_norms_alone(engine):
    with settled(engine, tokens(640), None) as whole, settled(engine, tokens(640), Think(0.5)) as thin:
        assert thin.nbytes < whole.nbytes * 0.87  # half of the keys' bytes, but for the last tokens
        (segment, _), *_ = thin._kept.cache.numbered(1)
        assert segment.channels.shape == (HEADS, 16)
        assert segment.arrays[0].shape[-1] == 16
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(4, 32, 32, generator=generator) * torch.logspace(-1, 1, 32).flip(0)
    keys = torch.randn(2, 200, 32, generator=generator) * torch.logspace(-1, 0.5, 32)
    want = queries.view(2, -1, 32) @ keys.transpose(1, 2)

    def error(channels):
        pick = channels.unsqueeze(1)
        thin_q = queries.view(2, -1, 32).gather(2, pick.expand(-1, 64, -1))
        thin_k = keys.gather(2, pick.expand(-1, 200, -1))
        return float((want - thin_q @ thin_k.transpose(1, 2)).norm())

    by_norm = keys.norm(dim=1).topk(16, -1).indices.sort(-1).values
    assert error(Think(0.5).channels(queries, keys)) < error(by_norm)


def test_quest_reads_no_more_than_its_pages_and_gives_nothing_up(engine):
    policy = Quest(pages=2, dense=1)
    meter = {}

    class Metering(Quest):
        def watch(self, shape):
            meter["it"] = Metered(shape.kv_heads, super().watch(shape))
            return meter["it"]

    with settled(engine, tokens(640), Metering(2, 1)) as session:
        held = session.nbytes
        meter["it"].read, meter["it"].passes = 0.0, {}
        session.generate((5,), Generate(20)).result()
        row = 2 * 32 * 4 * HEADS
        dense = 660 * row
        paged = (2 * 64 + 64) * row
        assert meter["it"].per_step <= dense + 2 * paged
        assert session.nbytes >= held
    assert not policy.destroys


def test_quest_bounds_are_bounds(engine):
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(2, 10, 64, 32, generator=generator)
    q = torch.randn(4, 1, 32, generator=generator)
    bounds = torch.stack((keys.amin(2), keys.amax(2)), 2)
    reached = (q.view(2, 2, 32)[:, :, None, None] * keys[:, None]).sum(-1).amax((1, 3))
    grouped = q.view(2, 2, 32)
    upper = (
        grouped.clamp(min=0) @ bounds[:, :, 1].transpose(1, 2)
        + grouped.clamp(max=0) @ bounds[:, :, 0].transpose(1, 2)
    ).amax(1)
    assert (upper >= reached - 1e-4).all()
    assert best_pages(q.reshape(2, -1, q.shape[-1]), bounds, 10).tolist() == [list(range(10))] * 2


def test_duo_keeps_all_rows_of_retrieval_heads_and_a_constant_number_of_the_others(engine):
    policy = duo(GATES, 0.5, sinks=8, recent=24)
    with settled(engine, tokens(320), policy) as session:
        for _ in range(3):
            session.generate((1,), Generate(80)).result()
        rows = kept(session)
        full = GATES.full(0.5)
        length = len(session.tokens) - 1
        for layer in range(LAYERS):
            for head in range(HEADS):
                if full[layer][head]:
                    assert len(rows[layer][head]) == length
                else:
                    assert len(rows[layer][head]) <= 8 + 24 + 64 + 1
                    assert rows[layer][head][:8] == list(range(8))


def test_with_all_heads_full_duo_is_dense(engine):
    plain, _ = said(engine, tokens(200), None)
    found, _ = said(engine, tokens(200), duo(GATES, 1.0, sinks=4, recent=16))
    assert [i for i, _ in found] == [i for i, _ in plain]


def test_gates_are_refused_by_another_model_and_by_another_shape(engine, tmp_path):
    GATES.write(tmp_path / "gates.json")
    assert Gates.read(tmp_path / "gates.json", "m") == GATES
    with pytest.raises(BadInput, match="of another model"):
        Gates.read(tmp_path / "gates.json", "n")
    (tmp_path / "gates.json").write_text("[]")
    with pytest.raises(BadInput, match="no gates"):
        Gates.read(tmp_path / "gates.json", "m")
    with pytest.raises(BadInput, match="do not fit"):
        said(engine, tokens(50), duo(Gates("m", ((1.0, 0.0),)), sinks=4, recent=16))


def test_the_profiler_finds_planted_retrieval_heads():
    """Heads whose keys and queries are the tokens' own vectors look back; those that see positions do not."""
    text, period, start = probe(200, run=32, gap=200)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.nn.functional.normalize(torch.randn(200, 64, generator=generator), dim=-1) * 12
    own = vectors[torch.tensor(text)]
    near = torch.cumsum(torch.randn(len(text), 64, generator=generator), 0) * 2  # like what stands close by
    watcher = LookingBack(Shape(1, 2, 64), period, start)
    keys = torch.stack((own, near))
    segment = stored(keys, keys)
    segment = replace(segment, causal=True)
    _, lse = attend(keys, [segment], 2)
    watcher.seen(0, keys, [segment], lse)
    ((planted, other),) = watcher.gates("m").values
    assert planted > 0.3 > other
