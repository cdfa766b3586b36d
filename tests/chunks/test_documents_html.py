import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.documents.html import html_text


def text_of(body):
    return html_text(f"<html><body>{body}</body></html>")[0]


def test_headings_paragraphs_and_breaks_are_kept_and_entities_decoded():
    body = (
        "<h1>Refund&nbsp;manual</h1>"
        "<p>We re<b>fund</b> <a href='x'>orders</a>\n in 30 days &lt;once&gt;.<br>Ask.</p>"
    )
    assert text_of(body) == "# Refund manual\n\nWe refund orders in 30 days <once>.\nAsk."
    assert text_of("<h2>Rates <small>2024</small></h2><div>loose<p>para</p>tail</div>") == (
        "## Rates 2024\n\nloose\n\npara\n\ntail"
    )


def test_what_no_reader_sees_is_left_out():
    unseen = (
        "<script>var a='<p>no</p>'</script><style>p{}</style><nav>no</nav><template>no</template>"
        "<p hidden>no</p><!-- no --><button>no</button>"
        "<div style='color:red;DISPLAY : none'>no<p>no</p></div><p aria-hidden=true>no</p>"
        "<noscript>no</noscript><ul role=navigation><li>no</ul>"
    )
    assert text_of(f"<p>yes</p>{unseen}<p>yes</p>") == "yes\n\nyes"


def test_lists_keep_their_depth_and_numbers():
    inner = "<ol start=3><li>deep</li><li></li><li>deeper</li></ol>"
    body = f"<ul><li>One</li><li><p>Two</p><p>more</p>{inner}</li></ul>end"
    assert text_of(body) == "- One\n- Two\n    more\n    3. deep\n    5. deeper\n\nend"


def test_tables_become_pipe_tables_with_spanning_cells_in_their_columns():
    body = (
        "<table><caption>Rates</caption><thead><tr><th>Country</th><th colspan=2>Rate</th></tr></thead>"
        "<tr><td rowspan=2>Norway</td><td>25 | 12</td><td>old</td></tr>"
        "<tr><td>26</td><td><p>new</p><p>er</p></td></tr></table>"
    )
    assert text_of(body) == (
        "Rates\n\n| Country | Rate |  |\n| --- | --- | --- |\n"
        "| Norway | 25 \\| 12 | old |\n| Norway | 26 | new er |"
    )


def test_tables_for_the_layout_are_read_as_their_content():
    assert text_of("<table><tr><td><h3>Left</h3><p>text</p></td><td>right</td></tr></table>") == (
        "### Left\n\ntext\n\nright"
    )
    assert text_of("<table><tr><td>one</td></tr><tr><td>two</td></tr></table>") == "one\n\ntwo"


def test_preformatted_text_is_fenced_and_kept():
    assert (
        text_of("<pre><code>def f():\n    return '```'\n</code></pre>")
        == "````\ndef f():\n    return '```'\n````"
    )


@pytest.mark.parametrize(
    "line", ["# no heading", "- no item", "| no table |", "> nobody said", "```", "--- no rule"]
)
def test_plain_text_that_looks_like_markup_is_escaped(line):
    assert text_of(f"<p>{line}</p>") == f"\\{line}"
    assert text_of("<p>1. no item</p>") == "1\\. no item"


def test_the_title_is_that_of_the_head_or_the_first_heading():
    assert html_text("<head><title> A\n b </title></head><h1>C</h1>")[1] == "A b"
    assert html_text("<h1>C</h1><h1>D</h1>")[1] == "C"
    assert html_text("<svg><title>icon</title></svg>just text") == ("just text", "")


def test_deep_pages_are_read():
    assert html_text("<div>" * 3_000 + "deep")[0] == "deep"


TAGS = """
<p> </p> <ul> </ul> <ol> <li> </li> <table> <tr> <td> <td> </table> <h2> </h2> <pre> </pre> <br> <b> </b>
<div> </div> <dl> <dt> <dd> <blockquote> </ <!-- --> &amp; &#0; word # - | x
"""


@settings(deadline=None)
@given(st.lists(st.sampled_from(TAGS.split()), max_size=40).map(" ".join))
def test_no_page_is_too_broken(page):
    text, _ = html_text(page)
    assert text == text.strip("\n")
    for word in ("word", "x"):
        assert text.split().count(word) <= page.split().count(word)


def test_a_megabyte_takes_a_few_seconds_at_most():
    page = "<h2>Head</h2><p>Some words and <b>more</b>.</p><ul><li>item</ul>"
    page += "<table><tr><td>a<td>b<tr><td>c<td>d</table>"
    page *= 1_000_000 // len(page)
    began = time.process_time()
    assert len(html_text(page)[0]) > 100_000
    assert time.process_time() - began < 6
