import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.explain import explain
from ctxeng.chunks.rank.rankers import BridgingRanker, HybridRanker
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selector import ChunkSelector, joined, narrowed
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.mcts import Mcts
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk

FILM = Chunk(
    id="film",
    text="Big Stone Gap is a film. It was directed by Adriana Trigiani. It rained.",
    title="Big Stone Gap",
    source="film",
    end=72,
)
PERSON = Chunk(
    id="person",
    text="She is based in Greenwich Village. She likes tea.",
    title="Adriana Trigiani",
    source="p",
    end=49,
)
OTHER = [
    Chunk(
        id=f"o{n}",
        text=f"Stone number {n} is a big stone. It is grey.",
        title=f"Rock {n}",
        source=f"o{n}",
        end=40,
    )
    for n in range(8)
]
QUERY = "Where is the director of Big Stone Gap based?"
SELECTOR = ChunkSelector(ranker=BridgingRanker())


def words(chunk):
    return len(chunk.title.split()) + len(chunk.text.split())


def test_sentences_of_one_paragraph_are_shown_together_with_what_was_left_out_marked():
    first = Chunk(id="a~s0", text="One.", start=0, end=4)
    third = Chunk(id="a~s2", text="Three.", start=10, end=16)
    both = joined([first, third])
    assert both.text == "One. … Three."
    assert both.parts == ("a~s0", "a~s2")
    assert (both.start, both.end, both.id) == (0, 16, "a")
    neighbour = joined([first, Chunk(id="a~s1", text="Two.", start=5, end=9)])
    assert neighbour.text == "One. Two."
    alone = joined([first])
    assert (alone.id, alone.parts, alone.text) == ("a", ("a~s0",), "One.")
    whole = Chunk(id="a~b", text="x")
    assert joined([whole]) is whole


def test_a_named_paragraph_is_reached_though_it_shares_no_word_with_the_question():
    shown = SELECTOR.select(QUERY, [*OTHER, PERSON, FILM], 60, Estimate())
    assert any("Greenwich Village" in chunk.text for chunk in shown)


def test_it_is_never_over_the_tokens_as_they_are_counted_in_the_end():
    counter = Estimate()
    for tokens in range(0, 200, 7):
        shown = SELECTOR.select(QUERY, [FILM, PERSON, *OTHER], tokens, counter)
        assert sum(counter.count(f"{chunk.title}\n{chunk.text}\n") for chunk in shown) <= tokens


@settings(max_examples=60, deadline=None)
@given(
    chunks=st.lists(
        st.builds(
            Chunk,
            id=st.uuids().map(str),
            text=st.text(max_size=60),
            title=st.sampled_from(["", "Ada Lovelace", "Paris"]),
            source=st.sampled_from(["", "a", "b"]),
        ),
        max_size=12,
    ),
    query=st.text(max_size=30),
    tokens=st.integers(0, 80),
    selector=st.sampled_from([SELECTOR.selector, Greedy(Coverage()), Mcts(Coverage())]),
)
def test_any_input_gives_a_selection_within_the_tokens_and_twice_the_same(chunks, query, tokens, selector):
    chooser = ChunkSelector(ranker=HybridRanker(), selector=selector)
    choice = chooser.choose(query, chunks, tokens, words)
    assert sum(words(chunk) for chunk in choice.shown) <= tokens
    assert chooser.choose(query, chunks, tokens, words).arranged == choice.arranged
    assert sorted(choice.arranged) == sorted(choice.selection.chosen)


def test_a_narrowed_pool_keeps_what_belongs_to_its_chunks():
    pool = SELECTOR.pool(QUERY, [FILM, PERSON, *OTHER], words)
    small = narrowed(pool, [3, 0])
    assert [chunk.id for chunk in small.chunks] == [pool.chunks[3].id, pool.chunks[0].id]
    assert small.price([0, 1]) == pool.price([3, 0])
    assert np.allclose(small.links, pool.links[np.ix_([3, 0], [3, 0])])
    assert small.details["bm25"].tolist() == pool.details["bm25"][[3, 0]].tolist()


def test_what_is_hardly_relevant_is_left_out_even_where_there_is_room():
    chooser = ChunkSelector(ranker=BridgingRanker(), least=0.5)
    choice = chooser.choose(QUERY, [FILM, PERSON, *OTHER], 10_000, words)
    assert 0 < len(choice.arranged) < 22
    assert (choice.pool.relevance >= 0.5).all()


def test_an_explanation_adds_up_and_says_why_pieces_were_left():
    chooser = ChunkSelector(ranker=BridgingRanker(), selector=Greedy(Coverage()))
    choice = chooser.choose(QUERY, [FILM, PERSON, *OTHER], 24, words)
    found = explain(choice, 24, Coverage())
    taken = [reason for reason in found.reasons if reason.taken]
    assert sum(reason.cost for reason in taken) == found.spent <= 24
    assert np.isclose(sum(reason.gain for reason in taken), found.reward)
    assert np.isclose(found.reward, choice.selection.reward)
    left = [reason for reason in found.reasons if not reason.taken]
    assert {reason.ref for reason in [*taken, *left]} == {chunk.id for chunk in choice.pool.chunks}
    assert any(reason.why.startswith("does not fit") for reason in left)
    assert all(reason.why == "taken" for reason in taken)


def test_an_explanation_names_the_piece_that_led_to_another():
    choice = ChunkSelector(ranker=BridgingRanker()).choose(QUERY, [FILM, PERSON], 10_000, words)
    reasons = {reason.ref: reason for reason in explain(choice, 10_000).reasons}
    assert reasons["person~s0"].linked_from == "film~s1"
