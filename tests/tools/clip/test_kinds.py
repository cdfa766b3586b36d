"""A text is taken for what it is."""

import json

import pytest

from ctxeng.tools.clip.kinds import kind_of

LS = """total 24
-rw-r--r--  1 ann  staff  1512  Nov 23 02:21  README.md
-rw-r--r--  1 ann  staff    80  Nov 23 02:21  setup.cfg
drwxr-xr-x  4 ann  staff  4096  Nov 23 02:21  src
drwxr-xr-x  4 ann  staff  4096  Nov 23 02:21  tests"""
TRACE = """running 3 checks
Traceback (most recent call last):
  File "a.py", line 3, in <module>
    main()
ValueError: no such thing"""
CODE = """def add(one, other):
    return one + other


def twice(each):
    return add(each, each)"""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"a": 1}'),
        ("json", "  [1, 2]\n"),
        ("json", '{"a": 1}\n{"a": 2}\n'),
        ("text", '{"a": 1}\nand more'),
        ("text", "17"),
        ("text", ""),
        ("text", "{" * 100_000),
        ("table", "id,name,age\n1,ann,30\n2,bob,31\n3,cy,32"),
        ("table", "id\tname\n1\tann\n2\tbob"),
        ("table", "| id | name |\n|---|:--|\n| 1 | ann |\n| 2 | bob |"),
        ("table", LS),
        ("log", "2024-05-01 10:00:00 up\n2024-05-01 10:00:01 still up\n2024-05-01 10:00:02 down"),
        ("log", "INFO a\nDEBUG b\nERROR c"),
        ("log", TRACE),
        ("text", CODE),
        ("text", "".join(f"{n}:{line}\n" for n, line in enumerate(CODE.split("\n")))),
        ("text", "Dear Ann, Bob, and Cy,\nwe met, ate, and left.\nRain, wind, and hail came."),
    ],
)
def test_the_kind_is_seen(kind, text):
    assert kind_of(text) == kind


def test_a_file_view_of_a_log_is_text_since_its_numbers_must_stay():
    view = "\n".join(f"{n}:2024-05-01 ERROR no disk" for n in range(20))
    assert kind_of(view) == "text"


def test_json_that_nests_too_deeply_to_parse_is_text():
    assert kind_of("[" * 50_000 + "]" * 50_000) == "text"
    assert kind_of(json.dumps([[[[1]]]])) == "json"
