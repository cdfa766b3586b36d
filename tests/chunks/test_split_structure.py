"""Where Markdown, tables, code and windows are cut, and what the chunks are called."""

from itertools import pairwise

import pytest

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.code import Code
from ctxeng.chunks.split.markdown import Markdown
from ctxeng.chunks.split.paragraph import Paragraphs
from ctxeng.chunks.split.window import Windows
from ctxeng.errors import BadInput
from ctxeng.tokens import Exact

WORDS = Exact("words", lambda text: len(text.split()))


def split(splitter, text, kind="text", **more):
    return [
        (chunk.title, chunk.text)
        for chunk in splitter.split(Document(source="s", text=text, kind=kind, **more))
    ]


# -- Markdown --------------------------------------------------------------------------------------------


def test_sections_are_titled_by_the_path_of_their_headings():
    text = "Intro.\n\n# Manual\n\nAll.\n\n## `Refunds` and [more](x)\n\nPay.\n\nSoon.\n\n# Other\n\nEnd."
    assert split(Markdown(), text, title="Doc") == [
        ("Doc", "Intro."),
        ("Manual", "# Manual\n\nAll."),
        ("Manual > Refunds and more", "## `Refunds` and [more](x)\n\nPay.\n\nSoon."),
        ("Other", "# Other\n\nEnd."),
    ]


def test_a_heading_with_nothing_of_its_own_goes_with_the_section_below_it():
    assert split(Markdown(), "# Manual\n\n## Refunds\n\nPay.") == [
        ("Manual > Refunds", "# Manual\n\n## Refunds\n\nPay.")
    ]


def test_a_heading_is_no_chunk_where_what_follows_fills_one_alone():
    fence = "```\n" + "word " * 8 + "\n```"
    assert split(Markdown(10, WORDS), f"## Usage\n\n{fence}\n\n## Empty") == [
        ("Usage", fence),
        ("Empty", "## Empty"),
    ]


def test_fences_tables_and_lists_stay_whole_where_they_fit():
    fence = "```python\n# no heading\n\n\nx = 1\n```"
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    items = "- one\n\n  more of one\n- two\n  - deep"
    for block in (fence, table, items):
        found = split(Markdown(12, WORDS), f"word word word word word\n\n{block}\n\nword word word word word")
        assert any(block in text for _, text in found)


def test_a_long_list_is_cut_between_items():
    items = [f"- item {number} with its own words" for number in range(9)]
    for _, text in split(Markdown(16, WORDS), "\n".join(items)):
        assert text.startswith("- item")
        assert text.endswith("words")


def test_the_rows_of_a_long_table_are_titled_with_its_heading():
    rows = [f"| NO{number} | {number} % |" for number in range(12)]
    text = "\n".join(["## Rates", "", "| Country | Rate |", "|---|---|", *rows, "", "After."])
    found = split(Markdown(20, WORDS), text)
    assert found[0][0] == "Rates"
    assert found[0][1].startswith("## Rates\n\n| Country | Rate |\n|---|---|\n| NO0")
    assert {title for title, _ in found[1:-1]} == {"Rates: | Country | Rate |"}
    assert found[-1] == ("Rates", "After.")
    assert [row for _, text in found for row in text.split("\n") if row.startswith("| NO")] == rows


def test_front_matter_and_link_definitions_are_kept_and_are_no_headings():
    text = "---\ntitle: x\n---\n\n[ref]: http://x\n\n# Head\n\nBody."
    assert [title for title, _ in split(Markdown(), text, title="Doc")] == ["Doc", "Head"]


def test_what_announces_something_stays_with_it():
    text = "Alpha beta gamma delta.\n\nThe rules are:\n\n- never more than this\n- always less than that"
    found = split(Markdown(14, WORDS), text)
    assert found[-1][1].startswith("The rules are:\n\n- never")


# -- plain text ------------------------------------------------------------------------------------------


def test_plain_pipe_tables_are_kept_whole_and_their_rows_titled():
    table = "country | rate\n" + "\n".join(f"NO{number} | {number}" for number in range(3))
    assert any(
        table in text for _, text in split(Paragraphs(14, WORDS), f"As agreed.\n{table}\nThat is all.")
    )
    found = split(Paragraphs(8, WORDS), table, title="Rates")
    assert [title for title, _ in found] == ["Rates", "Rates: country | rate"]


