"""Blocks: counted references, one cap, runs where there is room for them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput, CacheFull
from ctxeng.kv.pool import Budget, Pool


def pool(blocks, budget=None):
    size = 64 * 32 * 2 * 4
    return Pool("dense", 32, 32, torch.float32, budget or Budget(blocks * size))


def test_blocks_come_behind_one_another_and_go_back():
    p = pool(10)
    ids = p.take(4)
    assert ids.tolist() == [0, 1, 2, 3]
    p.give(ids)
    assert (p.in_use, p.budget.used) == (0, 0)
    assert p.take(10).tolist() == list(range(10))


def test_a_hole_too_small_is_left_for_later_and_used_when_nothing_else_is():
    p = pool(10)
    first, _ = p.take(3), p.take(3)
    p.give(first)
    assert p.take(4).tolist() == [6, 7, 8, 9]
    assert p.take(3).tolist() == [0, 1, 2]


def test_scattered_blocks_are_given_where_no_run_is_long_enough():
    p = pool(8)
    ids = p.take(8)
    p.give(ids[[1, 2, 5]])
    assert p.take(3).tolist() == [1, 2, 5]


def test_more_than_is_free_is_refused_and_nothing_is_taken():
    p = pool(5)
    p.take(3)
    with pytest.raises(CacheFull) as found:
        p.take(3)
    assert (found.value.needed, found.value.free) == (3 * p.block_bytes, 2 * p.block_bytes)
    assert p.in_use == 3
    assert len(p.take(2)) == 2


def test_shared_blocks_are_free_when_the_last_holder_lets_go():
    p = pool(5)
    ids = p.take(2)
    p.share(ids)
    p.give(ids)
    assert p.in_use == 2
    p.give(ids)
    assert p.in_use == 0


def test_pools_share_one_cap():
    budget = Budget(4 * 64 * 32 * 2 * 4)
    dense, coded = pool(0, budget), Pool("int8", 32, 32, torch.float32, budget)
    dense.take(3)
    room = dense.block_bytes // coded.block_bytes
    coded.take(room)
    with pytest.raises(CacheFull):
        coded.take(1)
    assert budget.peak <= budget.cap


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read the resident size from")
def test_memory_is_touched_only_where_blocks_are_used():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = resident()
    p = Pool("dense", 128, 128, torch.float32, Budget(2 << 30))
    p.arrays[0][torch.from_numpy(p.take(2))] = 1.0
    assert resident() - before < 1 << 26


def test_a_cap_beyond_the_machine_is_refused_by_name():
    with pytest.raises(BadInput, match="cannot set aside a key-value cache of 1,125,899,906,842,624 bytes"):
        Pool("dense", 128, 128, torch.float32, Budget(1 << 50))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_order_of_taking_and_giving_keeps_the_books(steps):
    p, held = pool(40), []
    for take, count in steps:
        if take:
            try:
                held.append(p.take(count))
            except CacheFull:
                assert sum(map(len, held)) + count > 40
        elif held:
            p.give(held.pop(count % len(held)))
        ids = np.concatenate(held) if held else np.zeros(0, int)
        assert len(set(ids.tolist())) == len(ids) == p.in_use
        assert p.budget.used == len(ids) * p.block_bytes
    for ids in held:
        p.give(ids)
    assert len(p.take(40)) == 40
