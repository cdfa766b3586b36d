"""Every example runs by itself, offline and without a warning; the shipped tickets are fit to learn from."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from ctxeng.settings import open_app
from ctxeng.storage.progress import Progress
from ctxeng.tasks import needs_truths, read_tasks
from ctxeng.train import Trainer

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
TICKETS = EXAMPLES / "support-tickets.jsonl"
KEY_LINES = {
    "quickstart": "after:  Depot because of cases-",
    "langchain_middleware": "learned: add",
    "fastapi_two_tenants": "globex asks again: Nothing in the window answers this.",
    "own_graph": "You wrote: Why was [card] charged twice?",
    "pieces": "replayed: In Leipzig.",
    "graph_source": "aspirin interacts with warfarin.",
    "tool_catalogue": "loaded at the end: track",
    "memory_alone": "Room 117 is booked, reference R-4017.",
    "iterative_retrieval": "chunks: Blue Harbour Early life",
}


def test_every_example_is_listed_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(KEY_LINES)


@pytest.mark.parametrize("name", KEY_LINES)
def test_an_example_runs_and_says_what_it_is_about(name, tmp_path):
    code = f"import runpy; runpy.run_path({str(EXAMPLES / (name + '.py'))!r}, run_name='__main__')"
    paths = [str(ROOT), str(ROOT / "integrations")]
    offline = (
        "import socket; from socket import socket as s; real = s.connect\n"
        "def local(self, address):\n"
        "    assert self.family == socket.AF_UNIX or str(address[0]).startswith('127.'), address\n"
        "    return real(self, address)\n"
        "s.connect = local\n"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys; sys.path[:0] = {paths}\n{offline}{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    assert KEY_LINES[name] in found.stdout
    assert list(tmp_path.iterdir()) == []


def places():
    found = defaultdict(list)
    tasks = read_tasks(TICKETS)
    for place, task in enumerate(tasks):
        found[task.truth.target].append(place / len(tasks))
    return found


def test_every_ticket_has_a_target_among_its_choices_and_a_question_of_its_own():
    tasks = read_tasks(TICKETS)
    needs_truths(TICKETS, tasks)
    assert 110 <= len(tasks) <= 140
    assert all(task.truth.target in {choice.value for choice in task.want.options} for task in tasks)
    assert len({task.request.query.text for task in tasks}) == len(tasks)
    assert len({task.want for task in tasks}) == 1


def test_every_queue_is_seen_early_and_late_and_none_is_most_of_the_file():
    assert 10 <= len(places()) <= 12
    assert all(where[0] < 0.15 and where[-1] > 0.85 for where in places().values())
    total = len(read_tasks(TICKETS))
    assert all(0.05 < len(where) / total < 0.15 for where in places().values())


def test_no_ticket_gives_its_queue_away():
    for task in read_tasks(TICKETS):
        if task.truth.target in {"Depot", "Dispatch", "Retention", "Trust", "Insights"}:
            assert task.truth.target.lower() not in task.request.query.text.lower()


@pytest.mark.slow
def test_the_embedded_default_learns_the_queues_from_the_stream(tmp_path):
    path = tmp_path / "triage.yaml"
    path.write_text("ctxeng: 1\nplaybook: triage\n")
    app = open_app(path)
    with app.orchestrator() as triage:

        def solve(task, turn_id):
            return triage.invoke(task.request, want=task.want, turn_id=turn_id)

        tasks = read_tasks(TICKETS)
        before = Trainer(solve, app.learning, Progress(tmp_path / "before.jsonl"), mode="eval").run(tasks)
        stream = Trainer(solve, app.learning, Progress(tmp_path / "stream.jsonl")).run(tasks)
    scores = [each.score for each in stream.scored]
    second_half = scores[len(scores) // 2 :]
    assert before.accuracy < 0.5
    assert sum(second_half) / len(second_half) >= 0.65
