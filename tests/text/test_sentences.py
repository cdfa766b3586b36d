import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.text.sentences import sentences

FRAGMENTS = st.sampled_from(
    ["A", "Dr.", "e.g.", "word", ".", "!", "? ", " ", "\n", "\n\n", "\r\n", "\t", "- ", "1. ", "# ",
     "| a | b |", "“", "”", '"', "(", ")", "\u00a0", "\u2028", "\x85", "。", "é", "😀",
     "\ud800", "===", "\x00", "\x0c"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(FRAGMENTS, max_size=40).map("".join))


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


@settings(deadline=None)
@given(TEXTS)
def test_sentences_are_in_order_stripped_and_cover_all_but_white_space(text):
    at = 0
    for start, end in sentences(text):
        assert start >= at
        assert text[at:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        at = end
    assert text[at:].strip() == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid 3.5 EUR. He left!", ["Dr. Smith paid 3.5 EUR.", "He left!"]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
        ("See fig. 3, e.g. the left. Then go on.", ["See fig. 3, e.g. the left.", "Then go on."]),
        ("“Really? Yes.” She left. He stayed.", ["“Really? Yes.”", "She left.", "He stayed."]),
        ('"Is it?" she asked. "No."', ['"Is it?" she asked.', '"No."']),
        ("Plan A\u00a0. Next.", ["Plan A\u00a0.", "Next."]),
        ("Visit example.com. Version 1.2.3 is out.", ["Visit example.com.", "Version 1.2.3 is out."]),
        ("这是一句。这是第二句。", ["这是一句。", "这是第二句。"]),
    ],
)
def test_abbreviations_decimals_initials_and_quotes_behave(text, expected):
    assert cut(text) == expected


def test_a_blank_line_always_ends_a_sentence_and_a_line_break_alone_never_does():
    assert cut("this goes\non and\n \nthis is new") == ["this goes\non and", "this is new"]
    assert cut("one\r\n\r\ntwo") == ["one", "two"]


def test_headings_items_and_table_rows_are_sentences_of_their_own():
    text = "# Refund policy\nWe pay. Soon.\n- first\n- second. More.\n1. Ask. Wait.\n2. Go\n"
    text += "| a. B. | c |\n| - | - |\n"
    assert cut(text) == [
        "# Refund policy",
        "We pay.",
        "Soon.",
        "- first",
        "- second.",
        "More.",
        "1. Ask.",
        "Wait.",
        "2. Go",
        "| a. B. | c |",
        "| - | - |",
    ]


def test_an_underlined_heading_and_a_chapter_are_one_sentence():
    assert cut("Title\n=====\nBody.") == ["Title\n=====", "Body."]
    assert cut("CHAPTER 12. Biographical.\n\nQueequeg was a native.") == [
        "CHAPTER 12. Biographical.",
        "Queequeg was a native.",
    ]


def test_a_number_that_happens_to_begin_a_line_begins_no_item():
    assert cut("It was on May\n19) that he left") == ["It was on May\n19) that he left"]


def test_another_language_has_its_own_abbreviations():
    text = "Das gilt z. B. für Hunde. Katzen nicht."
    assert [text[start:end] for start, end in sentences(text, "de")] == [
        "Das gilt z. B. für Hunde.",
        "Katzen nicht.",
    ]


def test_many_open_quotes_do_not_take_quadratic_time():
    text = "Wh “a. " * 60_000
    began = time.process_time()
    assert len(sentences(text)) == 60_000
    assert time.process_time() - began < 5


def test_a_book_takes_about_a_second_at_most(data):
    text = (data / "gutenberg" / "moby-dick.txt").read_text()
    began = time.process_time()
    found = sentences(text)
    assert time.process_time() - began < 2
    assert 7_000 < len(found) < 12_000
    assert "Call me Ishmael." in [text[start:end] for start, end in found]
