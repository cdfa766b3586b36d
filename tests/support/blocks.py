"""Random keys and values in blocks, for tests of attention."""

from dataclasses import replace

import torch

from ctxeng_kernels.layout import best_layout, laid_out
from ctxeng_kernels.pack import BLOCK, encode
from ctxeng_kernels.segment import Segment, Span, Table


def segment(codec, k, v, where, **how):
    """Blocks k and v [N, 64, d] encoded, as the machine's backend wants them to lie."""
    layout = best_layout(codec, k.shape[-1], v.shape[-1])
    return Segment(codec, laid_out(codec, encode(codec, k, v), layout), where, layout=layout, **how)


def stored(k, v, codec="dense", spare=0):
    """k and v [H, n, d] in blocks behind one another, with `spare` blocks between heads."""
    heads, tokens, d = k.shape
    blocks = -(-tokens // BLOCK)
    room = blocks + spare
    wide = torch.zeros(2, heads, room * BLOCK, d)
    wide[0, :, :tokens], wide[1, :, :tokens] = k, v
    return segment(codec, *wide.view(2, heads * room, BLOCK, d), Span(0, room, tokens))


def scattered(segment, heads, seed=0):
    """The same blocks in another order, found through a table."""
    span = segment.where
    blocks = -(-span.length // BLOCK)
    old = torch.arange(heads).unsqueeze(1) * span.stride + torch.arange(blocks)
    order = torch.randperm(len(segment.arrays[0]), generator=torch.Generator().manual_seed(seed))
    back = order.argsort()
    fill = (span.length - torch.arange(blocks) * BLOCK).clamp(max=BLOCK).expand(heads, -1)
    return replace(segment, arrays=tuple(a[order] for a in segment.arrays), where=Table(back[old], fill))


def random(heads, kv_heads, queries, tokens, d=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((heads, queries, d), (kv_heads, tokens, d), (kv_heads, tokens, d))
    return [torch.randn(*shape, generator=generator) for shape in shapes]
