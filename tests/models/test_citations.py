import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.models.citations import CitationFilter, attribute, by_overlap, split_citations
from ctxeng.turn import Answer, Chunk, Context, Message, Note, Opaque, Section, Text, assistant

PIECES = st.sampled_from(
    ["\n", "\n\n", " ", "Cited", "cited:", "Cited:", "[a-1]", "b-2,", "x", "**", "*", "__", ".", "C", "none"]
)


@pytest.mark.parametrize(
    ("text", "kept", "refs"),
    [
        ("Hello.\n\nCited: [a-1], [b-2]", "Hello.", ("a-1", "b-2")),
        ("Hello.\nCited: [a-1] [b-2].\n", "Hello.", ("a-1", "b-2")),
        ("Hello.\n**Cited:** a-1, a-1", "Hello.", ("a-1",)),
        ("Hello.\ncited: none", "Hello.", ()),
        ("Cited: [doc 1#3]", "", ("doc 1#3",)),
        ("Hello.\nCited:\n[a]", "Hello.", ("a",)),
        ("Hello. Cited: [a]", "Hello. Cited: [a]", None),
        ("Hello.\nCited: the paper by Smith", "Hello.\nCited: the paper by Smith", None),
        ("Hello.\nCited: [a]\nand more", "Hello.\nCited: [a]\nand more", None),
        ("", "", None),
    ],
)
def test_the_trailer_is_the_last_line_and_nothing_else(text, kept, refs):
    assert split_citations(text) == (kept, refs)


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(1, 6), min_size=1))
def test_a_stream_shows_the_same_text_however_it_is_cut(text, sizes):
    shown = []
    stream = CitationFilter(shown.append)
    start = turn = 0
    while start < len(text):
        size = sizes[turn % len(sizes)]
        stream.feed(text[start : start + size])
        start, turn = start + size, turn + 1
    stream.close()
    assert "".join(shown) == split_citations(text)[0]


def test_words_come_out_as_soon_as_they_cannot_be_the_trailer():
    shown = []
    stream = CitationFilter(shown.append)
    stream.feed("Citing is good")
    assert "".join(shown) == "Citing is good"
    stream.feed(".\nCit")
    assert "".join(shown) == "Citing is good."
    stream.feed("ies grow")
    assert "".join(shown) == "Citing is good.\nCities grow"


def section(ref, text, kind="chunk"):
    body = Note(text=text) if kind == "playbook" else Chunk(id=ref, text=text)
    return Section(kind=kind, source=kind, body=body, ref=ref)


CONTEXT = Context(
    sections=(
        section("refund-aaaaa", "offer store credit before a refund over 500 euro", "playbook"),
        section("ship-bbbbb", "parcels to Norway take nine working days", "playbook"),
        section("doc-1", "the refund form needs the customer's receipt and signature"),
    )
)


def test_cited_refs_count_only_where_they_are_in_the_window():
    answer = attribute(Answer(message=assistant("Credit first.\nCited: [refund-aaaaa], [made-up]")), CONTEXT)
    assert answer.text == "Credit first."
    assert (answer.cited, answer.attribution) == (("refund-aaaaa",), "cited")


def test_a_model_that_says_it_used_nothing_is_believed():
    answer = attribute(Answer(message=assistant("Parcels to Norway take nine days.\nCited: none")), CONTEXT)
    assert (answer.cited, answer.attribution) == ((), "cited")


def test_without_a_trailer_rare_words_in_common_decide():
    answer = attribute(Answer(message=assistant("It takes nine working days to Norway.")), CONTEXT)
    assert (answer.cited, answer.attribution) == (("ship-bbbbb",), "overlap")
    assert answer.text == "It takes nine working days to Norway."


def test_an_answer_about_something_else_rests_on_nothing():
    assert by_overlap("Bananas are yellow.", CONTEXT.sections) == ()
    assert by_overlap("anything", ()) == ()


def test_thinking_stays_before_the_text_when_the_trailer_goes():
    opaque = Opaque(provider="p", payload={})
    message = Message(role="assistant", parts=(opaque, Text(text="Yes.\nCited: [doc-1]")))
    assert attribute(Answer(message=message), CONTEXT).message.parts == (opaque, Text(text="Yes."))
