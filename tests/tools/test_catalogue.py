"""The catalogue: names that stay, scores that are those of a fresh one, whole servers, several threads."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.words import full_text, name_text
from ctxeng.turn import Tool

CHOICES = {"enum": ["up", 2]}
QUESTIONS = ["find a flight", "refund an order", "weather"]


def tool(name, description="", server="", **parameters):
    return Tool(
        name=name,
        description=description,
        server=server,
        parameters={"type": "object", "properties": parameters},
    )


# -- what is said of a tool -------------------------------------------------------------------------------


def test_a_tool_is_found_by_its_server_and_the_names_descriptions_and_choices_of_its_parameters():
    inner = {"type": "object", "properties": {"postcode": {"description": "five digits"}}}
    rows = {"type": "array", "items": {"properties": {"isbn": {}}}}
    given = tool(
        "get_books", "Lists books.", "city/library", where=inner, rows=rows, sort={"enum": ["up", 2]}
    )
    assert name_text(given) == "city library get_books"
    assert full_text(given) == (
        "city library get_books: Lists books. (where postcode five digits rows isbn sort up 2)"
    )


@pytest.mark.parametrize(
    "parameters", [{}, {"properties": []}, {"properties": {"a": True}}, {"properties": {"a": {"enum": 3}}}]
)
def test_a_schema_of_an_odd_form_is_read_as_far_as_it_goes(parameters):
    assert full_text(Tool(name="x", parameters=parameters)).startswith("x: ")


def test_parameters_without_end_are_read_to_a_limit():
    endless = tool("x", **{f"p{number}": {"description": "word " * 50} for number in range(100)})
    assert len(full_text(endless)) < 2_100


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [("get weather!", "get_weather"), ("a" * 80, "a" * 64), ("天気", "tool"), ("ok-1_b", "ok-1_b")],
)
def test_names_are_made_fit_for_providers_and_the_servers_own_is_kept(given, shown):
    catalogue = Catalogue()
    assert catalogue.add([tool(given, server="s")]) == (shown,)
    assert catalogue[shown].name == shown
    assert catalogue.own_name(shown) == given


def test_a_name_that_is_taken_is_prefixed_by_its_server_and_numbered_where_that_is_taken_too():
    catalogue = Catalogue()
    assert catalogue.add([tool("search", server="github"), tool("search", server="slack")]) == (
        "search",
        "slack__search",
    )
    assert catalogue.add([tool("slack__search", server="evil")]) == ("evil__slack__search",)
    assert catalogue.add([tool("search!", server="slack")]) == ("slack__search__2",)
    assert catalogue["search"].server == "github"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "b" * 70]), st.text(min_size=1).filter(str.strip))))
def test_every_name_is_fit_and_of_one_tool_only(given):
    catalogue = Catalogue()
    for server, name in given:
        catalogue.add([tool(name, server=server)])
    names = [each.name for each in catalogue]
    assert len(names) == len(set(given))
    for name in names:
        assert 1 <= len(name) <= 64
        assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name)


def test_a_name_given_once_is_never_another_servers_also_while_its_own_is_away():
    catalogue = Catalogue()
    catalogue.add([tool("search", server="github")])
    catalogue.remove_server("github")
    assert catalogue.add([tool("search", server="evil")]) == ("evil__search",)
    assert catalogue.add([tool("search", server="github")]) == ("search",)


@pytest.mark.parametrize("name", ["search_tools", "remove_tools", "call_tool"])
def test_no_server_can_have_the_name_of_a_managing_tool(name):
    assert Catalogue().add([tool(name, server="evil")]) == (f"evil__{name}",)
    assert Catalogue().add([tool(name)]) == (f"{name}__2",)


def test_names_that_the_app_keeps_to_itself_are_given_to_no_server():
    assert Catalogue(reserved=frozenset({"pay"})).add([tool("pay", server="evil")]) == ("evil__pay",)


# -- coming and going ---------------------------------------------------------------------------------------


def test_what_a_server_has_already_is_replaced_in_its_place():
    catalogue = Catalogue()
    catalogue.add([tool("a", "old"), tool("b")])
    catalogue.add([tool("a", "new")])
    assert [(each.name, each.description) for each in catalogue] == [("a", "new"), ("b", "")]


def test_tools_keep_their_names_and_places_when_a_server_is_put_again():
    catalogue = Catalogue()
    catalogue.put_server("github", [tool("search"), tool("gone"), tool("issue")])
    catalogue.put_server("slack", [tool("search"), tool("post")])
    catalogue.put_server("github", [tool("new"), tool("issue", "changed"), tool("search")])
    catalogue.put_server("slack", [tool("search")])
    assert [each.name for each in catalogue] == ["search", "issue", "slack__search", "new"]
    assert catalogue["issue"].description == "changed"
    assert catalogue.servers() == {"github": ("search", "issue", "new"), "slack": ("slack__search",)}


def test_putting_a_server_that_has_not_changed_changes_nothing():
    catalogue = Catalogue()
    catalogue.put_server("s", [tool("a b", "x"), tool("c")])
    before = catalogue.version
    catalogue.put_server("s", [tool("a b", "x"), tool("c")])
    assert catalogue.version == before
    catalogue.put_server("s", [tool("a b", "y"), tool("c")])
    assert catalogue.version > before


def test_one_tool_or_a_whole_server_can_go():
    catalogue = Catalogue()
    catalogue.add([tool("a", server="s"), tool("b", server="s"), tool("c", server="t")])
    catalogue.remove(["a"])
    assert "a" not in catalogue
    catalogue.remove_server("s")
    assert [each.name for each in catalogue] == ["c"]
    assert catalogue.scores(["c"]).tools == ("c",)


def test_what_is_not_there_is_an_error_by_name_and_nothing_is_removed():
    catalogue = Catalogue()
    catalogue.add([tool("a")])
    for attempt in (
        lambda: catalogue.remove(["a", "b"]),
        lambda: catalogue.remove_server("b"),
        lambda: catalogue["b"],
        lambda: catalogue.own_name("b"),
    ):
        with pytest.raises(UnknownName, match="'b'"):
            attempt()
    assert len(catalogue) == 1


def test_a_tool_without_a_name_is_refused_and_none_of_its_batch_is_taken():
    catalogue = Catalogue(HashingEmbedder())
    catalogue.put_server("s", [tool("kept")])
    with pytest.raises(BadInput, match="'s' has no name"):
        catalogue.put_server("s", [tool("a"), tool(" ")])
    assert catalogue.scores(["a"]).tools == ("kept",)


def test_text_that_is_no_valid_unicode_is_mended_everywhere_in_a_tool():
    catalogue = Catalogue(HashingEmbedder())
    catalogue.add([tool("a\ud800", "half \ud800", **{"p\ud800": {"description": "\udfff"}})])
    (taken,) = catalogue
    assert "\\ud800" not in taken.model_dump_json()
    assert taken.description == "half ?"
    assert list(taken.parameters["properties"]) == ["p?"]
    assert catalogue.own_name("a") == "a\ud800"
    assert catalogue.scores(["half"]).words.shape == (1, 1)


# -- scores -------------------------------------------------------------------------------------------------

POOL = [
    tool(f"{verb}_{thing}", f"{verb} a {thing} {extra}", server)
    for server in ("s", "t")
    for verb, thing, extra in [
        ("find", "flight", "by city"),
        ("refund", "order", "that was paid"),
        ("get", "weather", "for a city"),
        ("find", "order", "by number, and its flight"),
    ]
]
moves = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "put"]), st.sets(st.integers(0, len(POOL) - 1))), max_size=12
)


@pytest.mark.parametrize("encoder", [None, HashingEmbedder(64)])
@settings(max_examples=60, deadline=None)
@given(moves=moves)
def test_scores_are_those_of_a_fresh_catalogue_whatever_came_and_went(encoder, moves):
    catalogue = Catalogue(encoder)
    for move, places in moves:
        chosen = [POOL[place] for place in sorted(places)]
        if move == "add":
            catalogue.add(chosen)
        elif move == "put":
            catalogue.put_server("s", [each for each in chosen if each.server == "s"])
        else:
            here = [each.name for each in catalogue]
            catalogue.remove([name for place, name in enumerate(here) if place in places])
        catalogue.scores(QUESTIONS)  # what is remembered for this version must not outlive it
    fresh = Catalogue(encoder)
    assert fresh.add(list(catalogue)) == tuple(each.name for each in catalogue)
    found, expected = catalogue.scores(QUESTIONS), fresh.scores(QUESTIONS)
    assert found.tools == expected.tools
    assert found.servers.tolist() == expected.servers.tolist()
    for one, other in ((found.words, expected.words), (found.names, expected.names)):
        assert one.shape == (3, len(catalogue))
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(found.meaning, expected.meaning, atol=1e-6)
    np.testing.assert_array_equal(found.matrix, expected.matrix)


@pytest.mark.parametrize("encoder", [None, HashingEmbedder(64)])
def test_an_empty_catalogue_has_empty_scores_also_after_its_last_tool_went(encoder):
    catalogue = Catalogue(encoder)
    for _ in range(2):
        assert catalogue.scores(QUESTIONS).words.shape == (3, 0)
        assert catalogue.scores(QUESTIONS).meaning.shape == (3, 0)
        catalogue.add(POOL)
        catalogue.remove([each.name for each in catalogue])


class Counting(HashingEmbedder):
    """Counts the texts it encodes."""

    def embed(self, texts):
        SEEN.extend(texts)
        return super().embed(texts)


SEEN = []


def test_a_tools_vector_is_made_once_and_anew_when_its_text_changes():
    SEEN.clear()
    catalogue = Catalogue(Counting(16))
    catalogue.add(POOL)
    assert SEEN == []
    catalogue.scores(["q"])
    assert len(SEEN) == len(set(SEEN)) > len(POOL)
    SEEN.clear()
    catalogue.add([POOL[0].model_copy(update={"description": "other"})])
    catalogue.scores(["q"])
    assert SEEN[0] == "q"
    assert len(SEEN) > 1
    assert all("other" in text for text in SEEN[1:])


def test_tools_come_and_go_while_other_threads_ask_for_scores():
    catalogue = Catalogue(HashingEmbedder(16))
    catalogue.add(POOL)
    faults, done = [], threading.Event()

    def ask():
        try:
            while not done.is_set():
                found = catalogue.scores(QUESTIONS)
                size = len(found.tools)
                assert found.words.shape == found.names.shape == found.meaning.shape == (3, size)
                assert found.matrix.shape == (size, 16) or size == 0
                assert sum(map(len, catalogue.servers().values())) in range(len(POOL) + 61)
        except BaseException as error:  # noqa: BLE001 - a thread's failure has to reach the test
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(60):
        catalogue.put_server("u", [tool(f"n{n}", "find more") for n in range(number)])
        catalogue.remove_server("t") if number % 2 else catalogue.add(POOL)
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
