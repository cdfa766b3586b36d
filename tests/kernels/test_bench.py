"""The bench of the kernels: what it prints for machines, and what it refuses. No figure is judged here."""

import json

import pytest
import torch

from ctxeng_kernels import __main__ as program
from ctxeng_kernels.bench.timing import Case, in_turns


@pytest.fixture
def threads(monkeypatch):
    """The bench sets them for its process; here others come after it."""
    before = torch.get_num_threads()
    monkeypatch.setenv("CTXENG_KERNELS_THREADS", "1")
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_every_op_is_timed_and_told_in_json(capsys):
    program.main(
        ["bench", "--tokens", "4096", "--queries", "1", "2", "--rows", "1", "--rounds", "1", "--json"]
    )
    said = json.loads(capsys.readouterr().out)
    assert {"processor", "threads", "load", "kernels"} <= set(said["machine"])
    ops = {row["op"] for row in said["rows"]}
    assert ops == {"attend 1 x 4k", "attend 2 x 4k", "1 x 4096 x 4096"}
    assert all(row["median_ms"] > 0 and row["times_torch"] > 0 for row in said["rows"])
    backends = {row["backend"] for row in said["rows"]}
    assert {"ctxeng int8", "ctxeng int4 fast", "ctxeng int8, 64 pages"} <= backends


def test_backends_take_turns():
    called = []
    cases = [Case("op", name, lambda n, name=name: called.append((name, n)), 1.0) for name in "ab"]
    timed = in_turns(cases, 2, lambda _: None)
    assert called == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert all(0 < t.least <= t.median for t in timed)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--tokens 100", "multiples of 64, not 100"),
        ("--rounds 0", "start at 1"),
        ("--queries 0", "start at 1"),
    ],
)
def test_what_cannot_be_timed_is_refused(asked, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(["bench", *asked.split()])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
