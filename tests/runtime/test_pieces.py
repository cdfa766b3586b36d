"""Parts of a kind: read once, stored, kept as their kind says, combined with what comes before and after."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctxeng.errors import BadInput
from ctxeng.kv.bypiece import ByPiece
from ctxeng.kv.methods.names import make
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan, KindPlan
from ctxeng.runtime.prompt import Part, Prompt
from tiny_model import logits, tiny, tokens

MEMORY = 1 << 25
DECODER = tiny()
BOOK = {"playbook": KindPlan()}


def part(kind, size, seed, *, parallel=False):
    return Part(kind, tuple(tokens(size, seed)), parallel=parallel)


def asked(engine, parts, plan=None, count=1):
    handle = engine.submit(Prompt(tuple(parts)), Generate(count), plan or CachePlan())
    found = list(handle)
    return found[0].logprob, handle.report


def truth(parts):
    """The likeliest token's log-probability after one pass, parallel runs side by side."""
    positions, piece, group, seen, start, number = [], [], [], 0, 0, 0
    for n, p in enumerate(parts):
        beside = p.parallel and n and parts[n - 1].parallel
        if not beside:
            start, number = seen, number + 1
        positions += range(start, start + len(p.ids))
        seen = max(seen, start + len(p.ids))
        piece += [n] * len(p.ids)
        group += [number] * len(p.ids)
    piece, group = np.array(piece), np.array(group)
    mask = (piece[:, None] == piece) | (group[:, None] > group)
    mask = torch.from_numpy(mask & np.tri(len(piece), dtype=bool))[None, None]
    ids = [token for p in parts for token in p.ids]
    return float(logits(DECODER, ids, positions, mask)[-1].log_softmax(-1).max())


ORDERED = [part("system", 70, 1), part("playbook", 90, 2), part("tool", 40, 3), part("query", 20, 4)]
RUNS = [
    part("system", 30, 1),
    part("playbook", 20, 2, parallel=True),
    part("playbook", 75, 3, parallel=True),
    part("tool", 33, 4),
    part("chunk", 64, 5, parallel=True),
    part("chunk", 130, 6, parallel=True),
    part("query", 9, 7),
]


@pytest.mark.parametrize("parts", [ORDERED, ORDERED[1:], RUNS, RUNS[1:]])
@pytest.mark.parametrize("kinds", [{}, BOOK, {"tool": KindPlan()}, {**BOOK, "tool": KindPlan()}])
def test_parts_read_by_themselves_are_one_pass_with_its_mask_and_positions(parts, kinds):
    with Engine(DECODER, memory=MEMORY, chunk=50) as engine:
        for _ in range(2):
            found, _ = asked(engine, parts, CachePlan(kinds=kinds))
            assert found == pytest.approx(truth(parts), abs=1e-4)


def test_a_part_is_read_again_only_where_it_or_what_it_saw_is_another():
    plan = CachePlan(kinds={"playbook": KindPlan(), "tool": KindPlan()})
    system, book, tool, query = ORDERED
    with Engine(DECODER, memory=MEMORY) as engine:
        asked(engine, ORDERED, plan)
        _, report = asked(engine, [system, book, tool, part("query", 20, 9)], plan)
        assert (report.cached, report.changed) == (64 + 90 + 40, 64)  # six tokens of no whole block
        _, report = asked(engine, [system, book, part("tool", 40, 8), query], plan)
        assert (report.cached, report.changed) == (64 + 90, 64)
        _, report = asked(engine, [system, part("playbook", 90, 8), tool, query], plan)
        assert report.cached == 64  # the tools saw another playbook


def test_an_edited_entry_is_all_that_is_read_again_where_entries_stand_side_by_side():
    entries = [part("playbook", 30 + n, n, parallel=True) for n in range(5)]
    rest = [part("tool", 50, 20), part("query", 10, 21)]
    edited = [*entries[:2], part("playbook", 31, 40, parallel=True), *entries[3:]]
    plan = CachePlan(kinds={"tool": KindPlan()}, moved=True)
    with Engine(DECODER, memory=MEMORY) as engine:
        asked(engine, [*entries, *rest], plan)
        _, report = asked(engine, [*edited, *rest], plan)
    assert report.prompt - report.cached == 31 + 10
    assert report.changed == 30 + 31
    assert "approximate: 50 tokens" in report.notes[0]


