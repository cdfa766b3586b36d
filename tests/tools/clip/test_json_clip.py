"""Clipped JSON is JSON, keeps what is asked for, and says what it lacks."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ctxeng.tokens import Exact
from ctxeng.tools.clip.clipper import Clipper
from ctxeng.tools.clip.json_clip import tight

BYTES = Exact("bytes", lambda text: len(text.encode()))
ORDERS = [
    {"order_id": f"A{n:04}", "total": n * 10, "status": "open", "note": "please ring twice and wait " * 3}
    for n in range(200)
]


def clip(value, tokens, query=""):
    found = Clipper(tokens, BYTES).clip(json.dumps(value), query)
    assert found.kind == "json"
    return found, json.loads(found.text)


def test_the_record_that_the_query_names_is_kept_from_the_middle_of_a_long_array():
    found, _ = clip(ORDERS, 400, "what became of order A0137?")
    assert "A0137" in found.text
    assert '"A0137"' not in Clipper(400, BYTES).clip(json.dumps(ORDERS)).text


def test_a_long_array_says_how_many_elements_are_left_out():
    _, value = clip(list(range(1000, 2000)), 100)
    assert value[-1] == f"... {1000 - (len(value) - 1)} of 1000 left out"
    assert value[0] == 1000
    assert len(value) > 10


def test_fields_that_are_left_out_are_named():
    _, value = clip({"id": "X1", "story": "once upon a time " * 50, "tale": "and then it rained " * 60}, 80)
    assert value["id"] == "X1"
    assert "story" in value or "story" in value["..."]
    assert "tale" in value or "tale" in value["..."]


def test_ids_come_before_long_prose():
    _, value = clip(
        {"prose": "words and words again " * 30, "more": "so it goes on " * 50, "id": "Q7-12"}, 70
    )
    assert value["id"] == "Q7-12"


def test_a_long_string_is_cut_with_the_count_of_what_is_gone():
    _, value = clip({"a": "x y " * 200, "b": "z w " * 200, "id": 1}, 300)
    cut = [text for text in (value.get("a"), value.get("b")) if text]
    assert cut
    assert all(text.endswith("740 characters left out]") for text in cut)


def test_a_string_that_is_most_of_the_text_is_clipped_by_the_query():
    body = (
        "\n".join(f"line {n} is dull" for n in range(400)) + "\nthe password is swordfish\n" + "dull\n" * 300
    )
    _, value = clip({"exit": 0, "stdout": body}, 300, "which password?")
    assert value["exit"] == 0
    assert "swordfish" in value["stdout"]


def test_numbers_keep_their_spelling():
    text = '{"a": 1.10, "b": 1e400, "c": 123456789012345678901234567890, "pad": "' + "p" * 300 + '"}'
    found = Clipper(200, BYTES).clip(text).text
    assert '"a":1.10' in found
    assert '"b":1e400' in found
    assert '"c":123456789012345678901234567890' in found


def test_what_fits_without_its_white_space_is_whole():
    found = Clipper(len(tight(json.dumps(ORDERS[:3]))), BYTES).clip(json.dumps(ORDERS[:3], indent=8))
    assert found.whole
    value = json.loads(found.text)
    assert [dict(zip(value["keys"], row, strict=True)) for row in value["rows"]] == ORDERS[:3]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=25,
)


def unrolled(value):
    """Keys and rows as the records they stand for."""
    if isinstance(value, dict):
        if set(value) == {"keys", "rows"}:
            return [dict(zip(value["keys"], map(unrolled, row), strict=True)) for row in value["rows"]]
        return {name: unrolled(each) for name, each in value.items()}
    return [unrolled(each) for each in value] if isinstance(value, list) else value


@given(VALUES.filter(lambda value: isinstance(value, list | dict)))
def test_tight_json_says_the_same(value):
    assert unrolled(json.loads(tight(json.dumps(value)))) == unrolled(value)


def test_what_records_of_an_array_lack_is_told_once():
    rows = [{"id": n, "about": "so it goes " * 12, "more": "and on " * (n + 9)} for n in range(40)]
    found, value = clip(rows, 150)
    assert found.text.count("about") == 1
    if isinstance(value, dict):
        assert value["keys"] == ["id"]
        assert f"{40 - len(value['rows'])} of 40 rows" in value["..."]
    else:
        assert f"{41 - len(value)} of 40 left out" in value[-1]


def test_arrays_in_arrays_are_written_once():
    value = [{"x": 1}]
    for level in range(20):
        value = [{"x": value}, {"x": level}]
    assert unrolled(json.loads(tight(json.dumps(value)))) == unrolled(value)


def test_what_nests_too_deeply_to_be_shown_is_cut_as_text():
    value = 1
    for _ in range(200):
        value = {"deeper": value}
    assert Clipper(100, BYTES).clip(json.dumps(value)).tokens <= 100
