"""ctxeng's memory as a subject: a pool is a session that was kept, and what `gather` shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ctxeng import render
from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.memory import Memory
from ctxeng.memory.recall import Recall
from ctxeng.memory.record import Record
from ctxeng.memory.source import MemorySource
from ctxeng.memory.store import SqlStore
from ctxeng.memory.summary import fold_all
from ctxeng.memory.told import pieces
from ctxeng.message import Message
from ctxeng.protocols import Allowance
from ctxeng.retrieval.embed import Embedder
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Counter
from ctxeng.turn import Chunk, Request, Scope, Section, user
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece, Solver

_SCOPE = Scope(tenant="eval", user="someone", session="s")


@dataclass(frozen=True)
class SessionSubject:
    """A dialogue kept in a store, asked about later: newest messages, facts, and what is recalled.

    `budget` is in tokens as a chat model's prompt costs them, frames around recalled texts included. `share`
    of it goes to recall, the rest to the newest messages.
    """

    counter: Counter
    budget: int
    share: float = 0.5
    encoder: Embedder | None = None
    facts: bool = True
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver over the dataset's cases; shared pools are kept once."""
        pool = lru_cache(maxsize=8)(lambda name: self._kept(dataset.pools[name]))

        def solve(case: Case) -> Outcome:
            shared = bool(case.pool) and not case.items
            source, item_of = pool(case.pool) if shared else self._kept(dataset.items(case))
            request = Request(query=user(case.question), scope=_SCOPE)
            allowance = Allowance(self.budget, lambda section: render.price(section, self.counter))
            pieces = [
                piece for section in source.gather(request, allowance) for piece in _pieces(section, item_of)
            ]
            selected = dict.fromkeys(piece.ref for piece in pieces if piece.ref)
            return Outcome(selected=tuple(selected), window=tuple(pieces))

        return solve

    def _kept(self, items: Sequence[Item]) -> tuple[MemorySource, Mapping[str, str]]:
        store = SqlStore(open_database("sqlite::memory:"))
        memory = Memory(store, self._price)
        source = MemorySource(
            memory,
            Recall(store, self.encoder),
            recalled=self.budget,
            share=self.share,
            facts=self.facts,
        )
        records = source.keep(_SCOPE, [(item.id, _message(item)) for item in items])
        return source, {record.id: record.key for record in records}

    def _price(self, message: Message) -> int:
        return render.price(Section(kind="message", source="memory", body=message), self.counter)


@dataclass(frozen=True)
class SummarySubject:
    """A dialogue folded into an extractive summary of `budget` tokens, and nothing beside it."""

    counter: Counter
    budget: int
    chunk: int = 4_000
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver over the dataset's cases; shared pools are summarised once."""
        pool = lru_cache(maxsize=64)(lambda name: self._folded(dataset.pools[name]))

        def solve(case: Case) -> Outcome:
            shared = bool(case.pool) and not case.items
            text = pool(case.pool) if shared else self._folded(dataset.items(case))
            piece = Piece(source="summary", kind="summary", tokens=self.counter.count(text), text=text)
            return Outcome(window=(piece,))

        return solve

    def _folded(self, items: Sequence[Item]) -> str:
        records = [Record(number=n, message=_message(item)) for n, item in enumerate(items, 1)]
        read = pieces(records, self.counter, self.chunk)
        return fold_all(ExtractiveSummarizer(self.counter), "", read, self.budget).text


def _message(item: Item) -> Message:
    role = "assistant" if item.role == "assistant" else "user"
    said = f"{item.title}: {item.body}" if item.title else item.body  # who speaks, in a meeting
    return Message.model_validate({"role": role, "parts": [{"type": "text", "text": said}]})


def _pieces(section: Section, item_of: Mapping[str, str]) -> Iterator[Piece]:
    """What the section shows whole: a message, or those of a document. A fact shows none."""
    body = section.body
    refs = body.parts if isinstance(body, Chunk) else (section.ref,)
    for place, ref in enumerate(refs or ("",)):
        name = item_of.get(ref.removeprefix(f"{_SCOPE.session}:"), "")
        text = "" if name else render.text_of(section)
        yield Piece(
            source="memory", kind=section.kind, ref=name, tokens=0 if place else section.tokens, text=text
        )
