"""The calls that are timed: decoding, short extends, column sums, pages, products with packed matrices."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from ctxeng_kernels.attend import attend
from ctxeng_kernels.bench.timing import Case
from ctxeng_kernels.gemv import matmul_int4, matmul_int8
from ctxeng_kernels.layout import best_layout, laid_out
from ctxeng_kernels.library import library
from ctxeng_kernels.memory import in_large_pages
from ctxeng_kernels.pack import BLOCK, Codec, encode
from ctxeng_kernels.pages import best_pages, page_bounds
from ctxeng_kernels.score import column_sums
from ctxeng_kernels.segment import Segment, Span, Table
from ctxeng_kernels.threads import threads

KV_HEADS, GROUP, WIDTH = 8, 4, 128
PAGES = 64
_COLD = 128 << 20  # bytes that copies of the data exceed, so that no cache holds them
_WEIGHTS = 4096


def _copies(nbytes: float) -> int:
    return max(1, math.ceil(_COLD / nbytes))


def _kept(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(in_large_pages(torch.empty_like(x)).copy_(x) for x in tensors)


def _segment(codec: Codec, k: Tensor, v: Tensor, tokens: int) -> Segment:
    layout = best_layout(codec, WIDTH, WIDTH)
    arrays = _kept(*laid_out(codec, encode(codec, k, v), layout))
    return Segment(codec, arrays, Span(0, tokens // BLOCK, tokens), layout=layout)


def roof() -> Case:
    """Reading 256 MiB once. Raises RuntimeError where the kernels are not there to measure by."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("without compiled kernels there is no roof to measure")
    (array,) = _kept(torch.zeros(256 << 20, dtype=torch.uint8))
    size = ctypes.c_int64(array.nbytes)
    return Case(
        "read",
        "memory",
        lambda _: kernels.ctxeng_read(ctypes.c_void_p(array.data_ptr()), size, ctypes.c_int64(threads())),
        array.nbytes,
    )


