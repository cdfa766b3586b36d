"""The ranker: each weight does what it says, parts of a request count, ties keep the catalogue's order."""

import numpy as np
import pytest

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.priors import Priors, Used
from ctxeng.tools.rank import Ranked, ToolRanker, split
from ctxeng.turn import Tool

ONLY = {"words": 0.0, "names": 0.0, "meaning": 0.0, "parts": 0.0, "siblings": 0.0}


def catalogue(*tools, encoder=None):
    made = Catalogue(encoder)
    made.add([Tool(name=name, description=about, server=server) for server, name, about in tools])
    return made


TOOLS = [
    ("air", "find_flight", "Flights between two cities."),
    ("air", "cancel", "Cancels a booking."),
    ("met", "weather", "The forecast for a city."),
    ("shop", "order", "Places an order."),
]


def names(ranked, k=10):
    return [name for name, _ in ranked.best(k)]


def test_the_best_tool_has_score_one_and_what_scores_nothing_is_left_out():
    ranked = ToolRanker(siblings=0).scores(catalogue(*TOOLS), "a forecast")
    assert ranked.best(3) == [("weather", pytest.approx(1.0))]
    assert ranked.tools == ("find_flight", "cancel", "weather", "order")


def test_words_are_those_of_everything_and_names_those_of_the_name_alone():
    tools = catalogue(("", "order", "Something else."), ("", "buy", "Places an order, any order."))
    by_name = ToolRanker(**{**ONLY, "names": 1.0}).scores(tools, "order")
    assert by_name.best(5) == [("order", pytest.approx(1.0))]
    by_words = ToolRanker(**{**ONLY, "words": 1.0}).scores(tools, "places")
    assert by_words.best(5) == [("buy", pytest.approx(1.0))]


def test_meaning_is_the_cosine_relative_to_the_best_and_never_below_zero():
    encoder = HashingEmbedder(64)
    tools = catalogue(*TOOLS, encoder=encoder)
    ranked = ToolRanker(**{**ONLY, "meaning": 2.0}).scores(tools, "forecasting")
    found = tools.scores(["forecasting"]).meaning[0]
    np.testing.assert_allclose(ranked.scores, np.maximum(found, 0) / found.max(), atol=1e-6)
    assert names(ranked)[0] == "weather"


def test_without_an_encoder_meaning_says_nothing():
    assert names(ToolRanker(**{**ONLY, "meaning": 1.0}).scores(catalogue(*TOOLS), "forecast")) == []


def test_what_a_part_asks_for_counts_beside_the_whole():
    tools = catalogue(*TOOLS)
    request = "Find me some flights to cities with flights between cities. Please cancel it."
    whole = ToolRanker(parts=0, siblings=0, meaning=0).scores(tools, request)
    parted = ToolRanker(parts=1, siblings=0, meaning=0).scores(tools, request)
    place = tools.scores(["x"]).tools.index("cancel")
    assert parted.scores[place] > whole.scores[place]
    assert split(request) == [
        "Find me some flights to cities with flights between cities.",
        "Please cancel it.",
    ]


def test_parts_that_are_given_stand_in_for_the_requests_sentences():
    tools = catalogue(*TOOLS)
    request = "Find flights between two cities. Thanks a lot then."
    ranked = ToolRanker(siblings=0).scores(tools, request, parts=["places an order"])
    assert "order" in names(ranked)
    assert "order" not in names(ToolRanker(siblings=0).scores(tools, request))


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        ("Book a flight", []),
        ("Book a flight. Thanks!", []),
        ("", []),
        ("Book a flight and also get me the weather", ["Book a flight", "get me the weather"]),
        ("Book a flight; order some food", ["Book a flight;", "order some food"]),
    ],
)
def test_a_request_comes_apart_where_it_asks_for_several_things(request_, parts):
    assert split(request_) == parts


def test_the_best_score_of_a_server_lifts_its_other_tools():
    tools = catalogue(*TOOLS)
    alone = ToolRanker(siblings=0).scores(tools, "find flight")
    lifted = ToolRanker(siblings=1).scores(tools, "find flight")
    assert alone.scores.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert lifted.scores.tolist() == [1.0, 0.5, 0.0, 0.0]


def test_ties_keep_the_catalogues_order():
    tools = catalogue(*((f"s{number}", f"t{number}", "Same words.") for number in range(9)))
    assert names(ToolRanker().scores(tools, "same words"), 4) == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("encoder", [None, HashingEmbedder(16)])
def test_an_empty_catalogue_ranks_nothing(encoder):
    ranked = ToolRanker().scores(Catalogue(encoder), "anything")
    assert ranked.best(5) == []


@pytest.mark.parametrize("encoder", [None, HashingEmbedder(16)])
@pytest.mark.parametrize("request_", ["", "   ", "zzzz qqqq", "the of and", "\ud800", "?" * 5_000])
def test_a_request_that_says_nothing_has_finite_scores(encoder, request_):
    ranked = ToolRanker().scores(catalogue(*TOOLS, encoder=encoder), request_)
    assert np.isfinite(ranked.scores).all()


def test_scores_stay_between_zero_and_one_without_priors():
    ranked = ToolRanker().scores(catalogue(*TOOLS, encoder=HashingEmbedder(64)), "find a flight; order it")
    assert ranked.scores.min() >= 0
    assert ranked.scores.max() == pytest.approx(1.0)


@pytest.mark.parametrize("weight", ["words", "names", "meaning", "parts", "siblings", "priors", "together"])
def test_a_negative_weight_is_refused_by_name(weight):
    with pytest.raises(BadInput, match=weight):
        ToolRanker(**{weight: -0.1})


def test_use_teaches_a_tool_that_the_words_do_not_name():
    tools = catalogue(*TOOLS)
    priors = Priors()
    priors.learn([Used("1", "umbrella or sunglasses today?", ("weather",))])
    before = ToolRanker().scores(tools, "do I take an umbrella?")
    after = ToolRanker().scores(tools, "do I take an umbrella?", priors=priors)
    assert names(before) == []
    assert names(after) == ["weather"]
    assert (
        names(ToolRanker(priors=0, together=0).scores(tools, "do I take an umbrella?", priors=priors)) == []
    )


def test_tools_used_beside_the_called_ones_gain_by_their_share():
    tools = catalogue(*TOOLS)
    priors = Priors(doubt=0)
    priors.learn([Used("1", "x", ("cancel", "order"), "s")])
    ranked = ToolRanker(together=0.3).scores(tools, "nothing of it", priors=priors, called=["cancel"])
    assert dict(ranked.best(5)) == {"cancel": pytest.approx(0.3), "order": pytest.approx(0.3)}


def test_scores_can_be_added_to():
    ranked = Ranked(("a", "b"), np.array([0.0, 1.0], dtype=np.float32))
    assert ranked.plus(np.array([2.0, 0.0], dtype=np.float32)).best(2) == [("a", 2.0), ("b", 1.0)]
