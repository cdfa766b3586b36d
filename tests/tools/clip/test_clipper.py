"""Whatever a tool returns, the clip is within its allowance, and what fits is left alone."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.message import well_formed
from ctxeng.tokens import Estimate, Exact, tiktoken_counter
from ctxeng.tools.clip.clipper import CLIPS, Clipper

BYTES = Exact("bytes", lambda text: len(text.encode()))
COUNTERS = [each for each in (BYTES, Estimate(), tiktoken_counter("o200k_base")) if each]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=20), inner), max_leaves=40
)
LINES = st.lists(
    st.sampled_from(
        [
            "a,b,c",
            "1\t2",
            "| a | b |",
            "|---|---|",
            "12: x = 1",
            "2024-01-01 10:00:00 ERROR no disk",
            '"',
            "{",
            "",
        ]
    )
    | st.text(max_size=300)
).map("\n".join)
TEXTS = (
    st.text(alphabet=st.characters())
    | LINES
    | JSON.map(json.dumps)
    | st.text(max_size=5).map(lambda t: t * 900)
)


@pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter.name)
@given(text=TEXTS, query=st.text(max_size=60), tokens=st.integers(0, 300))
@example(text="", query="", tokens=0)
@example(text="x" * 50_000, query="x", tokens=40)
@example(text=" " * 50_000, query="", tokens=1)
@example(text="{" * 5_000, query="", tokens=30)
@example(text="[" * 300 + "]" * 300, query="", tokens=30)
@example(text='{"a": 1' + "0" * 5_000 + "}", query="a", tokens=20)
@example(text='{"\\ud800": "\\udfff' + "é" * 400 + '"}', query="\ud800", tokens=60)
@example(text="漢字" * 3_000, query="漢", tokens=50)
def test_a_clip_is_never_over_its_allowance(counter, text, query, tokens):
    found = Clipper(tokens, counter).clip(text, query)
    assert counter.count(found.text) == found.tokens <= tokens
    assert found.full_tokens == counter.count(well_formed(text))
    assert found == Clipper(tokens, counter).clip(text, query)
    if found.full_tokens <= tokens:
        assert found.text == well_formed(text)
        assert found.whole


@given(value=st.lists(st.dictionaries(st.text(max_size=9), SCALARS, min_size=1), min_size=2, max_size=30))
def test_clipped_json_parses_wherever_a_value_of_it_fits(value):
    text = json.dumps(value)
    found = Clipper(200, BYTES).clip(text)
    if found.kind == "json" and found.text[:1] in "[{":
        json.loads(found.text)


def test_each_kind_is_cut_by_the_way_that_is_given_for_it():
    shouting = {**CLIPS, "json": lambda text, query, fits: "JSON!"}
    rows = json.dumps([{"a": n} for n in range(500)])
    assert Clipper(50, BYTES, shouting).clip(rows).text == "JSON!"
    greedy = {**CLIPS, "json": lambda text, query, fits: text}
    assert BYTES.count(Clipper(50, BYTES, greedy).clip(rows).text) <= 50


def test_an_allowance_below_nothing_is_refused():
    with pytest.raises(BadInput, match="-1 tokens"):
        Clipper(-1)


def huge(kind):
    count = 60_000
    return {
        "json": lambda: json.dumps([{"id": n, "note": "so it goes " * 5, "at": n / 2} for n in range(count)]),
        "log": lambda: "\n".join(
            f"2024-05-01 10:00:00 INFO worker {n} did {n % 7} things well" for n in range(count)
        ),
        "table": lambda: "\n".join(
            f"{n},name {n},{n * 3},and some more in the last one" for n in range(count)
        ),
        "text": lambda: "The quick brown fox jumps over the lazy dog number 5. " * count,
    }[kind]()


@pytest.mark.parametrize("kind", ["json", "log", "table", "text"])
def test_time_grows_with_the_length_and_no_faster(kind):
    text = huge(kind)
    clipper = Clipper(500, Estimate())
    clipper.clip(text[:1000])
    start = time.process_time()
    found = clipper.clip(text, "worker 4711 and name 815")
    assert time.process_time() - start < 8  # about one on a quiet machine; a square would take minutes
    assert found.kind == kind
    assert found.tokens <= 500 < found.full_tokens


def test_one_line_of_five_million_characters_is_cut_in_time():
    start = time.process_time()
    for text in ("a" * 5_000_000, " " * 5_000_000, "{" * 5_000_000, '"' * 5_000_000):
        assert Clipper(100, Estimate()).clip(text, "a").tokens <= 100
    assert time.process_time() - start < 12
