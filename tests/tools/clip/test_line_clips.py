"""Tables, logs and text: what is kept of them, in source order, and what the marks say."""

import pytest

from ctxeng.tokens import Exact
from ctxeng.tools.clip.clipper import Clipper

BYTES = Exact("bytes", lambda text: len(text.encode()))


def clip(text, tokens, query, kind):
    found = Clipper(tokens, BYTES).clip(text, query)
    assert found.kind == kind
    return found.text.split("\n")


CSV = "\n".join(["id,name,city", *(f"{n},name{n},town{n % 9}" for n in range(300))])


def test_a_table_keeps_its_header_the_matching_row_and_both_ends():
    lines = clip(CSV, 200, "where does name217 live?", "table")
    assert lines[0] == "id,name,city"
    assert "217,name217,town1" in lines
    assert "0,name0,town0" in lines
    assert lines[-1] == "299,name299,town2"


def test_the_marks_of_a_table_count_its_rows():
    lines = clip(CSV, 200, "name217", "table")
    gone = sum(int(line[1:].split()[0]) for line in lines if line.startswith("["))
    assert gone + sum(not line.startswith("[") for line in lines) == 301


def test_a_markdown_table_keeps_the_rule_under_its_header():
    rows = [f"| {n} | name {n} |" for n in range(200)]
    lines = clip("\n".join(["| id | name |", "|---|---|", *rows]), 150, "", "table")
    assert lines[:2] == ["| id | name |", "|---|---|"]


def test_a_row_with_a_line_break_in_quotes_stays_together():
    rows = [f'{n},"first\nsecond {n}",x' for n in range(100)]
    text = "\n".join(Clipper(300, BYTES).clip("\n".join(["a,b,c", *rows]), "second 57").text.split("\n"))
    assert '57,"first\nsecond 57",x' in text


LOG = [f"2024-05-01 10:{n // 60:02}:{n % 60:02} INFO request {n} served" for n in range(500)]


def test_a_log_keeps_its_errors_with_what_stands_around_them_and_its_end():
    log = [*LOG[:250], "2024-05-01 10:04:10 INFO opening /dev/sda", "2024-05-01 10:04:10 ERROR no disk"]
    lines = clip("\n".join([*log, *LOG[250:], "bye"]), 400, "", "log")
    assert "2024-05-01 10:04:10 ERROR no disk" in lines
    assert "2024-05-01 10:04:10 INFO opening /dev/sda" in lines
    assert lines[-1] == "bye"


def test_lines_that_repeat_but_for_their_numbers_are_counted():
    lines = clip("\n".join([*LOG, "ERROR out of paper"]), 250, "", "log")
    assert any(line.endswith("lines like the one above]") for line in lines)
    assert lines[0] == LOG[0]


def test_a_repeated_line_that_the_query_names_is_kept():
    assert LOG[321] in clip("\n".join(LOG), 300, "request 321", "log")


CODE = "\n".join(f"{n}:    value_{n} = compute({n})" for n in range(1, 400))


def test_lines_of_a_file_view_keep_their_numbers():
    lines = clip(CODE, 300, "open the file at line 222", "text")
    assert "222:    value_222 = compute(222)" in lines
    assert set(CODE.split("\n")) >= {line for line in lines if not line.startswith("[")}


def test_what_is_kept_stands_in_source_order_with_its_beginning_and_end():
    lines = clip(CODE, 400, "value_300 or value_20", "text")
    numbers = [int(line.split(":")[0]) for line in lines if not line.startswith("[")]
    assert numbers == sorted(numbers)
    assert {1, 20, 300, 399} <= set(numbers)
    gone = sum(int(line[1:].split()[0]) for line in lines if line.startswith("["))
    assert gone + len(numbers) == 399


@pytest.mark.parametrize("tokens", [60, 120, 300])
def test_of_one_long_line_the_sentence_that_answers_is_kept(tokens):
    text = "Nothing happens here today. " * 200 + "The treasure lies in Oslo. " + "It rained again. " * 200
    found = Clipper(tokens, BYTES).clip(text, "Where is the treasure?").text
    assert ("Oslo" in found) == (tokens > 60)
    assert "characters left out]" in found
