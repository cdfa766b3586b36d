"""The compiled kernels: built once a machine where a C++ compiler is, else absent, and it is known why."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "src"
FLAGS = (
    *("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread"),
    *("-mavx2", "-mfma", "-mf16c", "-funroll-loops"),
    "-ffp-contract=off",  # the reference multiplies, then adds: so do codes
)
_COMPILERS = ("c++", "g++", "clang++")
_PROCESSORS = ("x86_64", "AMD64")
_WAIT = 300  # seconds that a compiler may take


class Unavailable(RuntimeError):
    """The compiled kernels cannot run here; the message says why, and what would change it."""


def backend() -> str:
    """What encoded caches are attended with: `avx2`, or `torch` and why.

    The environment variable CTXENG_KERNELS chooses: torch, native (which raises Unavailable where it cannot
    be), or auto.
    """
    try:
        return "avx2" if load() is not None else "torch (CTXENG_KERNELS)"
    except Unavailable as error:
        if os.environ.get("CTXENG_KERNELS") == "native":
            raise
        return f"torch ({error})"


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, or None where torch is to be used. Raises Unavailable where `native` was asked for."""
    try:
        return load()
    except Unavailable:
        if os.environ.get("CTXENG_KERNELS") == "native":
            raise
        return None


@cache
def load() -> ctypes.CDLL | None:
    """Build if need be, and load; None where CTXENG_KERNELS says torch. Raises Unavailable."""
    if os.environ.get("CTXENG_KERNELS") == "torch":
        return None
    if platform.machine() not in _PROCESSORS:
        raise Unavailable(f"kernels are for x86-64, not for {platform.machine()}")
    found = ctypes.CDLL(str(built()))
    if not found.ctxeng_runs_here():
        raise Unavailable("this processor has no AVX2, FMA and F16C")
    return found


def built() -> Path:
    """The shared library of these sources in the user's cache; compiled where it is not there yet.

    Raises Unavailable without a compiler, or with what the compiler said.
    """
    texts = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    name = hashlib.sha256(texts + " ".join(_flags()).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ctxeng"
    path = folder / f"kernels-{name}.so"
    if path.exists():
        return path
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), *_COMPILERS))), None)
    if compiler is None:
        raise Unavailable("no C++ compiler is here: install g++ or clang++, or name one in CXX")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / path.name
            _compile(compiler, made)
            made.replace(path)  # whole or not at all, whoever else builds it now
    except OSError as error:
        raise Unavailable(f"nothing can be kept in {folder}: {error}") from None
    return path


def _flags() -> tuple[str, ...]:
    """The compiler's flags, and what CTXENG_KERNELS_FLAGS adds (say, -fsanitize=address)."""
    return (*FLAGS, *os.environ.get("CTXENG_KERNELS_FLAGS", "").split())


def _compile(compiler: str, to: Path) -> None:
    command = [compiler, *_flags(), "-o", str(to), *map(str, sorted(SOURCES.glob("*.cpp")))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WAIT)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{compiler} took more than {_WAIT} seconds") from None
    if done.returncode:
        raise Unavailable(f"{compiler} failed: {done.stderr.strip().splitlines()[-1:]}")
