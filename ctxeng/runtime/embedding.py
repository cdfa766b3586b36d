"""Vectors of texts: the mean of the decoder's last hidden states, at unit length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ctxeng.errors import BadInput, Cancelled
from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.engine import Engine


def embed(
    engine: Engine, texts: Sequence[Sequence[int]], gone: Callable[[], bool] = lambda: False
) -> list[list[float]]:
    """One vector [hidden] for each text of tokens, until nobody waits any more.

    Raises BadInput for an empty or too long text, Cancelled where `gone` said so.
    """
    config = engine.decoder.config
    for ids in texts:
        if not 0 < len(ids) <= config.max_positions:
            raise BadInput(f"a text to embed has 1 to {config.max_positions} tokens, not {len(ids)}")
        odd = next((i for i in ids if not 0 <= i < config.vocab), None)
        if odd is not None:
            raise BadInput(f"token {odd} is none of the {config.vocab} the model knows")

    def one(ids: Sequence[int]) -> list[float]:
        where = torch.arange(len(ids))
        see = WholeSequence(config, engine.rotation(len(ids)), where)
        mean = engine.decoder.hidden(torch.tensor(list(ids)), see).float().mean(0)
        found: list[float] = torch.nn.functional.normalize(mean, dim=0).tolist()
        return found

    found = []
    for ids in texts:
        if gone():
            raise Cancelled("nobody waits for these vectors")
        found.append(engine.call(lambda ids=ids: one(ids)))  # type: ignore[misc]
    return found
