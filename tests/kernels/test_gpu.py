"""The Triton twins: in the interpreter against the reference, and compiled for GPUs that are not here."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no triton here")
SUPPORT = Path(__file__).parent.parent / "support"


def python(*arguments, interpret):
    """A process of its own, for Triton reads TRITON_INTERPRET once."""
    environment = {**os.environ, "TRITON_INTERPRET": "1" if interpret else "0"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_in_the_interpreter_they_are_the_reference():
    done = python(
        "-m", "pytest", "-p", "no:cacheprovider", str(SUPPORT / "gpu_interpreted.py"), interpret=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


@pytest.mark.parametrize("target", [80, 90, 100])
def test_kernels_compile_for_gpus_with_matrix_units(target):
    done = python("-W", "ignore", str(SUPPORT / "gpu_compile.py"), str(target), interpret=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, facts in json.loads(done.stdout).items():
        assert facts["shared"] <= 64 << 10, name  # three programs share a processor of the smallest
        assert facts["matrix"] or name.startswith("encode"), name
        assert facts["binary"], name
