"""The chunk source that a settings file describes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ctxeng.chunks.configure import Agent, Configured
from ctxeng.chunks.corpus import Corpus
from ctxeng.chunks.folder_corpus import FolderCorpus
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.triples import from_triples, read_triples
from ctxeng.chunks.iterate.named import prepare_named
from ctxeng.chunks.named import configuration_named, ranker_named, reward_named, selector_named
from ctxeng.chunks.pool import Pool, Reward, Selection, Selector
from ctxeng.chunks.rewards.cross_encoder import CrossEncoder, local_folder
from ctxeng.chunks.rewards.reranked import Reranked
from ctxeng.chunks.selector import ChunkSelector
from ctxeng.chunks.selectors.conformal import Calibration, Conformal
from ctxeng.chunks.selectors.mcts import SEARCH
from ctxeng.chunks.source import ChunkSource
from ctxeng.protocols import Prepare
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.settings_schema import ChunkSettings, StatementSettings
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Chunk

IN_MEMORY = "memory"
NO_ENCODER = "words"  # what a calibration without an encoder names in its place
REWARDED = ("greedy", "mcts")  # the selectors that go by a reward


def chunk_source(
    given: ChunkSettings, folder: Path, encoder: TextEncoder | None, corpus: LazyCorpus | None
) -> ChunkSource:
    """The source; documents are read and indexed when they are first asked for. `folder` is the file's."""
    selector = ChunkSelector(
        ranker_named(given.rank, folder / given.model if given.model else None),
        configured(given, folder, encoder, corpus),
        given.order,
        encoder,
        given.unit,
        least=given.least,
    )
    return ChunkSource(selector, corpus)


def configured(
    given: ChunkSettings, folder: Path, encoder: TextEncoder | None, corpus: LazyCorpus | None
) -> Selector:
    """The selector of `select`; with an agent, that and what the agent may pick in its place.

    Raises BadInput for a file that cannot be used, UnknownName for a configuration that is none.
    """
    search = replace(SEARCH, iterations=given.iterations, deadline=given.deadline)
    if given.select == "conformal" and corpus is not None:
        made = Calibration.load(folder / given.calibration)
        plain: Selector = LazyConformal(made, corpus, encoder.name if encoder else NO_ENCODER)
    else:
        plain = selector_named(given.select, _reward(given, folder), search)
    if not given.agent:
        return plain
    agent = Agent.load(folder / given.agent)
    default = f"{given.select}/{given.reward}" if given.select in REWARDED else given.select
    others = {name: configuration_named(name, search) for name in agent.heads if name != default}
    return Configured({default: plain, **others}, default, agent, encoder)


def _reward(given: ChunkSettings, folder: Path) -> Reward:
    if given.reward == "reranked":
        return Reranked(CrossEncoder(local_folder(given.reranker, folder)))
    return reward_named(given.reward)


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
    return FolderCorpus(paths, given.split, given.size, index, encoder, given.vectors)


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

    def fingerprint(self) -> str:
        """What a calibration for it is made for."""
        return self.open().fingerprint()

    def search(self, query: str, k: int) -> list[Chunk]:
        """Its k best passages."""
        return self.open().search(query, k)


@dataclass(frozen=True)
class LazyConformal:
    """Conformal thresholds for a corpus that is not open yet; whether they are stale shows at each use."""

    calibration: Calibration
    corpus: LazyCorpus
    encoder: str

    def select(self, pool: Pool, tokens: int) -> Selection:
        """What passes. Raises BadInput for a calibration that was made for other documents."""
        return self._made.select(pool, tokens)

    @cached_property
    def _made(self) -> Conformal:
        return Conformal(self.calibration, self.corpus.fingerprint(), self.encoder)
