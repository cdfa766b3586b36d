"""AgenticLU: a tree search over chains of clarification questions, each grounded in chunks (He et al.)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, TypeAdapter

from ctxeng.chunks.iterate.base import (
    Asked,
    Search,
    Trace,
    Work,
    at_least,
    extended,
    interleaved,
    opened,
    rows,
    steps,
)
from ctxeng.chunks.iterate.clarify import Clarification, ClarifyTrace, Path, pairs
from ctxeng.errors import BadInput
from ctxeng.message import WellFormed
from ctxeng.protocols import Models
from ctxeng.search.node import Node
from ctxeng.search.space import Extension
from ctxeng.search.tree import TreeSearch
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Chunk, Request, Usage, Value

_DEEPEST, _WIDEST = 3, 8  # the paper's


class Said(Value):
    """A clarification as the model replies it; `ids` are numbers of rows."""

    question: WellFormed
    ids: tuple[int, ...] = ()
    answer: WellFormed = ""
    rating: float = Field(ge=0, le=1)


class Reply(Value):
    """The model's reply."""

    clarifications: tuple[Said, ...] = ()


@dataclass(frozen=True)
class AgenticLu:
    """Chain-of-clarifications (arXiv 2502.15920), the search without the training.

    Each call expands one node: the model asks up to `branching` questions, points at chunks for each,
    answers, and rates from 0 to 1 how well the chunks of the path answer the question; that is the reward.
    Pointed chunks are read again, before all others, where the path goes on. At most `nodes` are expanded,
    none once a path is rated `enough`. A clarification that points at no chunk is dropped.
    """

    search: Search | None = None
    cap: int = 64_000
    k: int = 10
    depth: int = 3
    branching: int = 8
    nodes: int = 8
    enough: float = 0.9
    reply: int = 1_024
    seed: int = 0
    prompts: Prompts = Prompts()
    on_trace: Callable[[Trace], None] | None = None

    def __post_init__(self) -> None:
        at_least(1, cap=self.cap, k=self.k, depth=self.depth, branching=self.branching, nodes=self.nodes)
        if self.depth > _DEEPEST or self.branching > _WIDEST:
            raise BadInput(f"depth is at most {_DEEPEST} and branching at most {_WIDEST}, as published")

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request with the chunks of the best path in front, then plain retrieval's, then its own."""
        work = opened("agentic_lu", request, models, self.search, self.cap, self.prompts, self.reply)
        if work is None:
            return request, Usage()
        space = _Clarifying(self, work)
        tree = TreeSearch(iterations=self.nodes - 1, exploration=1.0, cost_weight=0.0, seed=self.seed)
        best = tree.run(space)
        if self.on_trace is not None:
            self.on_trace(space.trace(best.state, best.reward, best.root))
        return extended(request, [*space.pointed(best.state), *space.plain]), work.model.usage


@dataclass
class _Clarifying:
    """The space that is searched: extending a state is one call of the model."""

    options: AgenticLu
    work: Work
    plain: list[Chunk] = field(init=False)
    seen: dict[str, Chunk] = field(default_factory=dict)
    evidence: list[tuple[str, ...]] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self.plain = self.work.find(self.work.question, self.options.k)

    def extend(self, state: Path) -> Extension[Clarification]:
        """The clarifications that the model asks next; none at full depth, or once the search is over."""
        moves: dict[Clarification, float] = {}
        if len(state) < self.options.depth and not self.over:
            moves = self._asked(state)
        rewards = np.array(list(moves.values()), dtype=np.float64)
        last = np.full(len(moves), len(state) + 1 >= self.options.depth)
        return Extension(tuple(moves), rewards, np.zeros(len(moves)), last)

    def pointed(self, state: Path) -> list[Chunk]:
        """The chunks of a path, each once, in its order."""
        names = dict.fromkeys(name for move in state for name in move.chunks)
        return [self.seen[name] for name in names]

    def trace(self, path: Path, rating: float, root: Node[Clarification]) -> ClarifyTrace:
        """What was found, and the pairs of the best path's steps and their lower rated siblings."""
        done = self.work.trace()
        found = tuple(pairs(self.work.question, path, root))
        return ClarifyTrace(
            done.method,
            done.stopped,
            done.usage,
            done.asked,
            done.unknown,
            path,
            rating,
            tuple(self.evidence),
            found,
        )

    def _asked(self, state: Path) -> dict[Clarification, float]:
        shown, reply = self._reply(state)
        if reply is None:
            self.over = True
            return {}
        moves: dict[Clarification, float] = {}
        fresh: dict[str, Chunk] = {}
        for said in reply.clarifications[: self.options.branching]:
            chunks = {chunk.id: chunk for chunk in self.work.pointed(said.ids, shown)}
            if chunks and said.question.strip():
                move = Clarification(question=said.question.strip(), chunks=tuple(chunks), answer=said.answer)
                moves[move] = max(said.rating, moves.get(move, 0.0))
                fresh |= {name: chunk for name, chunk in chunks.items() if name not in self.seen}
        self.seen |= fresh
        self.evidence.append(tuple(fresh))
        if max(moves.values(), default=0.0) >= self.options.enough:
            self.work.stopped, self.over = "enough", True
        return moves

    def _reply(self, state: Path) -> tuple[list[Chunk], Reply | None]:
        """What was shown to the model, and what it said to it."""
        near = [self.plain]
        if state:
            # what the answer names is what the next question is about
            near.append(self.work.find(f"{state[-1].question} {state[-1].answer}".strip(), self.options.k))
        chunks = {chunk.id: chunk for chunk in (*self.pointed(state), *interleaved(near[::-1]))}

        def fill(documents: str) -> str:
            return self.options.prompts.fill(
                "clarify",
                question=self.work.question,
                steps=steps([Asked(move.question, move.chunks, move.answer) for move in state]),
                documents=documents,
                branching=str(self.options.branching),
            )

        shown = self.work.fitting(_FORM, list(chunks.values()), fill)
        if shown is None:
            return [], None
        return list(shown), self.work.ask(fill(rows(shown)), _FORM)


_FORM = TypeAdapter(Reply)
