"""Sampling: the filters, in Hugging Face's order, and the penalties."""

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ctxeng.errors import BadInput
from ctxeng.runtime.sampling import Sampling, adjusted, distribution, draw


def logits(seed=0, size=60):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"temperature": 1.3, "top_p": 0.8},
        {"temperature": 1.0, "top_k": 7},
        {"temperature": 2.0, "min_p": 0.1},
        {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "min_p": 0.02},
    ],
)
def test_the_distribution_is_that_of_transformers(seed, options):
    warpers = LogitsProcessorList([TemperatureLogitsWarper(options["temperature"])])
    if "top_k" in options:
        warpers.append(TopKLogitsWarper(options["top_k"]))
    if "top_p" in options:
        warpers.append(TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        warpers.append(MinPLogitsWarper(options["min_p"]))
    want = warpers(torch.zeros(1, 1, dtype=torch.long), logits(seed)[None])[0].softmax(-1)
    assert torch.allclose(distribution(logits(seed), Sampling(**options)), want, atol=1e-6)


def test_the_repetition_penalty_is_that_of_transformers():
    seen = [3, 5, 5, 9]
    want = RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor([seen]), logits()[None].clone())[0]
    assert torch.allclose(adjusted(logits(), Sampling(repetition=1.7), seen[:2], seen[2:]), want)


def test_frequency_and_presence_count_generated_tokens_only():
    found = adjusted(logits(), Sampling(frequency=0.5, presence=0.25), [1, 1], [2, 2, 4])
    change = found - logits()
    assert change[1] == 0
    assert float(change[2]) == pytest.approx(-1.25, abs=1e-5)
    assert float(change[4]) == pytest.approx(-0.75, abs=1e-5)


def test_bias_adds_and_names_a_token_that_is_none():
    assert adjusted(logits(), Sampling(bias={7: 100.0}), [], []).argmax() == 7
    with pytest.raises(BadInput, match="token 60: the vocabulary has 60"):
        adjusted(logits(), Sampling(bias={60: 1.0}), [], [])


def test_greedy_takes_the_largest_and_one_token_is_always_left():
    assert draw(logits(), Sampling(), torch.Generator()) == int(logits().argmax())
    narrow = distribution(logits(), Sampling(temperature=1.0, top_p=1e-9, min_p=1.0))
    assert int((narrow > 0).sum()) == 1


def test_draws_follow_the_distribution():
    options = Sampling(temperature=1.0)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(5)
    for _ in range(4000):
        counts[draw(torch.arange(5.0) / 2, options, generator)] += 1
    assert torch.allclose(counts / 4000, (torch.arange(5.0) / 2).softmax(-1), atol=0.03)


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_p": 0.0}, {"min_p": 2.0}, {"repetition": 0}])
def test_values_out_of_range_are_named(options):
    with pytest.raises(BadInput, match=next(iter(options))):
        Sampling(**options)
