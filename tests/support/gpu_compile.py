"""The Triton kernels compiled for a GPU that need not be here, and what became of them: run as a program."""

import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ctxeng_kernels.gpu.attend import attend_kernel
from ctxeng_kernels.gpu.pack import encode_kernel
from ctxeng_kernels.gpu.pages import bounds_kernel
from ctxeng_kernels.gpu.score import columns_kernel

MATRIX = ("mma.sync", "wgmma", "tcgen05.mma")
WIDE = {"DK": 128, "DV": 128, "D": 128, "E": 128, "M": 16}


def blocks(codec):
    code = {1: "*i8", 2: "*u8"}[codec]
    halves = {f"{x}_{y}": "*fp16" for x in "kv" for y in ("scale", "middle")}
    numbers = dict.fromkeys(("ids", "fill", "first", "end"), "*i64")
    return {"q": "*fp32", "k": code, "v": code, **halves, **numbers, "lse": "*fp32", "scale": "fp32"}


def cases():
    counts = {"rows": "i32", "blocks": "i32"}
    for codec, name in ((1, "int8"), (2, "int4")):
        attended = {**blocks(codec), **counts, "o": "*fp32"}
        yield f"attend {name}", attend_kernel, attended, {"CODEC": codec, "RANGE": 8, **WIDE}
        summed = {**blocks(codec), **counts, "sums": "*fp32"}
        yield f"columns {name}", columns_kernel, summed, {"CODEC": codec, **WIDE}
        for by_row in (False, True):
            step = (128 if codec == 1 else 32) if by_row else 128
            sizes = {"BITS": 8 if codec == 1 else 4, "BY_ROW": by_row, "DIM": 128, "WIDE": step, "STEP": step}
            arrays = {
                "x": "*fp32",
                "codes": "*i8" if codec == 1 else "*u8",
                "scales": "*fp16",
                "middles": "*fp16",
            }
            yield f"encode {name} {by_row}", encode_kernel, arrays, {**sizes, "PARTS": 128 // step}
    pages = {"q": "*fp32", "bounds": "*fp32", "scores": "*fp32", "rows": "i32", "pages": "i32"}
    yield "pages", bounds_kernel, pages, {"DK": 128, "D": 128, "M": 16, "PAGES": 32}


def main(target):
    found = {}
    for name, kernel, arguments, sizes in cases():
        signature = {n: arguments.get(n, "constexpr") for n in kernel.arg_names}
        made = triton.compile(
            ASTSource(kernel, signature=signature, constexprs=sizes), target=GPUTarget("cuda", target, 32)
        )
        matrix = [word for word in MATRIX if word in made.asm["ptx"]]
        found[name] = {"shared": made.metadata.shared, "matrix": matrix, "binary": "cubin" in made.asm}
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
