"""Squeezed Attention: dense at threshold nought, few keys and most of the attention on clustered ones."""

import pytest
import torch

from blocks import random, stored
from ctxeng.errors import BadInput
from ctxeng.kv.methods.squeezed import Squeezed, packed
from ctxeng.kv.methods.squeezed_index import Clusters, Index, kmeans, means
from ctxeng.kv.reading import live_rows
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.session import Session
from ctxeng_kernels.attend import attend
from ctxeng_kernels.segment import Rows, Segment
from tiny_model import tiny, tokens

DECODER = tiny()


@pytest.fixture(scope="module")
def engine():
    with Engine(DECODER, memory=1 << 25) as engine:
        yield engine


def clustered(topics=20, each=50, d=32, seed=0):
    """Keys of two heads around so many directions."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.nn.functional.normalize(torch.randn(2, topics, d, generator=generator), dim=-1) * 6
    keys = centres.repeat_interleave(each, 1) + 0.3 * torch.randn(2, topics * each, d, generator=generator)
    return keys[:, torch.randperm(topics * each, generator=generator)], centres


def test_single_rows_are_read_wherever_they_lie():
    q, k, v = random(4, 2, 1, 150)
    segment = stored(k, v, spare=1)
    picked = torch.rand(2, 150) < 0.4
    order, live = packed(picked)
    ids = order + torch.arange(2).unsqueeze(1) * segment.where.stride * 64
    o, _ = attend(q, [Segment("dense", segment.arrays, Rows(ids, live))], 2)
    for head in range(2):
        rows = slice(2 * head, 2 * head + 2)
        logits = q[rows, 0] @ k[head, picked[head]].T / 32**0.5
        assert torch.allclose(o[rows, 0], logits.softmax(-1) @ v[head, picked[head]], atol=1e-5)


def test_clusters_are_found_where_there_are_some():
    keys, _ = clustered(topics=8, each=40)
    labels = kmeans(keys[0], 8, seed=1)
    centres, sizes = means(keys[:1], labels[None], 8)
    assert int((sizes > 0).sum()) >= 7
    spread = (keys[0] - centres[0][labels]).norm(dim=-1).mean()
    assert spread < 0.4 * keys[0].norm(dim=-1).mean()


def test_most_of_the_best_attention_is_read_with_few_keys():
    """Recall of the attention mass of the true best 5 % of keys, at a tenth of the keys."""
    keys, centres = clustered()
    made = Clusters.of(keys, 0.05, 0.01, seed=0)
    found, read = [], []
    for topic in range(20):
        q = (centres[:, topic] * 1.2).unsqueeze(1)  # one query head for each KV head
        weights = (q @ keys.transpose(1, 2) / 32**0.5).softmax(-1)[:, 0]
        scores = made.scores(q, reach=4).gather(1, made.labels)
        chosen = scores >= scores.flatten().sort().values[int(0.9 * scores.numel())]
        best = weights >= weights.topk(50, -1).values[:, -1:]
        found.append(float((weights * best * chosen).sum() / (weights * best).sum()))
        read.append(float(chosen.float().mean()))
    assert sum(found) / len(found) >= 0.9
    assert sum(read) / len(read) <= 0.15


def test_at_threshold_nought_it_is_dense(engine):
    plain, _ = engine.submit(tokens(300), Generate(10), CachePlan(reuse=False)).result()
    plan = CachePlan(policy=Squeezed(256, quantile=0.0), reuse=False)
    found, _ = engine.submit(tokens(300), Generate(10), plan).result()
    assert found == plain


@pytest.mark.parametrize("fixed", [64, 200, 256])
def test_a_quantile_reads_about_its_share_of_the_fixed_context(engine, fixed):
    policy = Squeezed(fixed, quantile=0.9, share=0.1)
    with Session(engine, CachePlan(policy=policy, reuse=False)) as session:
        session.extend(tokens(300))
        watcher = session.meter
        shares = []
        keep = watcher.select

        def counted(layer, q, segments):
            found = keep(layer, q, segments)
            if q.shape[1] == 1:
                rest = (segments[0].where.length - fixed) * 2
                shares.append((live_rows(found[0], 2) - rest) / (2 * fixed))
            return found

        watcher.select = counted
        held = session.nbytes
        session.generate((7,), Generate(20)).result()
        assert session.nbytes >= held
    assert 0.02 <= sum(shares) / len(shares) <= 0.45  # random weights: clusters are loose


def test_an_index_is_kept_and_refused_by_a_context_that_differs_by_one_token(engine, tmp_path):
    policy = Squeezed(128)
    with Session(engine, CachePlan(policy=policy, reuse=False)) as session:
        session.extend(tokens(140))
        made = session.meter.index
        want, _ = session.generate((3,), Generate(6)).result()
    named = Index("name of 128 tokens", made.layers, made.threshold)
    named.write(tmp_path / "index.safetensors")
    read = Index.read(tmp_path / "index.safetensors", "name of 128 tokens")
    plan = CachePlan(policy=Squeezed(128, index=read), reuse=False)
    with Session(engine, plan) as session:
        session.extend(tokens(140))
        assert session.generate((3,), Generate(6)).result()[0] == want
    with pytest.raises(BadInput, match="another context"):
        Index.read(tmp_path / "index.safetensors", "name of 128 other tokens")
    (tmp_path / "index.safetensors").write_bytes(b"no")
    with pytest.raises(BadInput, match="not an index"):
        Index.read(tmp_path / "index.safetensors", "x")


def test_options_out_of_range_are_refused():
    with pytest.raises(BadInput, match="fixed >= 0"):
        Squeezed(-1)
