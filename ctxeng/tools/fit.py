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
    _known: OrderedDict[tuple[str, float], Section] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )

    def sections(
        self, fixed: Sequence[Section], loaded: Sequence[Section], allowance: Allowance
    ) -> list[Section]:
        """Both, priced, within the allowance; what does not fit even when trimmed is left out."""
        found = [allowance.priced(section) for section in (*fixed, *loaded)]
        if _sum(found) <= allowance.tokens:
            return found
        for share in self.shares if self.trimmer is not None else ():
            smaller = [self._trimmed(section, share, allowance) for section in found]
            if _sum(smaller) <= allowance.tokens:
                return smaller
        if self.trimmer is not None:
            found = smaller
        kept = allowance.fill(found)
        gone = len(found) - len(kept)
        logger.warning("%d of %d tools do not fit into %d tokens", gone, len(found), allowance.tokens)
        return kept

    def _trimmed(self, section: Section, share: float, allowance: Allowance) -> Section:
        tool = section.body
        if self.trimmer is None or not isinstance(tool, Tool):
            return section
        key = (f"{section.tokens} {tool.model_dump_json()}", share)
        if key not in self._known:

            def price(smaller: Tool) -> int:
                return allowance.price(section.model_copy(update={"body": smaller}))

            found = self.trimmer.trim(tool, price, int(section.tokens * share))
            self._known[key] = section.model_copy(update={"body": found.tool, "tokens": found.tokens})
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key].model_copy(update={"ref": section.ref})


def _sum(sections: Sequence[Section]) -> int:
    return sum(section.tokens for section in sections)
