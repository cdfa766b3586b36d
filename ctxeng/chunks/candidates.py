"""Which passages of a corpus are looked at closely: found by words, by meaning, or named by a hit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.rank.names import plain, title_key
from ctxeng.retrieval.fusion import relative
from ctxeng.retrieval.lexical import best

Name = TypeVar("Name", bound=Hashable)

_LONGEST = 8  # words of a title that is looked for
_AMBIGUOUS = 5  # passages of one title: more of them say nothing


@dataclass
class Titles(Generic[Name]):
    """Passages by title, so that a text's explicit links are found without reading every title."""

    _known: dict[str, dict[Name, None]] = field(default_factory=dict)

    def add(self, name: Name, title: str) -> None:
        """Remember that the passage of this name (an id, a place) has this title."""
        key = title_key(title)
        if key:
            self._known.setdefault(key, {})[name] = None

    def remove(self, name: Name, title: str) -> None:
        """Forget it."""
        self._known.get(title_key(title), {}).pop(name, None)

    def named(self, text: str) -> list[Name]:
        """The passages whose titles the text says, in the order in which it says them."""
        words = plain(text).split()
        found: dict[Name, None] = {}
        for start in range(len(words)):
            for length in range(1, min(_LONGEST, len(words) - start) + 1):
                names = self._known.get(f" {' '.join(words[start : start + length])} ", {})
                if len(names) <= _AMBIGUOUS:
                    found.update(names)
        return list(found)


@dataclass(frozen=True)
class Near:
    """How many candidates are taken: `each` by words and by meaning; titles in the first `hops` hits lead on.

    50 to 60 candidates so found hold .995 of the evidence in the pooled HotpotQA and 2WikiMultihopQA, .91
    in MuSiQue.
    """

    each: int = 30
    hops: int = 8

    def places(
        self,
        query: str,
        words: NDArray[np.float32],
        meaning: NDArray[np.float32] | None,
        titles: Titles[int],
        texts: Sequence[str],
    ) -> list[int]:
        """Places of candidates, the best by both scores first, then those that were only named.

        `words` and `meaning` are (P,), a score for each of the P passages in `texts`.
        """
        scores = relative(words) + (relative(meaning) if meaning is not None else 0)
        found = dict.fromkeys(self._top(words))
        if meaning is not None:
            found.update(dict.fromkeys(self._top(meaning)))
        ranked = sorted(found, key=lambda place: (-scores[place], place))
        linked = titles.named(query)
        for place in ranked[: self.hops]:
            linked += titles.named(texts[place])
        return list(dict.fromkeys([*ranked, *linked]))

    def _top(self, scores: NDArray[np.float32]) -> Iterable[int]:
        return (place for place, _ in best(scores, self.each))
