"""Quest (Tang et al. 2024, section 3): a step reads the pages whose keys could matter most to its query."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.pages import best_pages, page_bounds
from ctxeng_kernels.segment import Rows, Segment, Span, Table


@dataclass(frozen=True)
class Quest:
    """Read `pages` pages of 64 rows a head and step; the first `dense` layers, and the begun page, read all.

    Nothing is given up: another query may choose other pages. Raises BadInput without a page.
    """

    pages: int = 16
    dense: int = 2

    def __post_init__(self) -> None:
        if self.pages < 1:
            raise BadInput("Quest needs at least one page to read")

    @property
    def rows(self) -> int:
        """It needs no query of the prompt."""
        return 0

    @property
    def destroys(self) -> bool:
        """It only chooses what is read."""
        return False

    def watch(self, shape: Shape) -> Paging:
        """Begin on a new sequence."""
        return Paging(self, shape)


@dataclass
class Paging:
    """One Quest at work: the least and largest key of every page, made once."""

    policy: Quest
    shape: Shape
    _bounds: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """The pages with the highest bounds on q . k. More than one query, a prompt, reads all."""
        if layer < self.policy.dense or q.shape[1] > 1:
            return segments
        found = []
        for segment in segments:
            whole, begun = parted(segment, self.shape.kv_heads)
            if whole is not None and whole.ids.shape[1] > self.policy.pages:
                bounds = self._known(layer, segment, whole)
                grouped = segment.facing(q).reshape(self.shape.kv_heads, -1, q.shape[-1])
                chosen = best_pages(grouped.contiguous(), bounds.contiguous(), self.policy.pages)
                fill = torch.full_like(chosen, BLOCK)
                found.append(replace(segment, where=Table(whole.ids.gather(1, chosen), fill), causal=False))
                found += [begun] if begun is not None else []
            else:
                found.append(segment)
        return found

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Nothing is learned from queries."""

    def crop(self, rows: int, gone: int) -> None:
        """Other keys will be written to the pages that were forgotten."""
        del rows, gone
        self._bounds.clear()

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Nothing is thinned."""

    def _known(self, layer: int, segment: Segment, whole: Table) -> Tensor:
        """Least and largest keys [Hkv, pages, 2, d]; only pages new since the last time are looked at."""
        key = (layer, int(whole.ids[0, 0]))
        known = self._bounds.get(key)
        have = 0 if known is None else known.shape[1]
        if known is None or have < whole.ids.shape[1]:
            fresh = replace(segment, where=Table(whole.ids[:, have:], whole.fill[:, have:]), causal=False)
            k, _, _ = fresh.rows(self.shape.kv_heads, self.shape.dtype)
            made = page_bounds(k)
            known = made if known is None else torch.cat((known, made), 1)
            self._bounds[key] = known
        return known[:, : whole.ids.shape[1]]


def parted(segment: Segment, heads: int) -> tuple[Table | None, Segment | None]:
    """The whole pages of a segment, and a segment of the page that was begun; None where there is none.

    For one query. Ragged segments, whose heads end at different places, are left whole: neither.
    """
    if isinstance(segment.where, Table):
        if not bool((segment.where.fill == BLOCK).all()):
            return None, None
        return segment.where, None
    if isinstance(segment.where, Rows):
        return None, None
    span = segment.where
    pages, over = divmod(span.length, BLOCK)
    if over == 0 and segment.causal:  # the query's own page is always read
        pages, over = pages - 1, BLOCK
    ids = span.first + torch.arange(heads).unsqueeze(1) * span.stride + torch.arange(pages)
    whole = Table(ids, torch.full_like(ids, BLOCK)) if pages else None
    if not over:
        return whole, None
    where = segment.positions
    rest = replace(
        segment,
        where=Span(span.first + pages, span.stride, over),
        positions=where + pages * BLOCK,
    )
    return whole, rest
