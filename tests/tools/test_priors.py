"""What use teaches: once a turn, no more than is kept, and forgotten on request."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tools.priors import Priors, Used

ENCODER = HashingEmbedder(64)
TOOLS = ("weather", "order", "flight")
MATRIX = ENCODER.embed(TOOLS)
NONE = np.zeros((3, 0), dtype=np.float32)

RAIN = Used("1", "will it rain in Paris", ("weather",))
BUY = Used("2", "buy me a book", ("order",))


def alike(priors, request, tools=TOOLS):
    if priors.encoder is None:
        return dict(zip(tools, priors.alike(request, None, tools, NONE).tolist(), strict=True))
    asked = priors.encoder.embed([request])[0]
    return dict(zip(tools, priors.alike(request, asked, tools, MATRIX).tolist(), strict=True))


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_a_similar_request_speaks_for_the_tools_that_served_it(encoder):
    priors = Priors(encoder)
    priors.learn([RAIN, BUY])
    found = alike(priors, "rain in Rome?")
    assert found["weather"] > found["order"]
    assert found["weather"] > found["flight"]


def test_without_an_encoder_votes_are_shares_of_two_by_bm25():
    priors = Priors()
    priors.learn([RAIN, Used("3", "will it rain in Paris", ("order",))])
    assert alike(priors, "rain") == {"weather": 1.0, "order": 1.0, "flight": 0.0}
    assert alike(priors, "zebra") == {"weather": 0.0, "order": 0.0, "flight": 0.0}


def test_nearer_requests_weigh_more_by_the_exponential_of_their_cosine():
    priors = Priors(ENCODER, sharpness=3.0)
    priors.learn([RAIN, BUY])
    asked = ENCODER.embed(["rain on my book"])[0]
    near = np.exp(3.0 * (ENCODER.embed([RAIN.request, BUY.request]) @ asked))
    votes = 2 * near / near.sum()
    moved = MATRIX.copy()
    moved[0] += ENCODER.embed([RAIN.request])[0]
    moved[1] += ENCODER.embed([BUY.request])[0]
    cosines = np.maximum(moved @ asked / np.linalg.norm(moved, axis=1), 0)
    expected = np.array([*votes, 0.0]) + cosines / cosines.max()
    found = priors.alike("rain on my book", asked, TOOLS, MATRIX)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_only_the_nearest_are_asked():
    priors = Priors(nearest=1)
    priors.learn([RAIN, Used("2", "rain", ("order",))])
    assert alike(priors, "rain")["weather"] == 0.0
    assert alike(priors, "rain")["order"] == 2.0


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_learning_is_idempotent_by_id(encoder):
    once, twice = Priors(encoder), Priors(encoder)
    once.learn([RAIN, BUY])
    for _ in range(3):
        twice.learn([RAIN])
        twice.learn([BUY, RAIN.__class__("1", "something else", ("flight",))])
    assert twice.used() == once.used() == [RAIN, BUY]
    assert alike(twice, "rain or books") == alike(once, "rain or books")
    assert twice.together(["weather"], TOOLS).tolist() == once.together(["weather"], TOOLS).tolist()


def test_the_first_of_one_id_counts_within_a_batch_too():
    priors = Priors()
    priors.learn([RAIN, Used("1", "something else", ("flight",))])
    assert priors.used() == [RAIN]


def test_what_used_no_tool_teaches_nothing():
    priors = Priors()
    priors.learn([Used("1", "hello", ())])
    assert len(priors) == 0


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_what_is_forgotten_no_longer_speaks(encoder):
    priors, fresh = Priors(encoder), Priors(encoder)
    priors.learn([RAIN, BUY])
    priors.forget(["1", "never there"])
    fresh.learn([BUY])
    assert priors.used() == [BUY]
    found, expected = alike(priors, "rain in Paris, a book"), alike(fresh, "rain in Paris, a book")
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_only_the_newest_are_kept_in_all_that_is_held(encoder):
    priors = Priors(encoder, most=5)
    for number in range(50):
        priors.learn([Used(str(number), f"request {number}", ("order",), f"s{number}")])
    assert [one.id for one in priors.used()] == ["45", "46", "47", "48", "49"]
    assert len(priors._words) == 5
    assert len(priors._vectors) == (0 if encoder is None else 5)
    assert len(priors._sessions) <= 5


def test_requests_without_a_session_leave_nothing_behind_for_one():
    priors = Priors()
    priors.learn([RAIN, BUY])
    assert len(priors._sessions) == 0


def test_a_batch_larger_than_what_is_kept_leaves_its_newest():
    priors = Priors(ENCODER, most=2)
    priors.learn([Used(str(number), "r", ("order",)) for number in range(5)])
    assert [one.id for one in priors.used()] == ["3", "4"]


# -- together -----------------------------------------------------------------------------------------------


def test_shares_of_sessions_are_those_counted_by_hand():
    priors = Priors(doubt=2.0)
    priors.learn(
        [
            Used("1", "a", ("flight",), "s1"),
            Used("2", "b", ("weather", "flight"), "s1"),  # s1: flight and weather
            Used("3", "c", ("flight", "order"), "s2"),  # s2: flight and order
            Used("4", "d", ("flight",)),  # a session of its own
            Used("5", "e", ("flight",), "s1"),  # counted in s1 already
        ]
    )
    # flight in 3 sessions: with weather in 1, with order in 1, and 2 sessions of doubt
    assert priors.together(["flight"], TOOLS).tolist() == pytest.approx([1 / 5, 1 / 5, 3 / 5])
    # weather in 1 session, with flight in 1
    assert priors.together(["weather"], TOOLS).tolist() == pytest.approx([1 / 3, 0.0, 1 / 3])
    # the highest share of the two counts
    assert priors.together(["flight", "weather"], TOOLS).tolist() == pytest.approx([1 / 3, 1 / 5, 3 / 5])
    assert priors.together(["unheard of"], TOOLS).tolist() == [0.0, 0.0, 0.0]
    assert priors.together([], TOOLS).tolist() == [0.0, 0.0, 0.0]


# -- bounds, threads ----------------------------------------------------------------------------------------

requests = st.lists(
    st.tuples(st.text(max_size=12), st.lists(st.sampled_from([*TOOLS, "gone"]), min_size=1, max_size=5)),
    max_size=8,
)


@pytest.mark.parametrize("encoder", [None, ENCODER])
@settings(max_examples=80, deadline=None)
@given(given_=requests, asked=st.text(max_size=12))
def test_what_priors_say_is_between_zero_and_three(encoder, given_, asked):
    priors = Priors(encoder)
    priors.learn([Used(str(n), text, tuple(tools)) for n, (text, tools) in enumerate(given_)])
    found = np.array(list(alike(priors, asked).values()))
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 3 + 1e-5
    shares = priors.together(TOOLS, TOOLS)
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_several_threads_learn_and_ask_at_once():
    priors, faults = Priors(ENCODER, most=20), []

    def work(name):
        try:
            for number in range(40):
                priors.learn([Used(f"{name}{number}", f"request {number}", ("order",), name)])
                alike(priors, "request")
                priors.together(["order"], TOOLS)
                priors.forget([f"{name}{number - 3}"])
        except BaseException as error:  # noqa: BLE001 - a thread's failure has to reach the test
            faults.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(priors) <= 20
