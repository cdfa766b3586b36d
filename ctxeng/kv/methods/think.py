"""ThinK (Xu et al. 2024, section 3): key channels that the last queries hardly use are not stored at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.kv.piece import Piece, ragged
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng_kernels.segment import Segment


@dataclass(frozen=True)
class Think:
    """Keep the share `keep` of each head's key channels, by the last `window` queries.

    The last `recent` tokens stay whole, and so does all that is generated. Raises BadInput for a share out of
    range.
    """

    keep: float = 0.6
    window: int = 32
    recent: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise BadInput(f"ThinK keeps a share of the channels above 0 and up to 1, not {self.keep:g}")

    @property
    def rows(self) -> int:
        """Queries at the prompt's end it has to see."""
        return self.window

    @property
    def destroys(self) -> bool:
        """Channels are given up for good."""
        return True

    def watch(self, shape: Shape) -> Thinning:
        """Begin on a new sequence."""
        return Thinning(self, shape)

    def channels(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The channels kept [Hkv, d'], rising: those of the largest ||Q_c|| ||K_c|| (equation 4)."""
        heads, width = len(keys), keys.shape[-1]
        norms = queries.reshape(heads, -1, width).norm(dim=1) * keys.norm(dim=1)
        count = max(2, 2 * round(self.keep * width / 2))  # even, so that any codec can hold it
        return norms.topk(count, -1).indices.sort(-1).values


@dataclass
class Thinning:
    """One ThinK at work."""

    policy: Think
    shape: Shape
    _queries: dict[int, Tensor] = field(default_factory=dict)
    _done: bool = False

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Everything."""
        del layer, q
        return segments

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Keep the last queries."""
        del segments, lse
        if not self._done:
            before = self._queries.get(layer, q[:, :0])
            self._queries[layer] = torch.cat((before, q), 1)[:, -self.policy.window :].clone()

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Store the prompt thin, but for its last tokens. Once."""
        if self._done:
            return
        tokens = sequence.length
        cut = tokens - self.policy.recent
        if cut <= 0:
            self._done = True
            return
        thin, whole, channels = [], [], []
        for layer in range(self.shape.layers):
            keys, values = sequence.dense(layer)
            kept = self.policy.channels(self._queries[layer], keys)
            channels.append(kept)
            narrow = keys[:, :cut].gather(2, kept.unsqueeze(1).expand(-1, cut, -1))
            thin.append((list(narrow), list(values[:, :cut])))
            whole.append((list(keys[:, cut:]), list(values[:, cut:])))
        width = channels[0].shape[1]
        index = [[torch.arange(cut)] * self.shape.kv_heads] * self.shape.layers
        rest = [[torch.arange(tokens - cut)] * self.shape.kv_heads] * self.shape.layers
        start = sequence.start
        first = ragged(pools.of(sequence.codec, width), thin, index, cut, start)
        segments = zip(first.segments, channels, strict=True)
        narrowed = tuple(replace(segment, channels=kept) for segment, kept in segments)
        try:
            second = ragged(pools.of(sequence.codec), whole, rest, tokens - cut, start + cut)
        except BaseException:
            first.release()
            raise
        sequence.replace(Piece(narrowed, first.holds, cut, start, first.index), second)
        self._done = True
