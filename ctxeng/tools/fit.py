"""Tool sections made to fit an allowance: schemas trimmed by steps, the least needed left out at last."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.protocols import Allowance
from ctxeng.tools.trim import Trimmer
from ctxeng.turn import Section, Tool

logger = logging.getLogger(__name__)

_REMEMBERED = 4_096  # trimmed tools


@dataclass(frozen=True)
class Fitted:
    """Trims all tools alike: to the first of `shares` of their full price at which they fit together.

    Steps instead of an exact fit, so that an allowance which changes a little does not change the block.
    """

    trimmer: Trimmer | None = field(default_factory=Trimmer)
    shares: tuple[float, ...] = (0.75, 0.5, 0.35, 0.25)
    _known: OrderedDict[tuple[str, float], Tool] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )

    def sections(
        self,
        fixed: Sequence[Section],
        loaded: Sequence[Section],
        allowance: Allowance,
        order: Sequence[str] = (),
    ) -> list[Section]:
        """Both, priced, within the allowance; what does not fit even when trimmed is left out.

        Room is given to those of `fixed` first, then by `order`, refs with the most needed one first.
        """
        found = [allowance.priced(section) for section in (*fixed, *loaded)]
        if _sum(found) <= allowance.tokens:
            return found
        for share in self.shares if self.trimmer is not None else ():
            smaller = [self._trimmed(section, share, allowance) for section in found]
            if _sum(smaller) <= allowance.tokens:
                return smaller
            found = smaller
        kept = _kept(found, len(fixed), order, allowance.tokens)
        gone = len(found) - len(kept)
        logger.warning("%d of %d tools do not fit into %d tokens", gone, len(found), allowance.tokens)
        return kept

    def _trimmed(self, section: Section, share: float, allowance: Allowance) -> Section:
        tool = section.body
        if self.trimmer is None or not isinstance(tool, Tool):
            return section
        key = (f"{section.tokens} {tool.model_dump_json()}", share)
        smaller = self._known.get(key)
        if smaller is None:

            def price(smaller: Tool) -> int:
                return allowance.price(section.model_copy(update={"body": smaller}))

            self._known[key] = smaller = self.trimmer.trim(tool, price, int(section.tokens * share)).tool
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return allowance.priced(section.model_copy(update={"body": smaller}))


def _kept(found: Sequence[Section], fixed: int, order: Sequence[str], tokens: int) -> list[Section]:
    """Those that fit one after another, by need; in the order of the block."""
    places = {ref: place for place, ref in enumerate(order)}
    needed = sorted(
        range(len(found)), key=lambda i: -1 if i < fixed else places.get(found[i].ref, len(places))
    )
    kept: set[int] = set()
    for place in needed:
        if found[place].tokens <= tokens:
            kept.add(place)
            tokens -= found[place].tokens
    return [section for place, section in enumerate(found) if place in kept]


def _sum(sections: Sequence[Section]) -> int:
    return sum(section.tokens for section in sections)
