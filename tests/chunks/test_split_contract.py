"""What every splitter promises, on any text."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.names import SPLITTERS, splitter
from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tokens import Estimate

ENCODER = HashingEmbedder(16)
KINDS = ("text", "markdown", "python", "code")
LINES = st.one_of(
    st.sampled_from(
        ["# Head", "## Sub", "Head\n===", "a word.", "One. Two! Three?", "the rules are:", "", ""]
    ),
    st.sampled_from(
        ["- item", "  - inner", "1. first", "> said", "| a | b |", "|---|---|", "| 1 | 2 |", "```"]
    ),
    st.sampled_from(
        ["    code", "---", "***", "[x]: http://y", "<div>", "x" * 90, "漢字" * 40, "word " * 40]
    ),
    st.sampled_from(
        ["def f(a):", "    return 1", "    '''doc", "    more'''", "@decorated", "class C:", "# comment"]
    ),
    st.sampled_from(
        ["x = [", "]", "}", "function g() {", "  'str{ing'", "/* {", "*/", "if a:", "else:", "match a:"]
    ),
    st.sampled_from(["    case 1:", "\x0c", "é😀", "\u2028", "a\u00a0b", "\t", "tail \\"]),
)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(LINES, max_size=30).map("\n".join),
    st.lists(LINES, max_size=30).map("\r\n".join),
)


def split(name, text, kind="text", limit=24):
    document = Document(source="a/b.md", text=text, kind=kind, title="B")
    return splitter(name, limit, encoder=ENCODER).split(document)


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, kind=st.sampled_from(KINDS), limit=st.sampled_from([8, 24, 200]))
def test_chunks_are_slices_in_order_within_the_limit_and_nothing_is_lost(name, text, kind, limit):
    found = split(name, text, kind, limit)
    at = 0
    for chunk in found:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert chunk.text == chunk.text.rstrip()
        assert Estimate().count(chunk.text) <= limit
        assert chunk.source == "a/b.md"
        assert chunk.trust == "untrusted"
        if name == "window":
            assert chunk.start <= at or not text[at : chunk.start].strip()
        else:
            assert chunk.start >= at
            left_out = text[at : chunk.start].strip()
            assert not left_out or (kind == "markdown" or name == "markdown")
            assert all(word in chunk.title for word in left_out.strip("#=- \t\n").split() if word.isalpha())
        assert chunk.end > at
        at = chunk.end
    assert not text[at:].strip()
    assert len({chunk.id for chunk in found}) == len(found)
    assert found == split(name, text, kind, limit)


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("text", ["", " \n\t\n", "\x0c"])
def test_a_text_of_nothing_has_no_chunks(name, text):
    assert split(name, text) == []


def prose(seed, paragraphs=150):
    dice = random.Random(seed)
    names = [
        f"{first}{last}" for first in ("ka", "mo", "ti", "ru", "sel") for last in ("ren", "dor", "vik", "na")
    ]
    return [
        " ".join(
            " ".join(dice.choices(names, k=dice.randint(4, 14))).capitalize() + "."
            for _ in range(dice.randint(1, 6))
        )
        for _ in range(paragraphs)
    ]


@pytest.mark.parametrize("name", ["sentence", "paragraph", "markdown", "window"])
@pytest.mark.parametrize("place", [0, 75])
def test_an_edit_leaves_the_ids_of_distant_chunks_alone(name, place):
    before = prose(1)
    after = [*before[:place], "Something new was written here.", *before[place:]]
    old, new = ({chunk.id for chunk in split(name, "\n\n".join(each), limit=128)} for each in (before, after))
    assert len(old) > 60
    assert len(new - old) <= len(new) // 6


def test_ids_do_not_hang_on_other_sections_or_functions():
    text = "# A\n\nOne.\n\n# B\n\nTwo.\n\n# C\n\nThree."
    old, new = (
        split("markdown", each) for each in (text, text.replace("Two.", "Two and more.\n\nMuch more."))
    )
    assert [old[0].id, old[2].id] == [new[0].id, new[2].id]
    assert old[1].id != new[1].id


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("piece", ["[", " ", "a(b) ", "`", "| ", "\n", "> "])
def test_what_repeats_for_long_takes_no_quadratic_time(name, piece):
    text = piece * (20_000 // len(piece)) + "end"
    for kind in ("markdown", "code"):
        began = time.process_time()
        split(name, text, kind, limit=256)
        assert time.process_time() - began < 3


@pytest.mark.parametrize("name", SPLITTERS)
def test_what_has_no_seam_but_words_fills_its_chunks(name):
    found = split(name, "word " * 400, limit=64)
    assert len(found) < 30


def test_texts_that_come_again_are_numbered():
    found = split("sentence", "Same. Other. Same. Same.")
    first = found[0].id
    assert first.startswith("a/b.md#")
    assert [found[2].id, found[3].id] == [f"{first}-2", f"{first}-3"]


def test_odd_characters_of_a_source_are_kept_out_of_ids():
    chunk = splitter("sentence").split(Document(source='my "notes" <1>.txt', text="Hello."))[0]
    assert chunk.id.startswith("my-notes-1-.txt#")
    assert chunk.source == 'my "notes" <1>.txt'


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownName, match="unknown splitter 'page'; known: auto, code, markdown, paragraph"):
        splitter("page")


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(BadInput, match="limit is 3 tokens; a chunk needs at least 8"):
        splitter("paragraph", 3)
    with pytest.raises(BadInput, match="give it an encoder"):
        splitter("semantic")


def test_auto_goes_by_the_kind_of_the_document():
    text = "# Head\n\ndef f():\n    pass\n"
    titles = {kind: split("auto", text, kind)[-1].title for kind in KINDS}
    assert titles == {"text": "B", "markdown": "Head", "python": "f", "code": "f"}


@pytest.mark.parametrize("name", [name for name in SPLITTERS if name != "sentence"])
def test_half_of_the_room_is_used_on_a_book(name, data):
    text = (Path(data) / "gutenberg" / "pride-and-prejudice.txt").read_text()[50_000:150_000]
    found = split(name, text, limit=256)
    mean = sum(Estimate().count(chunk.text) for chunk in found) / len(found)
    assert mean > 128