def test_what_saw_an_approximation_is_not_stored_as_the_truth():
    system, book, tool, query = ORDERED
    other = part("system", 50, 11)
    plan = CachePlan(kinds={"playbook": KindPlan(), "tool": KindPlan()}, moved=True)
    with Engine(DECODER, memory=MEMORY) as engine:
        asked(engine, [system, book, query], plan)
        _, report = asked(engine, [other, book, tool, query], plan)
        assert "approximate: 90 tokens" in report.notes[0]
        found, report = asked(engine, [other, book, tool, query], replace(plan, moved=False))
        assert report.cached == 0
        assert found == pytest.approx(truth([other, book, tool, query]), abs=1e-4)


def test_the_order_of_neighbours_changes_nothing_for_what_comes_after():
    entries = [part("chunk", 30 + n, n, parallel=True) for n in range(3)]
    rest = [part("history", 50, 20), part("query", 10, 21)]
    plan = CachePlan(kinds={"history": KindPlan()})
    with Engine(DECODER, memory=MEMORY) as engine:
        first, _ = asked(engine, [*entries, *rest], plan)
        second, report = asked(engine, [*reversed(entries), *rest], plan)
    assert report.cached == report.prompt - 10
    assert not report.notes
    assert second == pytest.approx(first, abs=1e-4)


def test_a_kind_has_its_own_codec():
    with Engine(DECODER, memory=MEMORY) as engine:
        plain, whole = asked(engine, ORDERED, CachePlan(reuse=False))
        plan = CachePlan(kinds={"playbook": KindPlan("int4")})
        coded, report = asked(engine, ORDERED, plan)
        assert report.bytes_held < whole.bytes_held
        assert coded == pytest.approx(plain, abs=0.5)
        assert coded != plain
        assert engine.pools.of("int4").in_use == 3 * 2 * 2  # two blocks a layer and head of the stored part


@pytest.mark.parametrize(
    "policy",
    [
        make("snapkv", {"budget": 0.5, "window": 8}),
        make("h2o", {"budget": 0.5, "recent": 8}),
        make("think", {"keep": 0.5}),
    ],
)
def test_a_kind_is_thinned_once_when_it_was_read_and_stays_so(policy):
    parts = [part("system", 70, 1), part("chunk", 600, 2, parallel=True), part("query", 9, 3)]
    plan = CachePlan(kinds={"chunk": KindPlan(policy=policy)})
    with Engine(DECODER, memory=MEMORY) as engine:
        _, whole = asked(engine, parts, CachePlan(reuse=False))
        first, report = asked(engine, parts, plan)
        assert report.bytes_held < 0.9 * whole.bytes_held
        again, report = asked(engine, parts, plan)
        assert report.cached == 600 + 64
        assert again == pytest.approx(first, abs=1e-5)
        engine.call(lambda: (engine.pieces.clear(), engine.store.clear()))
        assert engine.describe()["blocks_in_use"] == 0


def test_a_policy_that_drops_nothing_of_a_part_changes_no_answer():
    parts = [part("system", 70, 1), part("chunk", 100, 2, parallel=True), part("query", 9, 3)]
    plan = CachePlan(kinds={"chunk": KindPlan(policy=make("snapkv", {"budget": 0.999}))})
    with Engine(DECODER, memory=MEMORY) as engine:
        thinned, _ = asked(engine, parts, plan)
    assert thinned == pytest.approx(truth(parts), abs=0.05)


def squeezed(quantile):
    return CachePlan(kinds={"playbook": KindPlan(policy=make("squeezed", {"quantile": quantile}))})


