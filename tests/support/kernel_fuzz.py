"""Calls of every compiled kernel with shapes at random: run as a program, under the compiler's sanitizers."""

import math
import random
import sys
from dataclasses import replace

import torch

from blocks import segment
from ctxeng_kernels import library, native
from ctxeng_kernels.gather import gather
from ctxeng_kernels.gemv import matmul_int4, matmul_int8
from ctxeng_kernels.pages import best_pages, centroid_shares
from ctxeng_kernels.segment import Span, Table

ODD = (0.0, math.nan, math.inf, -math.inf, 1e-42, 1e38)


def numbers(rng, *shape):
    x = torch.randn(*shape)
    if rng.random() < 0.3 and x.numel():
        x.flatten()[rng.randrange(x.numel())] = rng.choice(ODD)
    return x


def attention(rng):
    codec, heads, rows = rng.choice(["dense", "int8", "int4"]), rng.randint(1, 3), rng.randint(1, 9)
    blocks, k_dim, v_dim = rng.randint(0, 40), 16 * rng.randint(1, 16), 16 * rng.randint(1, 16)
    count = max(1, heads * blocks)
    k, v = numbers(rng, count, 64, k_dim), numbers(rng, count, 64, v_dim)
    if rng.random() < 0.5:
        where = Span(0, blocks, max(0, blocks * 64 - rng.randint(0, 63)))
    else:
        ids = torch.tensor([[rng.randrange(count) for _ in range(blocks)] for _ in range(heads)])
        where = Table(
            ids.view(heads, blocks).long(),
            torch.tensor([[rng.randint(0, 64) for _ in range(blocks)] for _ in range(heads)])
            .view(heads, blocks)
            .long(),
        )
    made = segment(codec, k, v, where)
    if codec == "dense":
        dtype = rng.choice([torch.float32, torch.bfloat16, torch.float16])
        made = replace(made, arrays=tuple(a.to(dtype) for a in made.arrays))
    made = replace(made, fast=rng.random() < 0.5)
    q = numbers(rng, heads, rows, k_dim)
    sight = None
    if rng.random() < 0.5:
        first = torch.randint(-70, 64 * blocks + 70, (heads, rows))
        sight = first, first + torch.randint(-70, 64 * blocks + 70, (heads, rows))
    found = native.attend(q, made, 0.1, sight)
    assert found is not None
    assert native.columns(q, made, 0.1, found[1], sight) is not None
    gather(made, torch.randint(-9, 64 * blocks + 9, (heads, rng.randint(0, 70))))


def product(rng):
    rows, out, inputs = rng.randint(0, 9), rng.randint(1, 70), 16 * rng.randint(1, 30)
    x, groups = numbers(rng, rows, inputs), -(-inputs // 128)
    matmul_int8(x, torch.randint(-128, 128, (out, inputs), dtype=torch.int8), torch.rand(out))
    codes = torch.randint(0, 256, (out, groups, 64), dtype=torch.uint8)
    matmul_int4(x, codes, torch.rand(out, groups).half(), torch.randn(out, groups).half())


def choices(rng):
    heads, rows, count, d = rng.randint(1, 3), rng.randint(1, 6), rng.randint(1, 80), 8 * rng.randint(1, 32)
    q = numbers(rng, heads, rows, d)
    best_pages(q, numbers(rng, heads, count, 2, d), rng.randint(0, count))
    looked = torch.rand(heads, count) < 0.5
    centroid_shares(q, numbers(rng, heads, count, d), torch.randint(0, 5, (heads, count)).float(), looked)


def main(rounds):
    assert library.backend().startswith("avx2"), library.backend()
    native.SHORT = 0
    torch.manual_seed(0)
    rng = random.Random(0)
    for _ in range(rounds):
        attention(rng)
        product(rng)
        choices(rng)
    print("sound")


if __name__ == "__main__":
    main(int(sys.argv[1]))
