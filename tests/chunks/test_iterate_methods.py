import json
import threading

import pytest

from ctxeng.chunks.iterate.agentic_lu import AgenticLu
from ctxeng.chunks.iterate.base import within
from ctxeng.chunks.iterate.clarify import Pair
from ctxeng.chunks.iterate.decompose import Decompose
from ctxeng.chunks.iterate.ext_agents import ExtAgents
from ctxeng.chunks.iterate.iterdrag import IterDrag
from ctxeng.chunks.iterate.parts import RESTATED, extract, partition
from ctxeng.errors import BadInput
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.turn import Chunk, Request, user
from reading_model import reader, replied

QUESTION = "Where was the director of the film Blue Harbour born?"
FILM = Chunk(id="film", title="Blue Harbour", text="Blue Harbour is a film. It was made slowly.\nBlue "
             "Harbour was directed by Ida Marsh.", source="films.txt")  # fmt: skip
LIFE = Chunk(
    id="life", title="A painter", text="Ida Marsh was born in Kelso. She painted.", source="lives.txt"
)
NOISE = tuple(
    Chunk(
        id=f"n{n}", title=f"Film {n}", text=f"The film number {n}, a harbour story, won the prize {n}. " * 20
    )
    for n in range(120)
)


def first_words(question, k):
    """A search that needs the right words: only a question that names Ida Marsh finds where she was born."""
    if "Ida Marsh" in question:
        return [LIFE, *NOISE[: k - 1]]
    return [NOISE[0], FILM, *NOISE[1 : k - 1]][:k]


def prepared(step, model=None, chunks=()):
    return step.prepare(Request(query=user(QUESTION), chunks=chunks), RoleModels(model or reader()))


def test_decomposition_interleaves_what_each_sub_query_finds():
    found = {QUESTION: "ab", "one": "bcd", "two": "e"}

    def search(question, k):
        return [Chunk(id=each, text=each) for each in found[question][:k]]

    model = ScriptedModel(['{"queries": ["one", " two ", "one", "", "three"]}'])
    request, usage = prepared(Decompose(search, queries=2), model)
    assert [chunk.id for chunk in request.chunks] == ["a", "b", "e", "c", "d"]
    assert usage.calls == 1


def test_iterdrag_asks_for_what_an_answer_led_to_and_stops_when_it_has_enough():
    traces = []
    request, usage = prepared(IterDrag(first_words, k=3, on_trace=traces.append))
    assert LIFE not in first_words(QUESTION, 3)
    assert [c.id for c in request.chunks] == ["n0", "film", "n1", "life"]
    assert [each.question for each in traces[0].asked] == [QUESTION, "Where was Ida Marsh born?"]
    assert traces[0].asked[1].answer == "Kelso"
    assert (traces[0].stopped, usage.calls, traces[0].usage) == ("enough", 2, usage)


def test_iterdrag_ends_after_its_rounds_and_when_it_repeats_itself():
    for replies, stopped, asked in (
        (["a", "b", "c"], "rounds", 3),
        (["a", "A "], "repeated", 2),
        (["a", ""], "enough", 2),
    ):
        traces = []
        model = ScriptedModel([json.dumps({"next": each}) for each in replies])
        prepared(IterDrag(first_words, rounds=2, on_trace=traces.append), model)
        assert (traces[0].stopped, len(traces[0].asked)) == (stopped, asked)


def test_iterdrag_shows_the_newest_documents_where_not_all_fit_and_examples_as_they_are():
    model = reader(window=1_700)
    request, _ = prepared(IterDrag(first_words, k=4, rounds=2, shots=("Example: one",), reply=200), model)
    texts = [context.sections[0].body.text for context in model.seen]
    assert "Example: one" in texts[0]
    assert NOISE[2].text not in texts[0]  # did not fit, and the call was made with the others
    assert LIFE.text in texts[1]
    assert texts[1].index(LIFE.text) < texts[1].index('"id": 2')
    assert LIFE in request.chunks


