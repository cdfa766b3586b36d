"""Text out of tokens: whole characters, no stop text, the same however it is cut."""

from hypothesis import given
from hypothesis import strategies as st

from ctxeng.runtime.texts import Detokenizer
from ctxeng.runtime.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()


def streamed(text, stops=()):
    detokenizer, given_out = Detokenizer(TOKENIZER, stops), []
    for token in TOKENIZER.encode(text):
        released, stopped = detokenizer.push(token)
        given_out.append(released)
        if stopped:
            return given_out
    return [*given_out, detokenizer.rest()]


@given(st.text(max_size=60))
def test_all_text_comes_out_and_no_character_in_halves(text):
    pieces = streamed(text)
    assert "".join(pieces) == text
    assert "\N{REPLACEMENT CHARACTER}" in text or not any("\N{REPLACEMENT CHARACTER}" in p for p in pieces)


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_nothing_of_a_stop_text_is_ever_given_out(text, stops):
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    found = "".join(streamed(text, tuple(stops)))
    if not ends:
        assert found == text
    else:
        first = min(end for end, _ in ends)  # the stop that is whole first ends it
        assert found in {text[:at] for end, at in ends if end == first}


def test_text_is_not_held_back_without_need():
    detokenizer = Detokenizer(TOKENIZER, ("STOP",))
    assert detokenizer.push(ord("a"))[0] == "a"
    assert detokenizer.push(ord("S"))[0] == ""
    assert detokenizer.push(ord("b"))[0] == "Sb"


def test_half_a_character_at_the_end_comes_out_as_what_it_is():
    detokenizer = Detokenizer(TOKENIZER)
    assert detokenizer.push("é".encode()[0])[0] == ""
    assert detokenizer.rest() == "\N{REPLACEMENT CHARACTER}"


class OneToken:
    """Every token is a text of its own."""

    def decode(self, ids):
        return "".join(ids)


@given(st.permutations(["STOP", "END", "AND"]))
def test_of_several_stop_texts_in_one_token_the_first_to_be_whole_ends_it(stops):
    assert Detokenizer(OneToken(), tuple(stops)).push("say no END yes STOP") == ("say no ", True)
    assert Detokenizer(OneToken(), ("B", "AB")).push("AB") == ("", True)
