"""Rankers, rewards and selectors by the names that settings and suites use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ctxeng.chunks.pool import Reward, Selector
from ctxeng.chunks.rank.rankers import BridgingRanker, HybridRanker, LearnedRanker, Ranker
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selectors.gradient import GradientCut
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.knapsack import Knapsack
from ctxeng.chunks.selectors.mcts import SEARCH, Mcts
from ctxeng.chunks.selectors.mmr import Mmr
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.errors import UnknownName
from ctxeng.search.tree import TreeSearch

RankName = Literal["hybrid", "bridging", "learned"]
RewardName = Literal["additive", "coverage"]
SelectName = Literal["top_k", "mmr", "greedy", "knapsack", "gradient", "mcts"]

RANKERS: Mapping[str, Callable[[Path | None], Ranker]] = {
    "hybrid": lambda _: HybridRanker(),
    "bridging": lambda _: BridgingRanker(),
    "learned": LearnedRanker,
}
REWARDS: Mapping[str, Callable[[], Reward]] = {"additive": Additive, "coverage": Coverage}
SELECTORS: Mapping[str, Callable[[Reward, TreeSearch], Selector]] = {
    "top_k": lambda _, __: TopK(),
    "mmr": lambda _, __: Mmr(),
    "greedy": lambda reward, _: Greedy(reward),
    "knapsack": lambda _, __: Knapsack(),
    "gradient": lambda _, __: GradientCut(),
    "mcts": Mcts,
}


def ranker_named(name: str, model: Path | None = None) -> Ranker:
    """The ranker; `model` is the file of a learned one. Raises UnknownName."""
    if name not in RANKERS:
        raise UnknownName("ranker", name, list(RANKERS))
    return RANKERS[name](model)


def reward_named(name: str) -> Reward:
    """The reward with its defaults. Raises UnknownName."""
    if name not in REWARDS:
        raise UnknownName("reward", name, list(REWARDS))
    return REWARDS[name]()


def selector_named(name: str, reward: Reward, search: TreeSearch = SEARCH) -> Selector:
    """The selector; `reward` and `search` are for those that use them. Raises UnknownName."""
    if name not in SELECTORS:
        raise UnknownName("selector", name, list(SELECTORS))
    return SELECTORS[name](reward, search)


def configuration_named(name: str, search: TreeSearch = SEARCH) -> Selector:
    """The selector that a configuration agent calls "greedy/coverage": a selector, and a reward it uses.

    Without a slash the reward is coverage. Raises UnknownName.
    """
    select, _, reward = name.partition("/")
    return selector_named(select, reward_named(reward or "coverage"), search)
