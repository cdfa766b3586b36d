"""The compiled kernels under the address and undefined-behaviour sanitizers, over shapes at random."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctxeng_kernels import library

SUPPORT = Path(__file__).parent.parent / "support"


def sanitizer():
    """The address sanitizer's library of the compiler here, which has to be loaded before Python's own."""
    compiler = shutil.which("g++")
    if not library.backend().startswith("avx2") or compiler is None:
        pytest.skip(f"no g++ and kernels here: {library.backend()}")
    said = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    path = Path(said.stdout.strip())
    if not path.is_absolute():
        pytest.skip("g++ has no address sanitizer here")
    return str(path.resolve())


def test_random_shapes_touch_nothing_that_is_not_theirs(tmp_path):
    environment = {
        **os.environ,
        "LD_PRELOAD": sanitizer(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "CTXENG_KERNELS_FLAGS": "-O0 -fsanitize=address,undefined -fno-sanitize-recover=all",
        "CTXENG_KERNELS_THREADS": "3",
        "CTXENG_KERNELS": "native",
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "kernel_fuzz.py"), "150"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() == "sound"
