"""Rows of peers: what is needed is named, and our own way of talking to their caches is right."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.nn import functional

from ctxeng.errors import BadInput
from ctxeng.extras import installed
from ctxeng.runtime.engine import Engine
from ctxeng_evals.bench import recall, recall_peers, runtime_peers
from ctxeng_evals.bench.runtime_models import TINY, Weights
from ctxeng_evals.instrument.shipped import FOLDER, instrument

transformers = pytest.importorskip("transformers")
TOKENS = torch.randint(1, 1000, (90,), generator=torch.Generator().manual_seed(3)).tolist()


@contextmanager
def without_rows(model, first, last):
    """A press as kvpress has them: rows of every layer go once the context is read."""

    def drop(module, _, given, output):
        layer = given["past_key_values"].layers[module.layer_idx]
        kept = [*range(first), *range(last, layer.keys.shape[2])]
        layer.keys, layer.values = layer.keys[:, :, kept], layer.values[:, :, kept]
        return output

    hooks = [
        layer.self_attn.register_forward_hook(drop, with_kwargs=True, always_call=False)
        for layer in model.model.layers
    ]
    yield
    for hook in hooks:
        hook.remove()


@pytest.mark.skipif(installed("kvpress"), reason="kvpress is here")
def test_without_kvpress_the_way_out_is_named():
    with pytest.raises(BadInput, match="pip install kvpress"):
        recall_peers.run()


def test_transformers_with_its_own_cache_answers_what_our_engine_answers():
    tool = instrument()
    rng = np.random.default_rng(1000)
    exercises = [recall.exercise_of(rng, tool) for _ in range(2)]
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER).eval()
    with Engine(tool.decoder, memory=1 << 26) as engine:
        for name in ("session", "shared"):
            ours = recall.measured(engine, exercises, getattr(recall, name), "dense", None)
            found = recall_peers.measured(model, exercises, getattr(recall_peers, name))
            assert found.right.tolist() == ours.right.tolist()
            assert found.held == pytest.approx(1024 * 4 * 2 * 2 * 32 * 4, rel=0.1)  # a little shorter


def test_what_follows_a_thinned_context_stands_at_its_real_places_and_sees_what_was_kept():
    model = Weights.random(TINY, 0).peer(dict(TINY))
    for weight in model.parameters():  # attention that tells places apart
        weight.data.mul_(8 if weight.dim() > 1 else 1)
    context, asked = TOKENS[:80], TOKENS[80:]
    seen = torch.ones(90, 90, dtype=torch.bool).tril()
    seen[80:, 20:60] = False
    with torch.inference_mode():
        talk = recall_peers.Talk.begun(model)
        talk.read(context, lambda model: without_rows(model, 20, 60))
        found = [talk.read([token]) for token in asked[:4]] + [talk.read(asked[4:])]
        want = model(torch.tensor([TOKENS]), attention_mask=seen[None, None]).logits[0].argmax(-1)
    assert found == [*want[80:84].tolist(), int(want[-1])]


def test_bytes_are_those_of_the_memory_behind_a_cache_not_of_what_it_shows():
    model = Weights.random(TINY, 0).peer(dict(TINY))
    talk = recall_peers.Talk.begun(model)
    talk.read(TOKENS)
    whole = talk.nbytes
    for layer in talk.cache.layers:
        layer.keys = layer.keys[:, :, :45]
    assert talk.nbytes == whole == 90 * 16 * 2 * 2 * 32 * 4
    for layer in talk.cache.layers:
        layer.keys = layer.keys.clone()
    assert talk.nbytes == whole * 3 // 4


@pytest.mark.parametrize("attention", [runtime_peers._REPEATED, runtime_peers._ROWS])
def test_our_attentions_for_transformers_are_its_own_attention(attention):
    weights = Weights.random(TINY, 0)
    plain, other = (weights.peer(dict(TINY)) for _ in range(2))
    runtime_peers.register()
    other.set_attn_implementation(attention)
    outs = []
    for model in (plain, other):
        cache = transformers.DynamicCache(config=model.config)
        with torch.inference_mode():
            for token in (5, 6, 7, 8):
                out = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).logits
        outs.append(out)
    assert torch.allclose(*outs, atol=1e-5)


@pytest.mark.parametrize("grouped", [True, False])
def test_it_is_seen_whether_attention_was_asked_to_group_heads(grouped):
    query, key = torch.zeros(1, 4, 1, 8), torch.zeros(1, 2 if grouped else 4, 3, 8)
    watched = runtime_peers._Watched()
    with watched:
        functional.scaled_dot_product_attention(query, key, key, enable_gqa=grouped)
    assert watched.grouped is grouped


def test_a_package_inside_one_that_is_absent_is_absent():
    assert not runtime_peers._there("no_such_package.inner")
    assert runtime_peers._there("torch.nn")
