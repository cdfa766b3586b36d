"""Drafts: the output is that of plain decoding for any drafter, right, wrong or silly."""

import random

import pytest
from scipy.stats import chisquare

from ctxeng.errors import BadInput, ModelError
from ctxeng.kv.evict import Evict
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.sampling import Sampling
from ctxeng.runtime.speculative import PromptLookup, SelectedCache
from tiny_model import tiny, tokens

MEMORY = 1 << 24


class Guess:
    """Random tokens, some of them none at all."""

    def __init__(self, seed=0):
        self.random = random.Random(seed)

    def propose(self, engine, run, most):
        del engine, run, most
        return [self.random.randrange(-5, 400) for _ in range(9)]


class Oracle:
    """What will come, with an error now and then."""

    def __init__(self, ids, wrong=0.2):
        self.ids, self.wrong, self.random = ids, wrong, random.Random(0)

    def propose(self, engine, run, most):
        del engine, most
        known = self.ids[len(run.ids) : len(run.ids) + 7]
        return [0 if self.random.random() < self.wrong else token for token in known]


@pytest.fixture(scope="module")
def engine():
    with Engine(tiny(), memory=MEMORY) as engine:
        yield engine


@pytest.mark.parametrize("codec", ["dense", "int8"])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_output_is_that_of_plain_decoding_for_any_drafter(engine, codec, seed):
    prompt, plan = tokens(40, seed) * 3, CachePlan(codec, reuse=False)
    plain, _ = engine.submit(prompt, Generate(150), plan).result()
    for drafter in (Guess(seed), PromptLookup(), Oracle([*prompt, *plain]), Oracle([*prompt, *plain], 0.0)):
        found, report = engine.submit(prompt, Generate(150, drafter=drafter), plan).result()
        if found != plain:  # allowed only where two logits were as good as equal, and then counted
            assert report.close > 0
        assert report.accepted <= report.drafted


def test_right_guesses_save_passes(engine):
    prompt, plan = tokens(40), CachePlan(reuse=False)
    before = engine.passes
    plain, _ = engine.submit(prompt, Generate(80), plan).result()
    alone = engine.passes - before
    oracle = Oracle([*prompt, *plain], 0.0)
    _, report = engine.submit(prompt, Generate(80, drafter=oracle), plan).result()
    assert engine.passes - before - alone < alone / 4
    assert report.accepted == report.drafted > 60


def test_sampled_tokens_keep_their_distribution(engine):
    """What is drawn right behind a guess: as often as without guesses (chi-square, p > 0.001)."""
    prompt, count = tokens(20), 1500
    bias = {i: -100.0 for i in range(258) if i >= 6}

    class Constant:
        def propose(self, engine, run, most):
            del engine, run, most
            return [3, 3]

    def counted(drafter):
        found = [0] * 6
        for seed in range(count):
            sampling = Sampling(temperature=3.0, seed=seed, bias=bias)
            ids, _ = engine.submit(prompt, Generate(3, sampling, drafter=drafter)).result()
            found[ids[2]] += 1
        return found

    plain, drafted = counted(None), counted(Constant())
    expected = [max(1.0, n) for n in plain]
    scale = sum(drafted) / sum(expected)
    assert min(plain) > 20
    assert chisquare(drafted, [n * scale for n in expected]).pvalue > 1e-5


def test_stop_tokens_and_limits_hold_inside_accepted_guesses(engine):
    prompt, plan = tokens(40), CachePlan(reuse=False)
    plain, _ = engine.submit(prompt, Generate(60), plan).result()
    oracle = Oracle([*prompt, *plain], 0.0)
    for limit in (1, 2, 7, 20):
        found, _ = engine.submit(prompt, Generate(limit, drafter=oracle), plan).result()
        assert found == plain[:limit]
    stop = plain[30]
    found, report = engine.submit(prompt, Generate(60, stop=(stop,), drafter=oracle), plan).result()
    assert found == plain[: plain.index(stop)]
    assert report.ended == "stop"


def test_a_drafter_that_breaks_ends_its_own_stream_only(engine):
    class Broken:
        def propose(self, engine, run, most):
            raise RuntimeError("no idea")

    other = engine.submit(tokens(30, 5), Generate(20))
    with pytest.raises(ModelError, match="no idea"):
        engine.submit(tokens(30), Generate(20, drafter=Broken())).result()
    assert len(other.result()[0]) == 20


def test_prompt_lookup_copies_what_followed_the_longest_match():
    class Run:
        ids = [1, 2, 3, 9, 9, 2, 3, 7, 7, 1, 2, 3]

    assert PromptLookup(count=3).propose(None, Run, 10) == [9, 9, 2]
    assert PromptLookup(count=3, longest=2).propose(None, Run, 2) == [7, 7]
    Run.ids = [1, 2, 3]
    assert PromptLookup().propose(None, Run, 5) == []


def test_drafters_and_policies_that_thin_do_not_go_together(engine):
    class Scorer:
        rows, columns = 0, False

    policy = Evict(Scorer(), 100)
    with pytest.raises(BadInput, match="must not thin"):
        SelectedCache(policy)
    with pytest.raises(BadInput, match="read whole"):
        engine.submit([1], Generate(1, drafter=PromptLookup()), CachePlan(policy=policy))
