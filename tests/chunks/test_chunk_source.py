from ctxeng.chunks.rank.rankers import BridgingRanker
from ctxeng.chunks.selector import ChunkSelector
from ctxeng.chunks.source import ChunkSource
from ctxeng.protocols import Allowance
from ctxeng.render import price
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk, Request, user

COUNTER = Estimate()


class Shelf:
    """A corpus of two passages, whatever is asked."""

    def __init__(self):
        self.passages = [
            Chunk(id="s1", text="Refunds take ten days. They are free.", title="Refunds", source="s"),
            Chunk(id="a", text="the request has this one", title="Other", source="s"),
        ]

    def __len__(self):
        return len(self.passages)

    def near(self, query):
        return self.passages


def allowance(tokens):
    return Allowance(tokens, lambda section: price(section, COUNTER))


def ask(*chunks):
    return Request(query=user("How long do refunds take?"), chunks=chunks)


def source(corpus=None):
    return ChunkSource(ChunkSelector(ranker=BridgingRanker()), corpus)


GIVEN = Chunk(
    id="a", text="Nothing about it. Refunds are slow. Bye.", title="Notes", source="n", trust="user"
)


def test_it_is_quiet_without_chunks_and_without_documents():
    assert source().quiet(ask())
    assert not source().quiet(ask(GIVEN))
    assert not source(Shelf()).quiet(ask())
    empty = Shelf()
    empty.passages = []
    assert source(empty).quiet(ask())


def test_chunks_that_fit_are_shown_as_they_came():
    sections = source().gather(ask(GIVEN), allowance(500))
    assert [section.body for section in sections] == [GIVEN]
    assert sections[0].tokens == price(sections[0], COUNTER)


def test_what_does_not_fit_is_chosen_by_sentence_and_keeps_its_trust():
    long = GIVEN.model_copy(update={"text": GIVEN.text + " " + "Filler words stand here. " * 40})
    sections = source().gather(ask(long), allowance(60))
    assert sum(section.tokens for section in sections) <= 60
    assert any("Refunds are slow." in section.body.text for section in sections)
    assert {section.trust for section in sections} == {"user"}


def test_documents_come_behind_the_request_s_chunks_and_none_comes_twice():
    found = source(Shelf()).candidates(ask(GIVEN))
    assert [chunk.id for chunk in found] == ["a", "s1"]
    sections = source(Shelf()).gather(ask(GIVEN), allowance(400))
    assert any("ten days" in section.body.text for section in sections)


def test_nothing_fits_in_no_tokens():
    assert source(Shelf()).gather(ask(GIVEN), allowance(0)) == []
