"""What an edit says of its author, by rule: each trait, what is no preference, and how clauses are folded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.playbook.learners.preference_clauses import Preference, contradicts, heard, quoted, united
from ctxeng.playbook.learners.preference_traits import wishes

LONG = (
    "We tested the lamp on Monday and it held. The report names nine points that are still open. "
    "Delays are not expected before the spring. The warehouse holds forty boxes of the blue ones."
)


@pytest.mark.parametrize(
    ("draft", "edit", "clause"),
    [
        ("One. Two.", "- One.\n- Two.", "bullet points"),
        ("One. Two.", "1. One.\n2. Two.", "a numbered list"),
        ("* One.\n* Two.", "One. Two.", "prose without a list"),
        (LONG, "We tested the lamp on Monday and it held.", "about 10 words"),
        (
            "The lamp is fine, as tests of it show.",
            "Tests on Monday show that all of it is as it should be, lamp, plug and cable alike.",
            "about 20 words",
        ),
        ("All is well.", "Hi Tom,\nAll is well.", "a greeting like “Hi”"),
        ("Hello Tom,\nAll is well.", "Dear Tom,\nAll is well.", "a greeting like “Dear”"),
        ("Good morning!\nAll is well.", "All is well.", "no greeting"),
        ("All is well.", "All is well.\nKind regards,\nAna", "the closing “Kind regards, Ana”"),
        ("All is well.\nBest,\nThe Team", "All is well.\nAna", "the closing “Ana”"),
        ("All is well.\nCheers,\nTom", "All is well.", "no closing"),
        ("Done! It works!", "Done. It works.", "no exclamation marks"),
        ("Done. It works.", "Done! It works.", "exclamation marks"),
        ("Done \U0001f389", "Done", "no emoji"),
        ("Done", "Done \U0001f389", "emoji"),
        ("It's done, I don't wait.", "It is done, I do not wait.", "no contractions"),
        ("It is done, I do not wait.", "It\u2019s done, I don\u2019t wait.", "contractions"),
        ("I tested my lamp.", "We tested our lamp.", "“we”, not “I”"),
        ("We tested our lamp.", "I tested my lamp.", "“I”, not “we”"),
        ("We tested it and we found none.", "Tests were run and found none.", "no first person"),
        ("Customers get their refund.", "You get your refund.", "the reader addressed as “you”"),
        ("You get your refund.", "Customers get their refund.", "the reader not addressed"),
        ("The lamp is ready.", "the lamp is ready.", "all lower case"),
        ("the lamp is ready.", "The lamp is ready.", "the usual capitals"),
        ("# State\nAll is well.", "All is well.", "no headings"),
        ("All is well.", "# State\nAll is well.", "headings"),
        ("Run:\nls", "Run:\n```\nls\n```", "code fences"),
        ("To utilize it, utilize a key.", "To use it, use a key.", "“use” instead of “utilize”"),
        ("It is very big and very old.", "It is big and old.", "without the word “very”"),
    ],
)
def test_each_trait_is_seen_alone(draft, edit, clause):
    assert wishes(draft, edit) == (clause,)


@pytest.mark.parametrize(
    ("draft", "edit"),
    [
        (
            LONG,
            f"{LONG} The supplier in Oslo was told on 3 May. Nine more boxes come by rail and two by sea.",
        ),
        (LONG, LONG.replace("forty", "fifty").replace("Monday", "Tuesday")),
        (LONG, ""),
        ("", LONG),
        ("Hello Tom,\nAll is well.", "Hello Ann,\nAll is well."),
        ("Great! It works. Fine.", "Great! It works. Good."),
        ("I don't know. The lamp is on.", "The lamp is on."),
    ],
    ids=["added", "corrected", "emptied", "nothing there", "another name", "one word", "a sentence struck"],
)
def test_what_concerns_facts_is_no_preference(draft, edit):
    assert wishes(draft, edit) == ()


def test_an_exchange_of_words_counts_from_once_where_other_edits_made_it():
    assert wishes("Utilise a key.", "Use a key.", [("utilise", "use")]) == ()  # upper case: may be a name
    assert wishes("You may utilise it.", "You may use it.", [("utilise", "use")]) == (
        "“use” instead of “utilise”",
    )


TEXT = st.text(alphabet="Hi, dear!\nBest#`-*1.\u2019'“”;xXÄé🎉\u2028\x00", max_size=60)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT)
def test_any_edit_gives_clauses_that_read_back_as_written(draft, edit):
    clauses = wishes(draft, edit)
    assert heard(Preference(clauses).text) == Preference(clauses)
    assert wishes(draft, draft) == ()


@given(st.text())
def test_quoted_words_cannot_close_their_clause(text):
    found = quoted(text)
    assert not set(found) & set(';“”"\n\r\u2028')
    assert len(found) <= 60


CLAUSE = st.sampled_from(
    [
        "bullet points",
        "prose without a list",
        "about 40 words",
        "about 90 words",
        "no emoji",
        "emoji",
        "“use” instead of “utilize”",
        "“utilize” instead of “use”",
        "without the word “use”",
        "what a person wrote",
    ]
)


@given(st.lists(CLAUSE), st.lists(CLAUSE))
def test_folding_keeps_what_is_newer_once_and_is_idempotent(older, newer):
    held = united((), older)
    found = united(held, newer)
    assert len(set(found)) == len(found)
    assert not any(contradicts(one, two) for one in found for two in found)
    assert not newer or newer[-1] in found
    assert united(found, found) == found


def test_a_newer_clause_takes_the_place_of_the_one_it_contradicts():
    old = heard("The user wants bullet points; about 40 words.")
    new = Preference(("prose without a list",))
    assert old.then(new).text == "The user wants prose without a list; about 40 words."


def test_what_a_person_wrote_stays_beside_the_clauses():
    old = heard("Never mention prices.")
    assert old.then(Preference(("no emoji",))).text == "Never mention prices. The user wants no emoji."
