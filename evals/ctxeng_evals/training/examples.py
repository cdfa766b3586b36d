"""What the re-ranker learns from: questions, their candidate sentences, and which of these are evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.closest import Closest
from ctxeng.chunks.rank.view import View
from ctxeng.chunks.units import units
from ctxeng.retrieval.embed import TextEncoder
from ctxeng_evals.case import Dataset
from ctxeng_evals.loaders import dialogue, multihop
from ctxeng_evals.subjects.requests import as_chunks


@dataclass(frozen=True)
class Example:
    """A question with its candidates; `gold` is (N,), true for evidence."""

    view: View
    gold: NDArray[np.bool_]


@dataclass(frozen=True)
class Origin:
    """A data set to learn from: how it is read, in which parts, its licence, and what it counts."""

    load: Callable[[Path, str], Dataset]
    parts: tuple[str, ...]
    licence: str
    share: float = 1.0


_OTHER = 0.3  # what a data set counts that asks for one step
ORIGINS: Mapping[str, Origin] = {
    "2wikimultihop": Origin(multihop.two_wiki, ("", "pooled-sentences"), "Apache-2.0"),
    "hotpotqa": Origin(multihop.hotpotqa, ("", "pooled-sentences"), "CC BY-SA 4.0"),
    "musique": Origin(multihop.musique, ("", "pooled-sentences"), "CC BY 4.0"),
    "strategyqa": Origin(multihop.strategyqa, ("",), "MIT", _OTHER),
    "tatqa": Origin(multihop.tatqa, ("",), "CC BY 4.0", _OTHER),
    "qmsum": Origin(dialogue.qmsum, ("",), "MIT", _OTHER),
}
_CASES, _POOLED = 500, 200  # of one part


def examples(name: str, data: Path, encoder: TextEncoder | None) -> list[Example]:
    """The examples of one data set, all its parts."""
    origin = ORIGINS[name]
    return [example for part in origin.parts for example in _of(origin.load(data, part), encoder)]


def without(example: Example, *, vectors: bool = False, titles: bool = False) -> Example:
    """The example as it looks where there is no encoder, or where documents have no titles."""
    view = example.view
    return replace(
        example,
        view=View(
            view.query,
            view.texts,
            view.groups,
            ("",) * len(view.titles) if titles else view.titles,
            None if vectors else view.vectors,
            None if vectors else view.asked,
        ),
    )


def _of(dataset: Dataset, encoder: TextEncoder | None) -> Iterator[Example]:
    near = {name: Closest(as_chunks(pool), encoder) for name, pool in dataset.pools.items()}
    for case in list(dataset.cases)[: _POOLED if near else _CASES]:
        chunks = as_chunks(case.items) if case.items else near[case.pool].near(case.question)
        gold = np.array([chunk.id in case.gold for chunk in chunks])
        if gold.any() and not gold.all():
            yield Example(units(chunks, "chunk").view(case.question, encoder), gold)
