"""From logits to a token: greedy or drawn, with the usual filters, in the order Hugging Face applies them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctxeng.errors import BadInput

_COLD = 1e-5  # a temperature below it leaves the largest logit alone, and may overflow


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_p` and `min_p` are shares of probability.

    `repetition` divides (or multiplies, where negative) logits of tokens seen (Keskar et al. 2019);
    `frequency` and `presence` are subtracted per occurrence and once (OpenAI's definition), for generated
    tokens only. `bias` adds to logits by token id. Raises BadInput for values out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition: float = 1.0
    frequency: float = 0.0
    presence: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        ranges = {
            "temperature": (0.0, 100.0),
            "top_p": (1e-9, 1.0),
            "min_p": (0.0, 1.0),
            "repetition": (1e-3, 100.0),
            "frequency": (-100.0, 100.0),
            "presence": (-100.0, 100.0),
            "top_k": (0, 1 << 31),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"{name} must be from {low:g} to {high:g}, not {value!r}")
        if not all(math.isfinite(by) for by in self.bias.values()):
            raise BadInput("a logit bias must be a finite number")
        if self.seed is not None and not -(1 << 63) <= self.seed < 1 << 63:
            raise BadInput(f"seed must fit into 64 bits, not {self.seed}")

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature < _COLD

    def changes(self) -> bool:
        """Whether logits are changed before a token is chosen."""
        return bool(self.bias) or (self.repetition, self.frequency, self.presence) != (1.0, 0.0, 0.0)


def adjusted(logits: Tensor, options: Sampling, prompt: Sequence[int], generated: Sequence[int]) -> Tensor:
    """Logits [vocab] in fp32 after penalties and bias. Raises BadInput for a bias on no token."""
    logits = logits.float().clone()
    if options.repetition != 1.0:
        seen = torch.tensor(sorted({*prompt, *generated}), dtype=torch.long)
        marked = logits[seen]
        logits[seen] = torch.where(marked > 0, marked / options.repetition, marked * options.repetition)
    if generated and (options.frequency or options.presence):
        ids, counts = torch.tensor(generated, dtype=torch.long).unique(return_counts=True)
        logits[ids] -= options.frequency * counts + options.presence
    for token, by in options.bias.items():
        if not 0 <= token < len(logits):
            raise BadInput(f"logit bias for token {token}: the vocabulary has {len(logits)}")
        logits[token] += by
    return logits


def distribution(logits: Tensor, options: Sampling) -> Tensor:
    """Probabilities [..., vocab] that a token is drawn from: temperature, then top-k, top-p, min-p.

    Greedy gives all to the largest.
    """
    if options.greedy:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = logits / options.temperature
    if 0 < options.top_k < logits.shape[-1]:
        least = logits.topk(options.top_k, -1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(-1)
    if options.top_p < 1:
        ranked, order = probabilities.sort(-1, descending=True)
        beyond = ranked.cumsum(-1) - ranked >= options.top_p
        drop = torch.zeros_like(beyond).scatter_(-1, order, beyond)
        probabilities = probabilities.masked_fill(drop, 0.0)
    if options.min_p > 0:
        floor = probabilities.amax(-1, keepdim=True) * options.min_p
        probabilities = probabilities.masked_fill(probabilities < floor, 0.0)
    return probabilities / probabilities.sum(-1, keepdim=True)


def draw(logits: Tensor, options: Sampling, generator: torch.Generator) -> int:
    """One token from logits [vocab]."""
    if options.greedy:
        return int(logits.argmax())
    return int(torch.multinomial(distribution(logits, options), 1, generator=generator))
