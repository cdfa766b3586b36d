import json
import signal
import time

import pytest

from ctxeng.playbook.store import PlaybookStore


def entries(path):
    return len(PlaybookStore(path).open().own)


def test_a_playbook_is_made_and_learns_from_the_stream(cli, tmp_path, tasks):
    book = tmp_path / "support.yaml"
    ran = cli("learn", book, tasks, "--window", 6, "--baseline")
    assert ran.code == 0, ran.err
    assert "before" in ran.out
    assert "gain" in ran.out
    assert "entries 0 → 24" in ran.out
    assert "+- id: cases-" in ran.out
    assert "more lines; --diff shows all of them" in ran.out
    assert f"take it all back: ctxeng playbook rollback {book}" in ran.out
    assert book.read_text(encoding="utf-8").startswith("# A playbook of ctxeng")
    assert entries(book) == 24
    assert (tmp_path / "support.curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_learned_helps_with_the_same_stream(cli, tmp_path, tasks):
    book = tmp_path / "support.yaml"
    report = cli("learn", book, tasks, "--json", "--baseline", "--no-plot").lines[-1]
    after = cli("learn", book, tasks, "--json", "--mode", "eval", "--no-plot").lines[-1]
    assert after["accuracy"] > report["before"]["accuracy"]
    assert after["applied"] == {}


def test_json_is_a_line_a_step_and_the_report_last(cli, tmp_path, tasks):
    ran = cli(
        "learn",
        tmp_path / "b.yaml",
        tasks,
        "--window",
        12,
        "--every",
        6,
        "--json",
        "--plot",
        tmp_path / "c.svg",
    )
    kinds = [line["event"] for line in ran.lines]
    assert kinds == ["started", *["answered", "learned", "learned"] * 2, "report"]
    report = ran.lines[-1]
    assert report["entries"] == {"before": 0, "after": 24}
    assert report["applied"]["add"] == 24
    assert report["usage"]["answer"]["calls"] == 24
    assert report["diff"].count("\n+- id: cases-") == 24
    assert "<svg" in (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert not (tmp_path / "b.curve.png").exists()


def test_the_rollback_that_the_report_names_takes_it_all_back(cli, tmp_path, tasks):
    book = tmp_path / "support.yaml"
    report = cli("learn", book, tasks, "--json", "--no-plot").lines[-1]
    ran = cli("playbook", "rollback", book, report["version"]["before"])
    assert ran.code == 0, ran.err
    assert entries(book) == 0


def test_after_a_rollback_the_same_stream_can_be_learned_again(cli, tmp_path, tasks):
    book = tmp_path / "support.yaml"
    first = cli("learn", book, tasks, "--json", "--no-plot").lines[-1]
    cli("playbook", "rollback", book, first["version"]["before"])
    second = cli("learn", book, tasks, "--json", "--no-plot").lines[-1]
    assert second["run"] != first["run"]
    assert second["entries"] == {"before": 0, "after": 24}
    assert second["refused"] == []


def test_a_finished_run_is_not_resumed_and_keeps_no_answers(cli, tmp_path, tasks):
    book = tmp_path / "support.yaml"
    first = cli("learn", book, tasks, "--json", "--no-plot").lines[-1]
    second = cli("learn", book, tasks, "--json", "--no-plot").lines
    assert second[0]["resumed"] == 0
    assert second[-1]["run"] != first["run"]
    folder = tmp_path / ".ctxeng" / "runs" / first["run"]
    assert json.loads((folder / "run.json").read_text())["summary"]["accuracy"] == first["accuracy"]
    assert not list(folder.rglob("progress.jsonl"))


def cut_off(spawn, book, tasks, how, *options):
    """Starts a run and stops it once some of it is done."""
    process = spawn("learn", book, tasks, "--window", 3, "--no-plot", *options)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(
            file.read_bytes().count(b"\n") > 6 for file in book.parent.glob(".ctxeng/runs/*/progress.jsonl")
        ):
            break
        time.sleep(0.005)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def long(tmp_path, tasks):
    """The same tasks many times over, so that a run takes long enough to be cut off."""
    lines = [json.loads(line) for line in tasks.read_text().splitlines() * 3]
    for number, line in enumerate(lines):
        line["question"] += f" (case {number})"
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_killed_run_is_resumed_and_ends_like_one_that_was_not(cli, spawn, tmp_path, long):
    (tmp_path / "whole").mkdir()
    whole = cli("learn", tmp_path / "whole" / "b.yaml", long, "--window", 3, "--no-plot", "--json").lines[-1]
    book = tmp_path / "b.yaml"
    code, _, _ = cut_off(spawn, book, long, signal.SIGKILL)
    assert code == -signal.SIGKILL
    ran = cli("learn", book, long, "--window", 3, "--no-plot", "--json")
    assert ran.lines[0]["resumed"] > 0
    report = ran.lines[-1]
    assert report["version"] == whole["version"]
    assert report["curve"] == whole["curve"]


def test_ctrl_c_says_what_was_kept_and_how_to_resume(cli, spawn, tmp_path, long):
    book = tmp_path / "b.yaml"
    code, out, err = cut_off(spawn, book, long, signal.SIGINT)
    assert code == 130, err
    assert out == ""
    assert "interrupted: " in err
    assert "of 72 tasks are answered and kept" in err
    assert "resume with the same command" in err
    assert "Traceback" not in err
    ran = cli("learn", book, long, "--window", 3, "--no-plot")
    assert "resumed at" in ran.err
    assert ran.code == 0


def test_fresh_starts_over_under_another_id(cli, spawn, tmp_path, long):
    book = tmp_path / "b.yaml"
    cut_off(spawn, book, long, signal.SIGKILL)
    ran = cli("learn", book, long, "--window", 3, "--no-plot", "--json", "--fresh", "--limit", 72)
    assert ran.lines[0]["resumed"] == 0
    again = cli("learn", book, long, "--window", 3, "--no-plot", "--json")
    assert again.lines[0]["resumed"] == 0


def test_offline_learning_validates_and_keeps_the_best(cli, tmp_path, tasks):
    ran = cli(
        "learn", tmp_path / "b.yaml", tasks, "--mode", "offline", "--epochs", 2, "--validation", tasks,
        "--json", "--no-plot",
    )  # fmt: skip
    report = ran.lines[-1]
    assert report["answered"] == 48
    assert len(report["validations"]) >= 2
    assert report["best"]


def test_tasks_that_fail_are_counted_shown_and_not_fatal(cli, tmp_path, tasks):
    lines = tasks.read_text().splitlines()[:4]
    lines.append(json.dumps({"question": "write JSON", "json_schema": {"type": "object"}, "target": "x"}))
    tasks.write_text("\n".join(lines), encoding="utf-8")
    ran = cli("learn", tmp_path / "b.yaml", tasks, "--no-plot")
    assert ran.code == 0
    assert "1 tasks failed" in ran.out
    assert "ModelError: onbox chooses or quotes" in ran.out


def test_a_run_in_which_every_task_failed_is_exit_code_1(cli, tmp_path):
    tasks = tmp_path / "t.jsonl"
    line = json.dumps({"question": "write JSON", "json_schema": {"type": "object"}, "target": "x"})
    tasks.write_text(line, encoding="utf-8")
    assert cli("learn", tmp_path / "b.yaml", tasks, "--no-plot").code == 1


def test_an_outage_stops_the_run_before_it_burns_the_stream(cli, tmp_path):
    tasks = tmp_path / "t.jsonl"
    line = {"json_schema": {"type": "object"}, "target": "x"}
    tasks.write_text("".join(json.dumps({"question": str(n), **line}) + "\n" for n in range(50)))
    ran = cli("learn", tmp_path / "b.yaml", tasks, "--no-plot", "--window", 50)
    assert ran.code == 1
    assert "10 tasks in a row failed" in ran.err


def test_label_free_learning_needs_no_targets_and_learns_no_labels(cli, tmp_path, tasks):
    report = cli("learn", tmp_path / "b.yaml", tasks, "--judge", "none", "--json", "--no-plot").lines[-1]
    assert report["accuracy"] is None
    assert report["entries"]["after"] == 0


def test_limit_and_shuffle_choose_the_same_tasks_every_time(cli, tmp_path, tasks):
    seen = []
    for name in ("a.yaml", "b.yaml"):
        ran = cli("learn", tmp_path / name, tasks, "--limit", 5, "--shuffle", 7, "--json", "--no-plot")
        seen.append(
            [each["task"] for line in ran.lines if line["event"] == "answered" for each in line["tasks"]]
        )
    assert seen[0] == seen[1]
    assert len(seen[0]) == 5
    assert seen[0] != ["line-1", "line-2", "line-3", "line-4", "line-5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b.yaml", "absent.jsonl"], "absent.jsonl: cannot be read"),
        (["b.yaml", "empty.jsonl"], "empty.jsonl: no tasks; a line looks like"),
        (["b.yaml", "broken.jsonl"], "broken.jsonl:2:2: not JSON"),
        (["b.yaml", "untargeted.jsonl"], "untargeted.jsonl: task line-1 has no target"),
        (["b.yaml", "field.jsonl"], "field.jsonl:1: anser"),
        (["b.yaml", "folder"], "folder is a directory; name a file of tasks"),
        (["b.yaml", "newer.yaml"], "tasks are JSON lines (the playbook comes first"),
        (["b.yaml", "fantasy"], "fantasy: no such file, and as a dataset: unknown dataset 'fantasy'"),
        (
            ["folder", "tasks.jsonl"],
            "folder is a directory; name the YAML file, for example folder/playbook.yaml",
        ),
        (["tasks.jsonl", "b.yaml"], "tasks.jsonl: a playbook is a .yaml file"),
        (["nowhere/b.yaml", "tasks.jsonl"], "there is no folder nowhere"),
        (
            ["b.yaml", "tasks.jsonl", "--mode", "sideways"],
            "unknown mode 'sideways'; known: eval, offline, online",
        ),
        (["b.yaml", "tasks.jsonl", "--mode", "eval"], "b.yaml: no such playbook"),
        (
            ["b.yaml", "tasks.jsonl", "--strategy", "osmosis"],
            "unknown strategy 'osmosis'; known: ace, auto, onbox",
        ),
        (["b.yaml", "tasks.jsonl", "--strategy", "ace"], "strategy ace reflects with a language model"),
        (["b.yaml", "tasks.jsonl", "--judge", "taste"], "unknown judge 'taste'; known: contains, exact"),
        (["b.yaml", "tasks.jsonl", "--epochs", "2"], "--epochs belongs to --mode offline"),
        (["b.yaml", "tasks.jsonl", "--validation", "tasks.jsonl"], "--validation belongs to --mode offline"),
        (["b.yaml", "tasks.jsonl", "--plot", "c.pdf"], "c.pdf: a picture ends in .png or .svg"),
        (["b.yaml", "tasks.jsonl", "--plot", "nowhere/c.png"], "nowhere/c.png: there is no folder nowhere"),
        (["newer.yaml", "tasks.jsonl"], "newer than this library knows"),
        (["binary.yaml", "tasks.jsonl"], "binary.yaml: cannot be read"),
        (["keyless.yaml", "tasks.jsonl"], "the environment variable NO_SUCH_KEY is not set"),
    ],
)
def test_bad_input_is_said_before_anything_is_written(cli, tmp_path, tasks, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTXENG_DATA", str(tmp_path))
    files = {
        "empty.jsonl": b"\n",
        "broken.jsonl": b'{"question": "q", "target": "a"}\n{oops}\n',
        "untargeted.jsonl": b'{"question": "q"}\n',
        "field.jsonl": b'{"question": "q", "anser": "a"}\n',
        "newer.yaml": b"ctxeng: 99\n",
        "binary.yaml": b"\xff\xfe\x00",
        "keyless.yaml": b"models: {answer: {id: openai/x, key_env: NO_SUCH_KEY}}\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    ran = cli("learn", *arguments)
    assert ran.code == 2, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not (tmp_path / "b.yaml").exists()


def test_two_processes_do_not_work_on_one_run(cli, spawn, tmp_path, long):
    book = tmp_path / "b.yaml"
    process = spawn("learn", book, long, "--window", 3, "--no-plot")
    try:
        while not list(tmp_path.glob(".ctxeng/runs/*/progress.jsonl")) and process.poll() is None:
            time.sleep(0.01)
        ran = cli("learn", book, long, "--window", 3, "--no-plot")
    finally:
        process.kill()
        process.communicate()
    assert ran.code == 2
    assert "another process works on run" in ran.err


def test_a_playbook_whose_learning_people_approve_gets_candidates(cli, tmp_path, tasks):
    book = tmp_path / "b.yaml"
    book.write_text("learning: {approve: human}\nentries: []\n", encoding="utf-8")
    ran = cli("learn", book, tasks, "--no-plot")
    assert "waits as candidates" in ran.err
    assert {entry.status for entry in PlaybookStore(book).open().own} == {"candidate"}
