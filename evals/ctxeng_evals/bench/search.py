"""Searches over one and the same reward on real questions: what more search buys, in reward and in gold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctxeng.chunks.pool import Pool, Reward, Selection, Selector
from ctxeng.chunks.rank.rankers import LearnedRanker
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selector import ChunkSelector, narrowed
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.mcts import SEARCH, Mcts
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.retrieval.embed import Embedder
from ctxeng.search.tree import TreeSearch
from ctxeng.tokens import Counter, tokenizer_counter
from ctxeng.turn import Chunk
from ctxeng_evals import registry
from ctxeng_evals.bench.selection import RandomFills
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.subjects.requests import as_chunks

TOKENS, QUESTIONS, CANDIDATES = 256, 60, 28
MODELS = Path(__file__).parents[2] / "rerankers"
REWARD = Coverage()
_FILLS = 400  # reward calls of the random baseline: about those of the search
SELECTORS: dict[str, Callable[[Reward], Selector]] = {
    "by relevance, no reward": lambda _: TopK(),
    "greedy by gain": lambda reward: Greedy(reward, per_token=False, swaps=False),
    "greedy by gain per token": lambda reward: Greedy(reward, per_token=True, swaps=False),
    "better greedy + exchanges": Greedy,
    f"best of random fills, {_FILLS} calls": lambda reward: RandomFills(reward, _FILLS),
    "MCTS 200, as in the paper, unseeded": lambda reward: Mcts(reward, TreeSearch(), seeded=False),
    "MCTS 200, seeded": Mcts,
    "MCTS 800, seeded": lambda reward: Mcts(reward, replace(SEARCH, iterations=800)),
}


@dataclass(frozen=True)
class Question:
    """Its best candidates, and how much gold there is among all of them."""

    pool: Pool
    gold: frozenset[str]


def run(seed: int = 0) -> Figures:
    """Mean reward, reward calls, gold recall and all-gold of each way to search, on each data set."""
    rows = [row for name in ("2wikimultihop", "hotpotqa", "musique") for row in rows_of(name)]
    notes = (
        f"{QUESTIONS} questions each, {CANDIDATES} best sentences, {TOKENS} tokens as MiniLM counts them",
        "relevance is the learned ranker's, trained without the data set",
    )
    return Figures("search", tuple(rows), notes, seed)


def rows_of(name: str) -> list[Row]:
    """The figures on one data set."""
    asked = questions(name)
    rows = []
    for label, make in SELECTORS.items():
        found = [make(REWARD).select(each.pool, TOKENS) for each in asked]
        worth = np.mean([_worth(each, one) for each, one in zip(asked, found, strict=True)])
        kept = np.array([_recall(each, one) for each, one in zip(asked, found, strict=True)])
        what = f"{name}, {label}"
        rows += [
            Row(f"{what}: reward", float(worth), ""),
            Row(f"{what}: reward calls", float(np.mean([one.calls for one in found])), ""),
            Row(f"{what}: gold recall", float(kept.mean()), ""),
            Row(f"{what}: all gold", float((kept == 1).mean()), ""),
        ]
    return rows


def questions(name: str) -> list[Question]:
    """The first questions of a data set with their pools."""
    encoder = Embedder()
    counter = tokenizer_counter(encoder.tokenizer_path)
    chooser = ChunkSelector(LearnedRanker(MODELS / f"without-{name}.json"), encoder=encoder, unit="chunk")
    dataset = registry.load(name)
    found = []
    for case in dataset.cases[:QUESTIONS]:
        pool = chooser.pool(case.question, as_chunks(dataset.items(case)), _price(counter))
        best = np.argsort(-pool.relevance, kind="stable")[:CANDIDATES]
        found.append(Question(narrowed(pool, sorted(best.tolist())), frozenset(case.gold)))
    return found


def _price(counter: Counter) -> Callable[[Chunk], int]:
    def price(chunk: Chunk) -> int:
        title = counter.count(chunk.title) + 1 if chunk.title else 0
        return title + (counter.count(chunk.text) if chunk.text else 0)

    return price


def _worth(question: Question, found: Selection) -> float:
    return REWARD.on(question.pool).of(found.chosen)


def _recall(question: Question, found: Selection) -> float:
    taken = _ids(question.pool, found.chosen)
    return len(taken & question.gold) / len(question.gold)


def _ids(pool: Pool, places: Sequence[int]) -> set[str]:
    return {pool.chunks[place].id for place in places}