def test_agentic_lu_puts_the_best_path_first_and_tells_what_finding_it_took():
    traces = []
    request, usage = prepared(AgenticLu(first_words, k=4, on_trace=traces.append))
    trace = traces[0]
    assert [c.id for c in request.chunks] == ["film", "life", "n0", "n1", "n2"]
    assert [move.question for move in trace.path] == [
        "Who directed Blue Harbour?",
        "Where was Ida Marsh born?",
    ]
    assert (trace.rating, trace.stopped) == (0.95, "enough")
    assert trace.recall({"film", "life"})[0] == 0.5
    assert trace.recall({"film", "life"})[-1] == 1.0
    assert len(trace.evidence) == usage.calls
    pairs = [Pair.model_validate_json(line) for line in trace.pairs_jsonl().splitlines()]
    assert pairs == list(trace.pairs)
    assert all(pair.chosen == trace.path[: len(pair.chosen)] != pair.rejected for pair in pairs)
    assert {len(pair.chosen) for pair in pairs} == {1, 2}


def test_agentic_lu_keeps_to_its_depth_branching_and_nodes():
    def endless(context, ask):
        said = [{"question": f"{len(model.seen)}-{n}?", "ids": [n + 1, 77], "rating": 0.5} for n in range(9)]
        return json.dumps({"clarifications": said})

    model = ScriptedModel(endless)
    traces = []
    _, usage = prepared(AgenticLu(within(NOISE), branching=2, nodes=20, on_trace=traces.append), model)
    assert usage.calls == 1 + 2 + 4  # depth 3: the third level is not extended
    assert traces[0].unknown == 14
    model.seen.clear()
    assert prepared(AgenticLu(within(NOISE), nodes=3), model)[1].calls == 3
    with pytest.raises(BadInput, match="at most 3"):
        AgenticLu(depth=4)


def far_apart(window):
    """The two facts in an input of more than ten windows, three quarters of it between them."""
    chunks = (*NOISE[:15], FILM, *NOISE[15:105], LIFE, *NOISE[105:])
    price = ScriptedModel((), window=window).counter.count("".join(chunk.text for chunk in chunks))
    assert price >= 10 * window
    return chunks


def test_ext_agents_answers_from_two_parts_of_an_input_of_ten_windows():
    model, traces = reader(window=2_400), []
    step = ExtAgents(reply=300, on_trace=traces.append)
    chunks = far_apart(model.window)
    request, usage = prepared(step, model, chunks)
    trace, facts = traces[0], request.chunks[:2]
    assert [c.text for c in facts] == [
        "Blue Harbour was directed by Ida Marsh.",
        "Ida Marsh was born in Kelso.",
    ]
    assert [(c.source, c.parts, c.trust) for c in facts] == [
        ("films.txt", ("film",), "untrusted"),
        ("lives.txt", ("life",), "untrusted"),
    ]
    assert FILM.text[facts[0].start : facts[0].end] == facts[0].text
    assert request.chunks[2:] == chunks
    assert trace.stopped == "enough"
    assert trace.read == (trace.parts, trace.parts)  # the second fact is known as one in the second round
    assert trace.prefixes == (1, 1, 2)
    assert usage.calls == 2 * trace.parts + 3
    assert all(model.price_context(context) <= model.window for context in model.seen)


def test_calls_of_a_round_run_at_once_and_the_order_of_ending_changes_nothing():
    chunks = (*NOISE[:4], FILM)  # four parts: the film stands with the last
    barrier = threading.Barrier(4, timeout=20)

    def together(context, ask):
        if "<known>" in context.sections[0].body.text:
            barrier.wait()
        return replied(context, ask)

    found = [
        prepared(ExtAgents(part_tokens=500, rounds=1), ScriptedModel(together), chunks)[0] for _ in range(3)
    ]
    assert barrier.broken is False
    assert found[0].chunks[0].parts == ("film",)
    assert found[0] == found[1] == found[2]


