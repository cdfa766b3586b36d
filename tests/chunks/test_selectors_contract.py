"""The contract of every way of choosing chunks."""

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks import selectors
from ctxeng.chunks.configure import Configured
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selectors.conformal import Conformal, calibrate
from ctxeng.chunks.selectors.gradient import GradientCut
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.knapsack import Knapsack
from ctxeng.chunks.selectors.mcts import Mcts
from ctxeng.chunks.selectors.mmr import Mmr
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.search.tree import TreeSearch
from pools import pool_of, pools, random_pool, same

SELECTORS = {
    "top-k": TopK(),
    "top-k by token": TopK(count=3, exponent=1.0),
    "mmr": Mmr(),
    "mmr, diversity alone": Mmr(balance=0.0),
    "knapsack": Knapsack(),
    "knapsack, coarse": Knapsack(cells=7),
    "gradient": GradientCut(minimum=1),
    "conformal": Conformal(calibrate([0.3] * 20, 0.1, "corpus", "encoder"), "corpus", "encoder"),
    "conformal, everything": Conformal(calibrate([], 0.1, "corpus", "encoder"), "corpus", "encoder"),
    "greedy, additive": Greedy(Additive(floor=0.2)),
    "greedy, coverage": Greedy(Coverage()),
    "mcts, coverage": Mcts(Coverage(), TreeSearch(iterations=10)),
    "mcts, unseeded": Mcts(Additive(), TreeSearch(iterations=10), seeded=False),
    "configured": Configured({"plain": TopK(), "packed": Knapsack()}, "packed"),
}
every = pytest.mark.parametrize("name", SELECTORS)


@every
@settings(max_examples=40, deadline=None)
@given(pool=pools(), tokens=st.integers(-5, 250))
def test_a_selection_is_valid_within_budget_and_repeatable(name, pool, tokens):
    before = copy.deepcopy(pool)
    found = SELECTORS[name].select(pool, tokens)
    assert isinstance(found.chosen, tuple)
    assert pool.price(found.chosen) <= max(0, tokens)
    assert len(set(found.chosen)) == len(found.chosen)
    assert all(type(place) is int and 0 <= place < len(pool) for place in found.chosen)
    assert type(found.reward) is float
    again = SELECTORS[name].select(pool, tokens)
    assert (again.chosen, again.reward, again.note) == (found.chosen, found.reward, found.note)
    assert same(pool, before)


@every
@pytest.mark.parametrize("tokens", [0, 100])
def test_an_empty_pool_gives_an_empty_selection(name, tokens):
    found = SELECTORS[name].select(pool_of([]), tokens)
    assert (found.chosen, found.reward) == ((), 0.0)


@every
@pytest.mark.parametrize("tokens", [0, -1])
def test_no_budget_gives_an_empty_selection(name, tokens):
    found = SELECTORS[name].select(random_pool(seed=1, count=10), tokens)
    assert (found.chosen, found.reward) == ((), 0.0)


@every
def test_a_budget_for_everything_chooses_something(name):
    assert SELECTORS[name].select(random_pool(seed=1, count=10), 10_000).chosen


@every
def test_a_pool_of_sixty_is_chosen_from_within_any_budget(name):
    pool = random_pool(seed=2, count=60)
    for tokens in (7, 64, 256, 512):
        assert pool.price(SELECTORS[name].select(pool, tokens).chosen) <= tokens


def test_every_selector_of_the_folder_is_held_to_the_contract():
    kinds = {type(selector).__module__.rpartition(".")[2] for selector in SELECTORS.values()}
    files = {file.stem for file in Path(selectors.__path__[0]).glob("*.py")} - {"__init__"}
    assert files <= kinds