def test_a_playbook_is_squeezed_by_itself_and_everything_else_is_read():
    parts = [part("playbook", 200, 2), part("query", 40, 3)]
    with Engine(DECODER, memory=MEMORY) as engine:
        read_all, _ = asked(engine, parts, squeezed(0.0), 4)
        assert read_all == pytest.approx(truth(parts), abs=1e-4)
        asked(engine, parts, squeezed(0.5), 4)
        *_, (_, (piece,)) = engine.pieces._parts.values()
        watch = piece.notes["watch"]
        segment = piece.segments[0]
        (read,) = ByPiece({0: watch}).select(0, 3 * torch.randn(4, 1, 32), [segment])
        assert 0 < int(read.where.live.sum()) < 0.7 * 2 * 200


def test_what_a_store_kept_serves_the_next_process(tmp_path):
    kinds = {
        "playbook": KindPlan(policy=make("squeezed", {"quantile": 0.5})),
        "tool": KindPlan("int8"),
        "chunk": KindPlan(policy=make("snapkv", {"budget": 0.5, "window": 8})),
        "history": KindPlan("int8", make("think", {"keep": 0.5})),
    }
    parts = [
        part("system", 70, 1),
        part("playbook", 200, 2),
        part("tool", 90, 3),
        part("chunk", 130, 4, parallel=True),
        part("chunk", 64, 5, parallel=True),
        part("history", 100, 6),
        part("query", 9, 7),
    ]
    plan = CachePlan(kinds=kinds)
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        first, _ = asked(engine, parts, plan, 3)
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        second, report = asked(engine, parts, plan, 3)
        assert engine.pieces.refused == []
        assert report.cached == 64 + 200 + 90 + 130 + 64 + 100
        assert report.notes == ()
        assert second == pytest.approx(first, abs=1e-5)
        turned = [*parts[:3], parts[4], parts[3], *parts[5:]]
        _, report = asked(engine, turned, plan, 3)
        assert report.cached == 64 + 200 + 90 + 130 + 64 + 100
    for path in (tmp_path / "pieces").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        fourth, report = asked(engine, parts, plan, 3)
        assert report.cached == 64
        assert len(engine.pieces.refused) == 5
        assert fourth == pytest.approx(first, abs=1e-4)


def test_an_index_that_is_gone_means_the_part_is_read_whole_and_it_is_said(tmp_path):
    parts = [part("playbook", 200, 2), part("query", 9, 7)]
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        asked(engine, parts, squeezed(0.5))
    next((tmp_path / "pieces").glob("*.index")).unlink()
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        found, report = asked(engine, parts, squeezed(0.5))
    assert report.cached == 200
    assert "read whole" in report.notes[0]
    assert found == pytest.approx(truth(parts), abs=1e-4)


def test_a_moved_part_is_found_on_disk_too(tmp_path):
    document = part("chunk", 100, 5, parallel=True)
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        asked(engine, [part("system", 70, 1), document, part("query", 9, 7)])
    with Engine(DECODER, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        parts = [part("system", 50, 2), document, part("query", 9, 7)]
        _, report = asked(engine, parts, CachePlan(moved=True))
    assert report.cached == 100
    assert "approximate" in report.notes[0]


def test_room_that_runs_out_in_the_middle_gives_everything_back():
    few = 30 * 3 * 2 * 32 * 2 * 64 * 4
    parts = [*RUNS[:5], part("chunk", 4000, 9, parallel=True), RUNS[-1]]
    with Engine(DECODER, memory=few) as engine:
        handle = engine.submit(Prompt(tuple(parts)), Generate(2), CachePlan(kinds=BOOK))
        with pytest.raises(Exception, match="cache"):
            handle.result()
        engine.call(lambda: (engine.pieces.clear(), engine.store.clear()))
        assert engine.describe()["blocks_in_use"] == 0


def test_a_policy_for_the_whole_that_drops_rows_and_kinds_are_not_named_together():
    with pytest.raises(BadInput, match="leaves nothing to kinds"):
        CachePlan(policy=make("snapkv", {"budget": 0.5}), kinds=BOOK)
