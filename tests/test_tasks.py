"""Task files are read line by line; a bad line is named, none is skipped."""

import pytest

from ctxeng.errors import BadTask
from ctxeng.tasks import needs_truths, read_tasks


def write(folder, text):
    path = folder / "tasks.jsonl"
    path.write_text(text)
    return path


def test_a_line_becomes_a_task_with_its_choices_documents_and_truth(tmp_path):
    line = (
        '{"question": "Which?", "choices": ["a", {"value": "b", "about": "the other"}],'
        ' "target": "b", "documents": ["D."]}'
    )
    (task,) = read_tasks(write(tmp_path, f"\n{line}\n"))
    assert task.id == "line-2"
    assert [choice.about for choice in task.want.options] == ["", "the other"]
    assert task.truth.target == "b"
    assert task.request.chunks[0].text == "D."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"question": "a"}\n{"question": \n', r"tasks.jsonl:2:\d+: not JSON"),
        ('{"query": "a"}\n', r"tasks.jsonl:1: question: Field required"),
        ('{"question": "a", "labels": 1}\n', r"tasks.jsonl:1: labels: Extra inputs"),
        ("[1]\n", r"tasks.jsonl:1: "),
        (
            '{"question": "a", "target": ' + "[" * 9_999 + "]" * 9_999 + "}",
            "tasks.jsonl:1: nested too deeply",
        ),
        ('{"question": "a", "target": ' + "9" * 5_000 + "}", "tasks.jsonl:1: not usable JSON"),
        ('{"question": " "}', "tasks.jsonl:1: the question is empty"),
        ('{"question": "a", "choices": ["x", "x"]}', "the choice 'x' is given twice"),
        ('{"question": "a", "choices": ["x", "y"], "target": "z"}', "the target 'z' is none of the choices"),
        ('{"question": "a", "choices": ["x"], "json_schema": {"type": "object"}}', "exclude each other"),
        ("\n\n", "no tasks"),
        ('{"question": "a", "id": "x"}\n{"question": "b", "id": "x"}\n', "'x' is given to two tasks"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path, text, said):
    with pytest.raises(BadTask, match=said):
        read_tasks(write(tmp_path, text))


def test_an_unreadable_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(BadTask, match=r"gone.jsonl: cannot be read"):
        read_tasks(tmp_path / "gone.jsonl")
    (tmp_path / "tasks.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTask, match="cannot be read"):
        read_tasks(tmp_path / "tasks.jsonl")


def test_tasks_without_a_target_are_refused_where_a_judge_needs_one(tmp_path):
    path = write(tmp_path, '{"question": "a", "id": "x"}\n{"question": "b"}\n')
    with pytest.raises(BadTask, match="task x and 1 more has no target"):
        needs_truths(path, read_tasks(path))
