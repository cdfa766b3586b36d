"""`ctxeng run` with a model on this machine: what one process read serves the next, and none hangs on."""

import json
import subprocess
import sys

from tiny_folder import tiny_folder

FILE = """ctxeng: 1
playbook: p
models:
  answer: {id: "local:./tiny", local: {memory: 64MiB, store: ./kv, pieces: {chunk: {read: parallel}}}}
entries: []
"""


def test_a_second_run_reads_from_disk_what_the_first_one_read(cli, tmp_path):
    tiny_folder(tmp_path / "tiny")
    (tmp_path / "p.yaml").write_text(FILE)
    document = tmp_path / "returns.md"
    document.write_text("Books are taken back within thirty days. " * 8)
    ask = ("run", "How many days?", "--app", tmp_path / "p.yaml", "--docs", document, "--json")
    first, second = (json.loads(cli(*ask).out) for _ in range(2))
    cached = [run["usage"]["answer"]["cached"] for run in (first, second)]
    assert cached[0] == 0
    assert cached[1] > 0.8 * second["usage"]["answer"]["input"]


def test_a_process_that_forgets_to_close_an_engine_ends_like_any_other(tmp_path):
    tiny_folder(tmp_path / "tiny")
    code = (
        "import sys\nfrom ctxeng.runtime.box import Box\nfrom ctxeng.runtime.job import Generate\n"
        "box = Box.open(sys.argv[1], memory=1 << 24)\n"
        "handle = box.engine.submit([1, 2, 3], Generate(4000))\nnext(iter(handle))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tiny")], check=False, capture_output=True, timeout=120
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
