"""Trains the chunk re-ranker that ships with ctxeng, and one without each data set, to show transfer.

python -m ctxeng_evals.training.reranker --data ../shared/data --shipped ctxeng/chunks/rank/reranker.json
--without evals/rerankers
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.rank.features import features, links
from ctxeng.chunks.rank.forest import Forest
from ctxeng.chunks.rank.rankers import Model, stack
from ctxeng.retrieval.embed import Embedder
from ctxeng.storage.atomic import write_atomic
from ctxeng_evals.training.examples import ORIGINS, Example, examples, without
from ctxeng_evals.training.trees import averaged, fitted

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_FOLDS = 4  # what the first forest says of a training question comes from questions it has not seen
_SEEDS = (0, 1)  # forests that are averaged
_KEPT = 60  # negatives of one example that are learned from, besides all of its evidence
_ABOUT = "two forests of boosted trees over features.py; the second sees links weighed by the first"


@dataclass(frozen=True)
class Row:
    """An example as numbers: (N, F), which units are evidence, which are learned from, what one counts."""

    example: Example
    numbers: Floats
    kept: NDArray[np.int64]
    weight: float


@dataclass(frozen=True)
class Prepared:
    """A data set's rows, and the names of their columns."""

    rows: list[Row]
    names: tuple[str, ...]
    linked: tuple[str, ...]


def varied(found: Sequence[Example]) -> list[Example]:
    """Each example as it is, and every fourth also without vectors, another fourth without titles."""
    bare = [without(example, vectors=True) for example in found[0::4]]
    return [*found, *bare, *(without(example, titles=True) for example in found[1::4])]


def prepared(found: Sequence[Example], share: float) -> Prepared:
    """The rows of one data set, which all together count `share`; large pools not much more than small."""
    rows: list[Row] = []
    names: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    examples_ = varied(found)
    for place, example in enumerate(examples_):
        links_ = links(example.view)
        columns = {**features(example.view), **links_}
        names, linked = tuple(columns), tuple(links_)
        weight = share / (len(examples_) * np.sqrt(min(len(example.gold), _KEPT)))
        rows.append(Row(example, stack(columns, names), _kept(example, place), float(weight)))
    return Prepared(rows, names, linked)


def train(sets: Mapping[str, Prepared]) -> Model:
    """A model of these data sets."""
    rows = [row for found in sets.values() for row in found.rows]
    any_set = next(iter(sets.values()))
    second = [
        replace(row, numbers=np.concatenate([row.numbers, again], axis=1))
        for row, again in zip(rows, _seen_again(rows, any_set.linked), strict=True)
    ]
    data = {name: f"{len(found.rows)} rows, {ORIGINS[name].licence}" for name, found in sets.items()}
    return Model(
        about=_ABOUT,
        data=data,
        first=_fit(rows, _SEEDS),
        second=_fit(second, _SEEDS),
        names=any_set.names,
        linked=any_set.linked,
    )


def _seen_again(rows: Sequence[Row], linked: tuple[str, ...]) -> list[Floats]:
    """The links of each row, weighed by a first forest that has learned from the other questions."""
    queries = [row.example.view.query for row in rows]
    number = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    fold = [number[query] % _FOLDS for query in queries]  # copies of one question stay together
    found: list[Floats] = [np.zeros(0)] * len(rows)
    for held in range(_FOLDS):
        forest = _fit([row for row, at in zip(rows, fold, strict=True) if at != held], _SEEDS[:1])
        for place, row in enumerate(rows):
            if fold[place] == held:
                belief = forest.probability(row.numbers)
                found[place] = stack(links(row.example.view, belief), linked)
    return found


def _fit(rows: Sequence[Row], seeds: Sequence[int]) -> Forest:
    numbers = np.concatenate([row.numbers[row.kept] for row in rows])
    gold = np.concatenate([row.example.gold[row.kept] for row in rows])
    weights = np.concatenate([np.full(len(row.kept), row.weight) for row in rows])
    return averaged([fitted(numbers, gold, weights, seed) for seed in seeds])


def _kept(example: Example, place: int) -> NDArray[np.int64]:
    """All evidence, and a seeded draw of the rest where there is much of it."""
    gold, other = np.flatnonzero(example.gold), np.flatnonzero(~example.gold)
    if len(other) > _KEPT:
        other = np.random.default_rng(place).choice(other, _KEPT, replace=False)
    return np.sort(np.concatenate([gold, other]))


def main() -> None:
    """Train and write what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--shipped", type=Path, help="where the model of all data sets goes")
    parser.add_argument("--without", type=Path, help="a folder: one model without each data set")
    parser.add_argument("--only", nargs="*", choices=list(ORIGINS), help="leave out only these in turn")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    encoder = Embedder()
    sets = {}
    for name, origin in ORIGINS.items():
        sets[name] = prepared(examples(name, given.data, encoder), origin.share)
        logger.info("%s: %d rows", name, len(sets[name].rows))
    if given.without:
        given.without.mkdir(parents=True, exist_ok=True)
        for name in given.only or ORIGINS:
            model = train({other: found for other, found in sets.items() if other != name})
            write_atomic(given.without / f"without-{name}.json", model.model_dump_json() + "\n")
            logger.info("trained without %s", name)
    if given.shipped:
        write_atomic(given.shipped, train(sets).model_dump_json() + "\n")
        logger.info("trained with all: %s", given.shipped)


if __name__ == "__main__":
    main()
