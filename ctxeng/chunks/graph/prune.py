"""Pruning by two thresholds: of each entity's statements those that stand out, and are alike enough."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.graph.cut import Price
from ctxeng.chunks.graph.index import Asked, GraphIndex
from ctxeng.errors import BadInput

_PERCENT = 100


@dataclass(frozen=True)
class Prune:
    """KG-RAG's context pruning (Soman et al. 2023, arXiv:2311.17330), with its values as the defaults.

    The question leads to the entities it names or, where it names none, to the `nodes` that it is most
    alike. A statement of such an entity stays if its cosine with the question is not below the
    `percentile` of that entity's statements and above `floor`; at most `most` / (number of entities) of each,
    the best first. The floor of .5 is for the encoder used there (S-PubMedBert-MS-MARCO); another encoder
    needs another one. Without an encoder it is a share of the best BM25 score.

    `hops` above 1 goes on from the entities that kept statements lead to, which is ours.
    """

    percentile: float = 75
    floor: float = 0.5
    most: int = 150
    nodes: int = 5
    hops: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= _PERCENT:
            raise BadInput(f"prune: percentile is {self.percentile}; give 0 to 100")
        for name, value in (("most", self.most), ("nodes", self.nodes), ("hops", self.hops)):
            if value < 1:
                raise BadInput(f"prune: {name} is {value}; give 1 or more")

    def kept(self, index: GraphIndex, asked: Asked) -> tuple[int, ...]:
        """Places of the statements that pass, those most alike the question first."""
        entities = list(asked.named) or self._nearest(asked)
        seen, found = set(entities), dict[int, None]()
        for _ in range(self.hops):
            share = max(1, self.most // max(1, len(entities)))
            passed = [place for entity in entities for place in self._of(index, asked, entity, found)[:share]]
            found.update(dict.fromkeys(passed))
            # what they lead to, each once, in their order
            led = dict.fromkeys(entity for place in passed for entity in index.graph.joins[place])
            entities = [entity for entity in led if entity not in seen]
            seen.update(entities)
        return tuple(sorted(found, key=lambda place: (-asked.cosines[place], place))[: self.most])

    def select(self, index: GraphIndex, asked: Asked, price: Price, tokens: int) -> tuple[int, ...]:
        """Those that fit, best first; what does not fit is skipped."""
        chosen, left = [], tokens
        for place in self.kept(index, asked):
            if price(place) <= left:
                chosen.append(place)
                left -= price(place)
        return tuple(chosen)

    def _nearest(self, asked: Asked) -> list[int]:
        order = np.argsort(-asked.entities, kind="stable")[: self.nodes].tolist()
        return [place for place in order if asked.entities[place] > 0]

    def _of(self, index: GraphIndex, asked: Asked, entity: int, known: Collection[int]) -> Sequence[int]:
        """The entity's statements that pass, best first, out of those that no hop before has kept."""
        around = [place for place in index.graph.around[entity] if place not in known]
        places = np.array(around, dtype=np.int64)
        if not len(places):
            return []
        alike = asked.cosines[places]
        # their code says above the percentile: it would lose an entity's only statement, which is its own
        passing = (alike >= np.percentile(alike, self.percentile)) & (alike > self.floor)
        order = np.argsort(-alike, kind="stable")
        best: list[int] = places[order[passing[order]]].tolist()
        return best
