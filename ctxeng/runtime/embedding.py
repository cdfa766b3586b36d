"""Vectors of texts: the mean of the decoder's last hidden states, at unit length."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctxeng.errors import BadInput
from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.engine import Engine


def embed(engine: Engine, texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """One vector [hidden] for each text of tokens. Raises BadInput for an empty or too long one."""
    config = engine.decoder.config
    for ids in texts:
        if not 0 < len(ids) <= config.max_positions or not all(0 <= i < config.vocab for i in ids):
            raise BadInput(f"a text to embed has 1 to {config.max_positions} known tokens, not {len(ids)}")

    def one(ids: Sequence[int]) -> list[float]:
        where = torch.arange(len(ids))
        see = WholeSequence(config, engine.rotation(len(ids)), where)
        mean = engine.decoder.hidden(torch.tensor(list(ids)), see).float().mean(0)
        found: list[float] = torch.nn.functional.normalize(mean, dim=0).tolist()
        return found

    return [engine.call(lambda ids=ids: one(ids)) for ids in texts]  # type: ignore[misc]