def test_ext_agents_stops_at_the_first_prefix_that_suffices():
    def reply(context, ask):
        text = context.sections[0].body.text
        if "<known>" in text:
            return json.dumps(
                {"extracts": [{"id": 1, "text": f"{n} is so", "score": n / 10} for n in range(9)]}
            )
        return json.dumps({"sufficient": text.count('"title"') >= 3})

    traces = []
    step = ExtAgents(part_tokens=500, on_trace=traces.append)
    request, _ = prepared(step, ScriptedModel(reply), NOISE[:2])
    assert traces[0].prefixes == (1, 2, 4)
    assert [chunk.text for chunk in request.chunks[:4]] == ["8 is so", "8 is so", "7 is so", "7 is so"]
    assert request.chunks[4:] == NOISE[:2]
    assert len(traces[0].extracts) == 18


def test_ext_agents_without_an_answer_keeps_the_chunks_and_ends_where_nothing_new_comes():
    traces = []
    step = ExtAgents(part_tokens=500, on_trace=traces.append)
    request, _ = prepared(step, None, (*NOISE[:3], FILM))
    assert request.chunks[0].text == "Blue Harbour was directed by Ida Marsh."
    assert request.chunks[1:] == (*NOISE[:3], FILM)
    assert (traces[0].stopped, len(traces[0].read)) == ("nothing", 2)


def test_an_input_of_one_part_is_left_as_it_is_without_a_call():
    request, usage = prepared(ExtAgents(), ScriptedModel(()), (FILM, LIFE))
    assert request.chunks == (FILM, LIFE)
    assert usage.calls == 0


def test_ext_agents_reads_what_a_search_finds_where_a_request_brings_nothing():
    chunks = (*NOISE[:3], FILM, *NOISE[3:6], LIFE)
    request, _ = prepared(ExtAgents(lambda q, k: chunks, part_tokens=500), reader())
    assert [chunk.source for chunk in request.chunks] == ["films.txt", "lives.txt"]


def test_ext_agents_reads_as_many_parts_as_the_cap_pays_for():
    traces = []
    step = ExtAgents(part_tokens=500, reply=200, cap=3_000, on_trace=traces.append)
    request, usage = prepared(step, None, (FILM, *NOISE[:30]))
    assert traces[0].stopped == "cap"
    assert 0 < traces[0].read[0] < traces[0].parts
    assert usage.input + usage.output <= 3_000
    assert request.chunks[0].parts == ("film",)
    assert set(NOISE[:30]) < set(request.chunks)


def test_an_extract_that_is_no_quote_says_so_and_a_quote_has_its_offsets():
    piece = FILM.model_copy(update={"start": 100})
    quote = extract(piece, " slowly. Blue  Harbour was ")
    assert (quote.text, quote.title) == ("slowly.\nBlue Harbour was", "Blue Harbour")
    assert FILM.text[quote.start - 100 : quote.end - 100] == quote.text
    free = extract(piece, "Ida Marsh made it.")
    assert free.title == f"{RESTATED} Blue Harbour"
    assert (free.start, free.end, free.trust) == (100, 100 + len(FILM.text), "untrusted")


def test_parts_hold_every_character_once_and_none_is_too_large():
    long = Chunk(id="long", text=" ".join(f"w{n}" for n in range(900)), start=7, end=7 + 4489)
    chunks = [*NOISE[:5], long, *NOISE[5:9]]
    parts = partition(chunks, 300, lambda chunk: len(chunk.text) // 4)
    assert all(sum(len(chunk.text) // 4 for chunk in part) <= 300 for part in parts)
    pieces = [chunk for part in parts for chunk in part]
    assert "".join(chunk.text for chunk in pieces) == "".join(chunk.text for chunk in chunks)
    cut = [chunk for chunk in pieces if chunk.id == "long"]
    assert len(cut) > 1
    assert all(long.text[c.start - 7 : c.end - 7] == c.text for c in cut)
