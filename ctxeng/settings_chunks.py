"""The chunk source that a settings file describes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ctxeng.chunks.corpus import Corpus
from ctxeng.chunks.folder_corpus import FolderCorpus
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.triples import from_triples, read_triples
from ctxeng.chunks.iterate.named import prepare_named
from ctxeng.chunks.named import ranker_named, reward_named, selector_named
from ctxeng.chunks.selector import ChunkSelector
from ctxeng.chunks.selectors.mcts import SEARCH
from ctxeng.chunks.source import ChunkSource
from ctxeng.protocols import Prepare
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.settings_schema import ChunkSettings, StatementSettings
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Chunk

IN_MEMORY = "memory"


def chunk_source(
    given: ChunkSettings, folder: Path, encoder: TextEncoder | None, corpus: LazyCorpus | None
) -> ChunkSource:
    """The source; documents are read and indexed when they are first asked for. `folder` is the file's."""
    search = replace(SEARCH, iterations=given.iterations, deadline=given.deadline)
    selector = ChunkSelector(
        ranker_named(given.rank, folder / given.model if given.model else None),
        selector_named(given.select, reward_named(given.reward), search),
        given.order,
        encoder,
        given.unit,
        least=given.least,
    )
    return ChunkSource(selector, corpus)


def lazy_corpus(given: ChunkSettings, folder: Path, encoder: TextEncoder | None) -> LazyCorpus | None:
    """The file's documents; None where it names none."""
    return LazyCorpus(folder_corpus(given, folder, encoder)) if given.documents else None


def retrieval_steps(given: ChunkSettings, corpus: LazyCorpus | None, prompts: Prompts) -> tuple[Prepare, ...]:
    """The step that asks a model what to look for, where the file names one."""
    if not given.prepare:
        return ()
    search = corpus.search if corpus is not None else None
    return (prepare_named(given.prepare, search, given.prepare_cap, prompts),)


def statements(given: StatementSettings, folder: Path, encoder: TextEncoder | None) -> GraphSource:
    """The graph as a source; quiet where the file names no triples. Raises BadInput for a faulty file."""
    graph = read_triples(folder / given.triples) if given.triples else from_triples(())
    return GraphSource(graph, encoder, given.mode)


def folder_corpus(given: ChunkSettings, folder: Path, encoder: TextEncoder | None) -> FolderCorpus:
    """The documents of the file, and where their index is."""
    index = None if given.index == IN_MEMORY else folder / (given.index or ".ctxeng/chunks")
    paths = [folder / name for name in given.documents]
    return FolderCorpus(paths, given.split, given.size, index, encoder)


@dataclass(frozen=True)
class LazyCorpus:
    """A corpus that is opened when it is first asked for, once."""

    given: FolderCorpus
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @cached_property
    def _corpus(self) -> Corpus:
        return self.given.open()

    def open(self) -> Corpus:
        """The corpus. Raises BadInput where its documents cannot be read."""
        with self._lock:  # two threads would want the same folder
            return self._corpus

    def __len__(self) -> int:
        return len(self.open())

    def near(self, query: str) -> list[Chunk]:
        """Its passages that could bear on the query."""
        return self.open().near(query)

    def search(self, query: str, k: int) -> list[Chunk]:
        """Its k best passages."""
        return self.open().search(query, k)
