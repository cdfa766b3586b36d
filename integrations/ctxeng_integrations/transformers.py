"""Our caches, policies and kernels under any transformers model: an attention function and a Cache.

from ctxeng_integrations.transformers import CtxengCache, attach
attach(model)
model.generate(**inputs, past_key_values=CtxengCache(model, CachePlan("int8")))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.kv.pool import Budget
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.attention import Span, answer
from ctxeng.runtime.plan import CachePlan

try:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.cache_utils import Cache, CacheLayerMixin
except ModuleNotFoundError:
    raise MissingExtra("local", "transformers") from None

NAME = "ctxeng"


def attach(model: Any) -> None:
    """Let a model attend through us; with any other cache than ours it says so and stops.

    Undo it with `model.set_attn_implementation("sdpa")`. Raises BadInput for a model whose layers are no
    plain attention.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if kinds:
        raise BadInput(
            f"layers of kind {', '.join(sorted(kinds))} keep no keys and values that we could hold"
        )
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)


@dataclass(frozen=True)
class _Heads:
    """What attention has to know of the model."""

    kv_heads: int
    windows: tuple[int | None, ...]


class CtxengCache(Cache):  # type: ignore[misc]  # transformers is not followed by the type checker
    """A transformers cache that holds blocks of ours: `plan` says by which codec and policy.

    `memory` caps it in bytes. One row of a batch is one sequence; padding is refused.
    """

    def __init__(self, model: Any, plan: CachePlan | None = None, memory: int = 1 << 30) -> None:
        config = model.config.get_text_config()
        self.plan = plan or CachePlan()
        heads = config.num_attention_heads
        self.heads = _Heads(getattr(config, "num_key_value_heads", heads) or heads, _windows(config))
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        shape = Shape(config.num_hidden_layers, self.heads.kv_heads, width, model.dtype)
        self.pools = Pools(shape, Budget(memory))
        self.rows: list[Sequence] = []
        self.spans: list[Span] = []
        super().__init__(layers=[_Layer(self, layer) for layer in range(shape.layers)])

    @property
    def nbytes(self) -> int:
        """Bytes really held."""
        return sum(row.nbytes for row in self.rows)

    def begin(self, batch: int, count: int) -> None:
        """A pass over so many new tokens of each row begins. Raises CacheFull."""
        if not self.rows:
            self.rows = [Sequence(self.pools, self.plan.codec) for _ in range(batch)]
            shape, policy = self.pools.shape, self.plan.policy
            self._watchers = [policy.watch(shape) if policy is not None else None for _ in self.rows]
        if batch != len(self.rows):
            raise BadInput(f"this cache holds {len(self.rows)} sequences, the model brings {batch}")
        for row in self.rows:
            row.reserve(count if row.room >= count else count + 256)  # decoding asks for one at a time
        self.spans = [
            Span(row, 0, count, None, watcher) for row, watcher in zip(self.rows, self._watchers, strict=True)
        ]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Of q [B, heads, T, d], k, v [B, kv_heads, T, d]: [B, T, heads, d]. The last layer ends a pass."""
        if layer == 0:
            self.begin(len(q), q.shape[2])
        out = [
            answer(self.heads, layer, span, *(x[row].transpose(0, 1) for x in (q, k, v)))
            for row, span in enumerate(self.spans)
        ]
        if layer == self.pools.shape.layers - 1:
            self._end()
        return torch.stack(out).view(len(q), q.shape[2], q.shape[1], -1)

    def _end(self) -> None:
        for span, watcher in zip(self.spans, self._watchers, strict=True):
            assert span.sequence.tail is not None
            span.sequence.tail.length += span.count
            if watcher is not None:
                watcher.settle(span.sequence, self.pools)

    def crop(self, max_length: int) -> None:
        """Forget tokens from this number on; a negative one: so many at the end, as transformers has it."""
        for row in self.rows:
            row.crop(max_length if max_length >= 0 else row.length + max_length)

    def reset(self) -> None:
        """Give everything back and begin anew."""
        for row in self.rows:
            row.release()
        self.rows = []


class _Layer(CacheLayerMixin):  # type: ignore[misc]  # as above
    """One layer's door into the cache: hands the new keys on, marked with where they belong."""

    is_croppable = True
    is_sliding = False

    def __init__(self, cache: CtxengCache, layer: int) -> None:
        super().__init__()
        self.cache, self.layer = cache, layer

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to be made ahead."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """The new keys and values alone: attention finds the others in the cache they are marked with."""
        key_states.ctxeng = (self.cache, self.layer)
        return key_states, value_states

    def get_seq_length(self) -> int:
        """Tokens it stands for, dropped ones included: positions go on from there."""
        return self.cache.rows[0].length if self.cache.rows else 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """As if nothing were dropped; no mask is built from it."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """It grows until the cap."""
        return -1


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, scaling: float | None = None, **more: Any
) -> tuple[Tensor, None]:
    usual = query.shape[-1] ** -0.5
    odd = [name for name in ("softcap", "s_aux", "position_bias") if more.get(name) is not None]
    if odd or (scaling is not None and abs(scaling - usual) > 1e-6 * usual):
        raise BadInput(f"this model's attention is none of ours: {', '.join(odd) or f'scale {scaling:g}'}")
    home = getattr(key, "ctxeng", None)
    if home is None:
        raise BadInput("a model attached to ctxeng needs past_key_values=CtxengCache(model, plan)")
    cache, layer = home
    assert layer == module.layer_idx
    return cache.attend(layer, query, key, value), None


def _no_mask(*_: Any, attention_mask: Tensor | None = None, **__: Any) -> None:
    """Order is kept by the cache; all that a mask could add is padding, which no sequence of ours has."""
    if attention_mask is not None and not bool(attention_mask.all()):
        raise BadInput("padded batches are not supported: bring sequences of one length, or one at a time")


def _windows(config: Any) -> tuple[int | None, ...]:
    size, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None)
    if size is None or getattr(config, "use_sliding_window", True) is False:
        return (None,) * int(config.num_hidden_layers)
    if kinds is None:
        return (int(size),) * int(config.num_hidden_layers)
    return tuple(int(size) if kind == "sliding_attention" else None for kind in kinds)
