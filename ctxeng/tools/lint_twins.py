"""Tools that say nearly the same: a model cannot tell which to call."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from ctxeng.retrieval.words import terms
from ctxeng.tools.lint_hidden import shown
from ctxeng.turn import Tool

_LEAST = 4  # words; fewer are too few to compare


def twins(tools: Sequence[Tool], alike: float) -> Iterator[tuple[int, str, Literal["note"], str]]:
    """Place and fault of each tool with nearly the words of one before it (Jaccard at least `alike`)."""
    sets = [_words(tool) for tool in tools]
    count = Counter(word for words in sets for word in words)
    known: dict[str, list[int]] = defaultdict(list)
    for index, words in enumerate(sets):
        if len(words) < _LEAST:
            continue
        # two sets this much alike share one of their rarest words: the bound of prefix filtering
        rarest = sorted(words, key=lambda word: (count[word], word))
        prefix = rarest[: len(words) - math.ceil(alike * len(words) - 1e-9) + 1]
        near = {other for word in prefix for other in known[word]}
        best = max(near, key=lambda other: (_jaccard(words, sets[other]), -other), default=None)
        if best is not None and _jaccard(words, sets[best]) >= alike:
            twin = tools[best]
            where = f" of server {shown(twin.server)!r}" if twin.server != tools[index].server else ""
            yield index, "near-duplicate", "note", f"says nearly the same as {shown(twin.name)!r}{where}"
        for word in prefix:
            known[word].append(index)


def _words(tool: Tool) -> frozenset[str]:
    properties = tool.parameters.get("properties")
    names = " ".join(properties) if isinstance(properties, Mapping) else ""
    return frozenset(terms(f"{tool.name} {tool.description} {names}"))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