def test_without_merging_every_paragraph_is_a_chunk():
    assert [text for _, text in split(Paragraphs(merge=False), "a\nb\n\nc\n\n\nd")] == ["a\nb", "c", "d"]
    found = split(Paragraphs(20, WORDS, merge=False), "One.\n\n" + "Two words. " * 30)
    assert found[0] == ("", "One.")
    assert 4 <= len(found) <= 7


def test_a_chapter_heading_stays_with_its_chapter():
    text = "\n\n".join(f"CHAPTER {number}\n\n" + "word " * 9 + "end." for number in range(1, 6))
    assert all(chunk.startswith("CHAPTER") for _, chunk in split(Paragraphs(14, WORDS), text))


def test_chunks_of_pages_name_them():
    document = Document(source="s", text="One.\n\n\f\nTwo.\n\n\f\nThree.", title="Report", pages=(0, 8, 16))
    assert [chunk.title for chunk in Paragraphs(merge=False).split(document)] == [
        "Report, page 1",
        "Report, page 2",
        "Report, page 3",
    ]
    assert [chunk.title for chunk in Paragraphs().split(document)] == ["Report, pages 1-3"]


# -- code ------------------------------------------------------------------------------------------------

PYTHON = '''"""Module."""

import os

LIMIT = 3


# How much.
# Really.
@cached
def price(n):
    """A price.

    Of n.
    """
    return n * LIMIT


class Ledger:
    """Money."""

    total = 0

    def add(self, n):
        self.total += n

    # Give back.
    async def refund(self, n):
        text = """one

two"""
        return text


print(os)
'''


def test_python_is_cut_at_top_level_with_decorators_and_comments():
    found = split(Code(), PYTHON, "python", title="money")
    assert [title for title, _ in found] == ["money", "price", "Ledger", "money"]
    assert found[1][1].startswith("# How much.\n# Really.\n@cached\ndef price")
    assert found[3][1] == "print(os)"


def test_a_long_class_is_cut_by_method_and_strings_stay_whole():
    found = dict(split(Code(18, WORDS), PYTHON, "python", title="money"))
    assert found["Ledger.add"] == "    def add(self, n):\n        self.total += n"
    assert found["Ledger.refund"].startswith("    # Give back.\n    async def refund")
    assert found["Ledger"] == 'class Ledger:\n    """Money."""\n\n    total = 0'
    tight = [text for _, text in split(Code(8, WORDS), PYTHON, "python")]
    assert any('text = """one\n\ntwo"""' in text for text in tight)


def test_python_that_does_not_parse_is_cut_like_any_code():
    text = "def f():\n    pass\n\nprint 1\n"
    assert [title for title, _ in split(Code(), text, "python", title="old")] == ["f", "old"]


C_LIKE = """#include <stdio.h>

/* Adds { two. */
static int add(int a, int b)
{
    char *s = "}";

    return a + b;
}

struct point {
    int x;

    int y;
};

export const area = (p) => {

  return `}

${p.x}`;
};

func (l *Ledger) Refund(n int) error {

	return nil
}
"""


def test_other_code_is_cut_where_nothing_is_open_and_named_by_what_it_declares():
    found = split(Code(), C_LIKE, "code", title="file")
    assert [title for title, _ in found] == ["file", "add", "point", "area", "Refund"]
    assert found[1][1].startswith("/* Adds { two. */\nstatic int add")
    assert found[3][1].endswith("${p.x}`;\n};")


# -- windows ---------------------------------------------------------------------------------------------


def test_windows_begin_with_the_end_of_the_one_before():
    text = " ".join(f"w{number}" for number in range(200))
    found = [text.split() for _, text in split(Windows(20, 5, WORDS), text)]
    for before, after in pairwise(found):
        assert before[-5:] == after[:5]
    assert all(12 <= len(words) <= 20 for words in found[:-1])


def test_windows_without_overlap_share_nothing():
    text = " ".join(f"w{number}" for number in range(200))
    found = [word for _, text in split(Windows(20, 0, WORDS), text) for word in text.split()]
    assert found == text.split()


@pytest.mark.parametrize("overlap", [-1, 11])
def test_an_overlap_of_over_half_a_window_is_refused(overlap):
    with pytest.raises(BadInput, match="between 0 and half of limit"):
        Windows(20, overlap)