class Cache:
    """Random keys and values of 8 KV heads, so often that they are cold, in every form that is compared."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        blocks = KV_HEADS * tokens // BLOCK
        self.dense = [_kept(*torch.randn(2, blocks, BLOCK, WIDTH)) for _ in range(_copies(self.nbytes(4)))]
        self.half = [tuple(x.bfloat16() for x in kv) for kv in self._several(2)]
        self.forms: dict[str, list[Segment]] = {
            "fp32": [Segment("dense", kv, self._span) for kv in self.dense],
            "bf16": [Segment("dense", kv, self._span) for kv in self.half],
            "int8": [_segment("int8", k, v, tokens) for k, v in self._several(1)],
            "int4": [_segment("int4", k, v, tokens) for k, v in self._several(0.5)],
        }
        self.forms["int4 fast"] = [replace(s, fast=True) for s in self.forms["int4"]]

    def nbytes(self, each: float) -> float:
        """Bytes of keys and values at so many bytes a number."""
        return 2 * KV_HEADS * self.tokens * WIDTH * each

    @property
    def _span(self) -> Span:
        return Span(0, self.tokens // BLOCK, self.tokens)

    def _several(self, each: float) -> Iterator[tuple[Tensor, ...]]:
        for number in range(_copies(self.nbytes(each))):
            yield self.dense[number % len(self.dense)]

    def read(self, form: str) -> float:
        """Bytes of all arrays of that form."""
        return float(sum(array.nbytes for array in self.forms[form][0].arrays))

    def queries(self, form: list[Segment], count: int) -> tuple[Tensor, list[Segment]]:
        """Random queries [Hq, count, d] for that form."""
        return torch.randn(KV_HEADS * GROUP, count, WIDTH), form

    def torch_calls(self, op: str, count: int) -> Iterator[Case]:
        """The calls that torch has: grouped (the group's heads as rows), and the one transformers makes."""
        q = torch.randn(1, KV_HEADS * GROUP, count, WIDTH)
        shape = (1, KV_HEADS, self.tokens, WIDTH)
        for name, sets, each in (("fp32", self.dense, 4), ("bf16", self.half, 2)):
            own = q.to(sets[0][0].dtype)
            kv = [tuple(x.view(shape) for x in pair) for pair in sets]

            def grouped(n: int, own: Tensor = own, kv: list[tuple[Tensor, ...]] = kv) -> Tensor:
                k, v = kv[n % len(kv)]
                return scaled_dot_product_attention(own.view(1, KV_HEADS, -1, WIDTH), k, v)

            def whole(n: int, own: Tensor = own, kv: list[tuple[Tensor, ...]] = kv) -> Tensor:
                k, v = kv[n % len(kv)]
                return scaled_dot_product_attention(own, k, v, enable_gqa=True)

            single = name == "fp32"
            yield Case(op, f"torch, grouped rows, {name}", grouped, self.nbytes(each), torch=single)
            if single:
                yield Case(op, "torch, enable_gqa, fp32 (transformers' call)", whole, self.nbytes(each))


def attention(tokens: int, count: int) -> list[Case]:
    """`count` queries a head over so many tokens."""
    cache = Cache(tokens)
    op = f"attend {count} x {tokens // 1024}k"
    cases = list(cache.torch_calls(op, count))
    q = torch.randn(KV_HEADS * GROUP, count, WIDTH)
    for form, segments in cache.forms.items():

        def ours(n: int, segments: list[Segment] = segments) -> object:
            return attend(q, [segments[n % len(segments)]], KV_HEADS)

        cases.append(Case(op, f"ctxeng {form}", ours, cache.read(form)))
    if count == 1:
        cases.append(_paged(op, cache, q))
    else:
        cases += _columns(op, cache, q)
    return cases


def _paged(op: str, cache: Cache, q: Tensor) -> Case:
    """Quest: choose 64 pages by their bounds, attend to them; int8."""
    segments = cache.forms["int8"]
    bounds = [page_bounds(k.view(KV_HEADS, -1, WIDTH)).contiguous() for k, _ in cache.dense]
    first = torch.arange(KV_HEADS).unsqueeze(1) * (cache.tokens // BLOCK)
    pages = min(PAGES, cache.tokens // BLOCK)
    fill = torch.full((KV_HEADS, pages), BLOCK)

    def paged(n: int) -> object:
        chosen = best_pages(q.view(KV_HEADS, -1, WIDTH), bounds[n % len(bounds)], pages)
        segment = segments[n % len(segments)]
        return attend(q, [replace(segment, where=Table(first + chosen, fill))], KV_HEADS)

    read = bounds[0].nbytes + cache.read("int8") * pages * BLOCK / cache.tokens
    return Case(op, f"ctxeng int8, {pages} pages", paged, read)


def _columns(op: str, cache: Cache, q: Tensor) -> Iterator[Case]:
    for form in ("fp32", "int8"):
        segments = cache.forms[form]
        _, lse = attend(q, segments[:1], KV_HEADS)

        def sums(n: int, segments: list[Segment] = segments, lse: Tensor = lse) -> object:
            return column_sums(q, [segments[n % len(segments)]], KV_HEADS, lse)

        yield Case(op, f"ctxeng column sums, {form}", sums, cache.read(form) / 2)


def products(rows: int) -> list[Case]:
    """`rows` vectors times a matrix of 4096 x 4096."""
    n, op = _WEIGHTS, f"{rows} x 4096 x 4096"
    whole = [_kept(torch.randn(n, n))[0] for _ in range(_copies(4 * n * n))]
    codes = [torch.randint(-127, 128, (n, n), dtype=torch.int8) for _ in range(_copies(n * n))]
    halves = [torch.randint(0, 256, (n, n // 128, 64), dtype=torch.uint8) for _ in range(_copies(n * n / 2))]
    scales, groups = torch.rand(n), torch.rand(n, n // 128).half()
    x = torch.randn(rows, n)
    low, few = x.bfloat16(), scales.bfloat16()
    cases = [
        Case(op, "torch linear, fp32", lambda i: linear(x, whole[i % len(whole)]), 4.0 * n * n, torch=True),
        Case(op, "ctxeng int8", lambda i: matmul_int8(x, codes[i % len(codes)], scales), n * n),
        Case(
            op, "ctxeng int4", lambda i: matmul_int4(x, halves[i % len(halves)], groups, groups), 0.53 * n * n
        ),
    ]
    packed = getattr(torch, "_weight_int8pack_mm", None)
    if packed is not None:
        cases.append(
            Case(
                op,
                "torch int8pack, bf16",
                lambda i: packed(low, codes[i % len(codes)], few),
                n * n,
                torch=True,
            )
        )
    return cases
