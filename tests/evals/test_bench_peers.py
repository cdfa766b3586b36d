"""Rows of peers: what is needed is named, and our own way of talking to their cache is right."""

import importlib.util

import numpy as np
import pytest
import torch

from ctxeng.errors import BadInput
from ctxeng_evals.bench import recall_peers, runtime_peers
from ctxeng_evals.bench.recall import exercise_of
from ctxeng_evals.bench.runtime_models import TINY, Weights
from ctxeng_evals.instrument.shipped import FOLDER, instrument

transformers = pytest.importorskip("transformers")


@pytest.mark.skipif(importlib.util.find_spec("kvpress") is not None, reason="kvpress is here")
def test_without_kvpress_the_way_out_is_named():
    with pytest.raises(BadInput, match="pip install kvpress"):
        recall_peers.run()


def test_transformers_with_its_own_cache_answers_what_our_engine_answers():
    tool = instrument()
    rng = np.random.default_rng(1000)
    exercises = [exercise_of(rng, tool) for _ in range(2)]
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER).eval()
    for play in (recall_peers.session, recall_peers.shared):
        found = recall_peers.measured(model, exercises, play, recall_peers.nullcontext)
        assert found.right.mean() >= 0.8
        dense = 1024 * 4 * 2 * 2 * 32 * 4  # exercises are a little shorter
        assert found.held == pytest.approx(dense, rel=0.1)


def test_grouped_attention_is_their_own_attention():
    weights = Weights.random(TINY, 0)
    plain, grouped = (weights.peer(dict(TINY)) for _ in range(2))
    grouped.set_attn_implementation(runtime_peers._grouped())
    outs = []
    for model in (plain, grouped):
        cache = transformers.DynamicCache(config=model.config)
        with torch.inference_mode():
            for token in (5, 6, 7, 8):
                out = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).logits
        outs.append(out)
    assert torch.allclose(*outs, atol=1e-5)
