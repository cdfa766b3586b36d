import logging
import multiprocessing

import pytest
from pydantic import ValidationError

from ctxeng.chunks.configure_log import SelectionLog, SelectionOutcome
from ctxeng.errors import BadInput


def outcome(turn="t", configuration="plain", score=0.5):
    return SelectionOutcome(
        turn=turn, configuration=configuration, score=score, version="1", features=(0.5, -1.25)
    )


def test_outcomes_come_back_in_order(tmp_path):
    log = SelectionLog(tmp_path / "new" / "log.jsonl")
    assert log.read() == []
    written = [outcome(f"t{number}") for number in range(5)]
    for each in written:
        log.add(each)
    assert log.read() == written


def test_feedback_given_twice_counts_once_and_the_last_counts(tmp_path):
    log = SelectionLog(tmp_path / "log.jsonl")
    for each in (outcome(score=0.0), outcome(configuration="other"), outcome(score=1.0)):
        log.add(each)
    assert [(each.configuration, each.score) for each in log.read()] == [("plain", 1.0), ("other", 0.5)]


def test_a_line_that_a_kill_tore_costs_only_itself(tmp_path, caplog):
    log = SelectionLog(tmp_path / "log.jsonl")
    log.add(outcome("a"))
    whole = log.path.read_bytes()
    for torn in range(1, len(whole)):
        log.path.write_bytes(whole + whole[:torn].replace(b'"a"', b'"b"'))
        log.add(outcome("c"))
        with caplog.at_level(logging.WARNING):
            turns = [each.turn for each in log.read()]
        # only the last cut leaves a record that is whole but for its line break
        assert turns == (["a", "b", "c"] if torn == len(whole) - 1 else ["a", "c"])
    assert f"{log.path}:2: a torn line was skipped" in caplog.messages


def test_a_whole_line_that_is_no_outcome_is_refused_by_its_number(tmp_path):
    log = SelectionLog(tmp_path / "log.jsonl")
    log.add(outcome())
    with log.path.open("a") as file:
        file.write('{"turn": "t"}\n')
    with pytest.raises(BadInput, match=r"log\.jsonl:2: no selection outcome"):
        log.read()


def _write(path, name):
    for number in range(50):
        SelectionLog(path).add(outcome(f"{name}.{number}"))


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "log.jsonl"
    workers = [
        multiprocessing.get_context("spawn").Process(target=_write, args=(path, name)) for name in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(SelectionLog(path).read()) == 150


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_scores_lie_between_zero_and_one(score):
    with pytest.raises(ValidationError):
        outcome(score=score)
