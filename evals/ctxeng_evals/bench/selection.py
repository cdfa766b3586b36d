"""Choosing chunks under a budget: how near to the optimum, never over the budget, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Chosen, Floats, Pool, Reward, Selection, Selector, Worth
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.mcts import Mcts
from ctxeng.search.tree import TreeSearch
from ctxeng.turn import Chunk
from ctxeng_evals.bench.table import Figures, Row

BUDGETS = (128, 256, 384, 512)
REWARD = Coverage(floor=0.1)


def run(seed: int = 0) -> Figures:
    """The share of the optimum at each budget, what is over budget, and times of a selection."""
    rows = [*optimality(seed), *over_budget(seed), *speed(seed)]
    return Figures(
        "selection",
        tuple(rows),
        notes=("random instances; gold recall on questions is in the suites",),
        seed=seed,
    )


# -- instances ------------------------------------------------------------------------------------------


def instance(draw: np.random.Generator, size: int) -> Pool:
    """A random pool in which greedy errs.

    Costs are uneven, frames are shared, few chunks cover several aspects, and the chunks that links lead to
    are often of little relevance by themselves, as second hops are.
    """
    groups = np.sort(draw.integers(0, max(1, size // 2), size))
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    vectors = draw.normal(size=(size, 8)).astype(np.float32)
    links = draw.random((size, size)) * draw.binomial(1, 0.15, (size, size))
    np.fill_diagonal(links, 0.0)
    return Pool(
        query="which",
        chunks=tuple(map(_chunk, range(size))),
        costs=draw.integers(8, 120, size),
        groups=groups,
        frames=draw.integers(0, 30, int(groups.max()) + 1),
        relevance=draw.beta(0.7, 1.5, size),
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        aspects=draw.random((size, 6)) * draw.binomial(1, 0.3, (size, 6)),
        weights=draw.dirichlet(np.ones(6)),
        links=links,
    )


@cache
def _chunk(place: int) -> Chunk:
    return Chunk(id=f"c{place}", text=f"text {place}")


def every_set(worth: Worth, pool: Pool, tokens: int) -> tuple[NDArray[np.int64], Floats]:
    """Prices and worths of all sets of at most `tokens`, the empty one among them: brute force."""
    prices, worths = [np.zeros(1, dtype=np.int64)], [np.zeros(1)]
    stack: list[Chosen] = [()]
    while stack:
        chosen = stack.pop()
        price = pool.price(chosen) + pool.added(chosen)
        later = np.arange(chosen[-1] + 1 if chosen else 0, len(pool))
        later = later[price[later] <= tokens]
        if len(later):
            prices.append(price[later])
            worths.append(worth.extend(chosen)[later])
            stack.extend((*chosen, place) for place in later.tolist())
    return np.concatenate(prices), np.concatenate(worths)


# -- how near to the optimum ----------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomFills:
    """The best of random fills, each grown until nothing more fits, at so many reward calls: a baseline."""

    reward: Reward
    calls: int
    seed: int = 0

    def select(self, pool: Pool, tokens: int) -> Selection:
        """The best set found; every prefix of a fill is scored, since more is not always worth more."""
        worth, draw = self.reward.on(pool), np.random.default_rng(self.seed)
        best: Chosen = ()
        reward, calls = 0.0, 0
        while calls < self.calls:
            chosen: Chosen = ()
            for place in draw.permutation(len(pool)).tolist():
                if pool.price((*chosen, place)) > tokens or calls >= self.calls:
                    continue
                chosen = (*chosen, place)
                scored, calls = worth.of(chosen), calls + 1
                if scored > reward:
                    best, reward = chosen, scored
            if not chosen:
                break
        return Selection(best, reward, calls, calls)


def optimality(seed: int = 0, instances: int = 200) -> Iterator[Row]:
    """Mean share of brute force's reward, exact hits and reward calls, by budget and selector."""
    draw = np.random.default_rng(seed)
    tallies = {(budget, name): Tally() for budget in BUDGETS for name in ("mcts", "greedy", "random fills")}
    for _ in range(instances):
        pool = instance(draw, int(draw.integers(8, 15)))
        prices, worths = every_set(REWARD.on(pool), pool, BUDGETS[-1])
        for budget in BUDGETS:
            best = float(worths[prices <= budget].max())
            searched = Mcts(REWARD).select(pool, budget)
            tallies[budget, "mcts"].add(searched, best)
            tallies[budget, "greedy"].add(Greedy(REWARD).select(pool, budget), best)
            fills = RandomFills(REWARD, searched.calls, seed).select(pool, budget)
            tallies[budget, "random fills"].add(fills, best)
    for (budget, name), tally in tallies.items():
        yield from tally.rows(f"{name}, <= 14 chunks, {budget} tokens", ">= 99" if name == "mcts" else "")


