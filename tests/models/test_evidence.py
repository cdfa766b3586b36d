"""The evidence model: it starts from likeness, learns from cases, and depends on nothing else."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from ctxeng.models.evidence import Case, Choice, Evidence, cue, kin
from ctxeng.models.evidence.logit import fit_weights, log_softmax
from ctxeng.models.evidence.ridge import RIDGE, held_out
from ctxeng.models.evidence.text import name_words, read

BINS = 64


def embed(texts):
    """Hashed words, rows of length one."""
    rows = np.zeros((len(texts), BINS), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            row[zlib.crc32(word.encode("utf-8", "replace")) % BINS] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


CHOICES = [Choice(value="InterestRate"), Choice(value="LoanAmount"), Choice(value="NumberOfStores")]


def question(span, sentence):
    return f'Which label fits "{span}" in text: "{sentence}"'


def records(count):
    """Three questions a record, answered by what stands beside the number."""
    cases = []
    for number in range(count):
        rate, amount, stores = f"{number}.5", f"{number},000", str(number + 7)
        text = f"In town {number} we owed $ {amount} at {rate} % and ran {stores} shops"
        for span, means in ((rate, "InterestRate"), (amount, "LoanAmount"), (stores, "NumberOfStores")):
            cases.append(Case(cue(question(span, text)), means, f"record {number}"))
    return cases


def pick(evidence, query):
    return evidence.choices[int(evidence.scores(query).argmax())].value


def test_without_cases_the_choice_most_like_the_question_wins():
    evidence = Evidence.fit([], CHOICES, embed)
    assert pick(evidence, "what interest rate do they charge") == "InterestRate"
    assert pick(evidence, "the loan amount please") == "LoanAmount"
    assert evidence.support("the loan amount please", 1) == []


def test_what_a_choice_is_about_counts_for_it():
    evidence = Evidence.fit(
        [], [Choice(value="alpha"), Choice(value="beta", about="weather forecast for any city")], embed
    )
    assert pick(evidence, "weather forecast for Oslo") == "beta"


def test_scores_are_log_probabilities():
    scores = Evidence.fit(records(5), CHOICES, embed).scores("anything at all")
    assert scores.shape == (3,)
    assert np.exp(scores).sum() == pytest.approx(1)


def test_learning_moves_the_answer():
    query = question("88", "They ran 88 shops and owed $ 3 at 2 %")
    before, after = (Evidence.fit(cases, CHOICES, embed) for cases in ([], records(20)))
    assert after.scores(query)[2] > before.scores(query)[2]
    assert pick(after, query) == "NumberOfStores"
    assert pick(after, question("3", "They ran 88 shops and owed $ 3 at 2 %")) == "LoanAmount"
    assert pick(after, question("2", "They ran 88 shops and owed $ 3 at 2 %")) == "InterestRate"


def test_a_raw_question_and_its_cue_score_alike():
    evidence = Evidence.fit(records(5), CHOICES, embed)
    query = question("88", "They ran 88 shops and owed $ 3 at 2 %")
    assert np.array_equal(evidence.scores(query), evidence.scores(cue(query)))


def test_equal_cases_give_equal_scores_bit_for_bit():
    first, second = (Evidence.fit(records(20), CHOICES, embed) for _ in range(2))
    assert np.array_equal(first.scores("ran 9 shops"), second.scores("ran 9 shops"))


@pytest.mark.parametrize("known", [0, 13, 14, 27])
def test_previous_saves_time_and_changes_nothing(known):
    cases = records(28)
    previous = Evidence.fit(cases[: 3 * known], CHOICES, embed)
    fresh, warm = Evidence.fit(cases, CHOICES, embed), Evidence.fit(cases, CHOICES, embed, previous)
    for query in ("ran 9 shops", question("2", "owed $ 3 at 2 %")):
        assert np.array_equal(fresh.scores(query), warm.scores(query))
        assert fresh.support(query, 1) == warm.support(query, 1)


def test_previous_is_not_trusted_when_cases_choices_or_embedder_differ():
    cases = records(20)
    changed = [replace(case, means="LoanAmount") for case in cases]
    fresh = Evidence.fit(cases, CHOICES, embed).scores("ran 9 shops")
    others = [
        Evidence.fit(changed, CHOICES, embed),
        Evidence.fit(cases, CHOICES[::-1], embed),
        Evidence.fit(cases, CHOICES, lambda texts: np.abs(embed(texts)[:, ::-1])),
    ]
    for previous in others:
        assert np.array_equal(fresh, Evidence.fit(cases, CHOICES, embed, previous).scores("ran 9 shops"))


def test_cases_that_mean_no_choice_on_offer_are_left_out():
    cases = records(6)
    mixed = [Case("we ran 9 shops", "SomethingElse"), *cases]
    plain, with_unknown = Evidence.fit(cases, CHOICES, embed), Evidence.fit(mixed, CHOICES, embed)
    assert np.array_equal(plain.scores("ran 9 shops"), with_unknown.scores("ran 9 shops"))
    expected = [number + 1 for number in plain.support("ran 9 shops", 2)]
    assert with_unknown.support("ran 9 shops", 2) == expected


def test_a_choice_no_case_means_can_still_win():
    evidence = Evidence.fit(records(20), [*CHOICES, Choice(value="EmployeePensionAge")], embed)
    assert pick(evidence, "what is the employee pension age") == "EmployeePensionAge"


def test_support_names_at_most_three_cases_that_mean_the_choice():
    cases = records(10)
    evidence = Evidence.fit(cases, CHOICES, embed)
    support = evidence.support(question("88", "They ran 88 shops and owed $ 3 at 2 %"), 2)
    assert 1 <= len(support) <= 3
    assert {cases[number].means for number in support} == {"NumberOfStores"}


def test_choices_may_change_from_one_call_to_the_next():
    cases = [Case(f"is {number} even", "Yes" if number % 2 == 0 else "No") for number in range(50)]
    first = Evidence.fit(cases, [Choice(value="Yes"), Choice(value="No")], embed)
    second = Evidence.fit(
        cases, [Choice(value="12/25/1937"), Choice(value="01/04/1938"), Choice(value="No")], embed, first
    )
    assert first.scores("is 7 even").shape == (2,)
    assert second.scores("is 7 even").shape == (3,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '""',
        '"" ""',
        "“”",
        "x" * 50_000,
        'who is "né" here: "le né — 数字 \U0001f600 né"',
        '"(" ("',
        "\ud800",
    ],
)
def test_odd_questions_do_not_break_it(text):
    evidence = Evidence.fit(
        [Case(cue(text), "Yes"), Case("plain", "No")], [Choice(value="Yes"), Choice(value="No")], embed
    )
    assert np.isfinite(evidence.scores(text)).all()
    assert cue(cue(text)) == cue(text)


def test_odd_choices_do_not_break_it():
    choices = [
        Choice(value=""),
        Choice(value="++"),
        Choice(value="数字"),
        Choice(value="same"),
        Choice(value="same"),
    ]
    evidence = Evidence.fit([Case("a", "++"), Case("b", "same")], choices, embed)
    assert np.isfinite(evidence.scores("a")).all()


def test_a_single_choice_is_certain():
    assert Evidence.fit([Case("a", "only")], [Choice(value="only")], embed).scores("b").tolist() == [0.0]


def test_no_choice_is_refused():
    with pytest.raises(ValueError, match="at least one choice"):
        Evidence.fit([], [], embed)


def test_a_cue_keeps_the_span_and_what_stands_around_it():
    text = "before " * 100 + "we paid $ 34.6 million in rent " + "after " * 100
    short = cue(question("34.6", text))
    assert '"34.6"' in short
    assert "we paid $ 34.6 million in rent" in short
    assert len(short) < 500
    assert cue(short) == short


def test_a_question_is_read_at_the_quoted_span_that_occurs_again():
    reading = read('Is "this" or "12" right in text: "From 112 to 12 % of it"')
    assert reading.span == "12"
    assert reading.left == "From 112 to "
    assert reading.right.startswith(" % of it")
    assert reading.window(100) == 'From 112 to  _  % of it"'
    assert read("No quotes here").span == ""


def test_names_are_split_into_words():
    assert name_words("HTTPServerError2") == ["http", "server", "error", "2"]
    assert name_words("snake_case name") == ["snake", "case", "name"]
    assert name_words("++") == ["++"]


def test_held_out_votes_equal_those_of_a_fit_without_the_group():
    rng = np.random.default_rng(0)
    points, targets = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    kernel = points @ points.T
    groups = [np.array([0, 1]), np.array([2]), np.array([3, 4, 5, 6, 7, 8])]
    predicted = held_out(kernel, targets, groups)
    for group in groups:
        rest = np.setdiff1d(np.arange(9), group)
        duals = np.linalg.solve(kernel[np.ix_(rest, rest)] + RIDGE * np.eye(len(rest)), targets[rest])
        assert predicted[group] == pytest.approx(kernel[np.ix_(group, rest)] @ duals)


def test_weights_find_the_signal_that_tells():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 4, size=200)
    signals = rng.normal(size=(200, 4, 2))
    signals[np.arange(200), right, 1] += 2
    weights = fit_weights(signals, right, np.zeros(2))
    assert abs(weights[0]) < 0.5 < weights[1]
    assert np.exp(log_softmax(signals @ weights)).sum(axis=1) == pytest.approx(1)


def test_questions_in_a_row_about_one_text_are_kin():
    text = "the loan of 34 million at 5 percent was repaid in May"
    cues = [f'tag for "34": {text}', f'tag for "5": {text}', "a wholly different matter, of ships"]
    first, second, third = kin(cues)
    assert first == second != third
