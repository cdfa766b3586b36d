"""Two Ray workers give what threads give; in a process of its own, since Ray talks to its node's address."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="extra ray is not installed")
SCRIPT = textwrap.dedent(
    """
    import pathlib, sys
    from small_suites import plan, results, run
    folder = pathlib.Path(sys.argv[1])
    subjects = {"bm25": {"select": "bm25"}, "s": {"python": "small_suites:fails_sometimes"}}
    for engine in ("threads", "ray"):
        run(plan(folder, subjects=subjects, engine=engine, workers=2), folder / engine)
    assert results(folder / "ray") == results(folder / "threads")
    """
)


@needs_ray
@pytest.mark.slow
def test_ray_gives_the_same_bytes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