class Tally:
    """What a selector reached on some instances."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.calls: list[int] = []

    def add(self, found: Selection, best: float) -> None:
        """Count a selection whose reward could have been `best`."""
        self.shares.append(found.reward / best if best > 0 else 1.0)
        self.calls.append(found.calls)

    def rows(self, name: str, target: str) -> Iterator[Row]:
        """Its figures."""
        shares = np.array(self.shares)
        yield Row(f"{name}: share of the optimum", 100 * float(shares.mean()), "%", target=target)
        yield Row(f"{name}: exact", 100 * float((shares > 1 - 1e-9).mean()), "%")
        yield Row(f"{name}: reward calls", float(np.mean(self.calls)), "calls")


# -- never over budget, and how fast --------------------------------------------------------------------


def over_budget(seed: int = 0, instances: int = 10_000) -> Iterator[Row]:
    """How many of so many random selections cost more than they may, or name a chunk twice."""
    draw = np.random.default_rng(seed)
    search = TreeSearch(iterations=5)
    selectors: dict[str, Selector] = {"mcts": Mcts(REWARD, search), "greedy": Greedy(REWARD)}
    wrong = dict.fromkeys(selectors, 0)
    for _ in range(instances):
        pool, tokens = instance(draw, int(draw.integers(1, 9))), int(draw.integers(0, 400))
        for name, selector in selectors.items():
            chosen = selector.select(pool, tokens).chosen
            wrong[name] += pool.price(chosen) > tokens or len(set(chosen)) < len(chosen)
    for name, count in wrong.items():
        yield Row(f"{name}: over budget in {instances:,} random pools", count, "pools", target="0")


def speed(seed: int = 0, pools: int = 60) -> Iterator[Row]:
    """Milliseconds of a selection among 60 candidates, the seed of greedy included, and what it gains."""
    draw = np.random.default_rng(seed)
    given = [instance(draw, 60) for _ in range(pools)]
    rewards: dict[str, Reward] = {"additive": Additive(), "coverage": REWARD}
    for name, reward in rewards.items():
        for tokens in (256, 512):
            label = f"60 candidates, {name}, {tokens} tokens"
            greedy, searched = Greedy(reward), Mcts(reward)
            yield from _times(f"greedy, {label}", greedy, given, tokens)
            yield from _times(f"mcts 200, {label}", searched, given, tokens, "<= 15")
            for kind, selector in {"": searched, " with CORAG's weights": Mcts(reward, TreeSearch())}.items():
                gains = [
                    selector.select(pool, tokens).reward / greedy.select(pool, tokens).reward
                    for pool in given
                ]
                yield Row(f"mcts 200{kind} over its seed, {label}", 100 * float(np.mean(gains)) - 100, "%")


def _times(name: str, selector: Selector, pools: list[Pool], tokens: int, target: str = "") -> Iterator[Row]:
    taken = []
    for pool in pools:
        start = time.perf_counter()
        selector.select(pool, tokens)
        taken.append(1000 * (time.perf_counter() - start))
    yield Row(f"{name}: p50", float(np.quantile(taken, 0.5)), "ms", target=target)
    yield Row(f"{name}: p95", float(np.quantile(taken, 0.95)), "ms")
