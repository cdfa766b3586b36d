"""bm25s ranks texts by BM25 over sparse matrices in numpy.

Version 0.3 (MIT), with PyStemmer (MIT, BSD). Compared is the library as its README has it, with its
own tokenizer, English stop words and the English stemmer, on the texts that our own selections search: what
is left between the two are our words (identifiers split, each word of the question once).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import bm25s
import numpy as np
import Stemmer

from ctxeng_evals.case import Dataset, Item, Solver

common = ModuleType("ctxeng_peers_common")
SourceFileLoader(common.__name__, str(Path(__file__).with_name("_common.py"))).exec_module(common)


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int | None = None,
    count: int | None = None,
    counter: str = "cl100k_base",
) -> Solver:
    """A solver that takes items in the order of their scores, ties in reading order."""

    def words(texts: list[str]) -> Any:
        stemmer = Stemmer.Stemmer("english")  # one of its own, for it is not safe with several threads
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)

    def index(items: Sequence[Item]) -> common.Rank:
        tokens = words([common.searched(item) for item in items])
        if not any(tokens):
            return lambda _: range(len(items))
        ranker = bm25s.BM25()
        ranker.index(tokens, show_progress=False)

        def rank(question: str) -> Sequence[int]:
            [asked] = words([question])
            scores = ranker.get_scores(asked) if asked else np.zeros(len(items))
            return [int(place) for place in np.argsort(-scores, kind="stable")]

        return rank

    return common.ranking("bm25s", dataset, index, budget=budget, count=count, counter=counter)
