"""Query decomposition: one call names sub-queries, each is searched, and what they find is interleaved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter

from ctxeng.chunks.iterate.base import Search, Trace, at_least, extended, interleaved, opened
from ctxeng.message import WellFormed
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Request, Usage, Value


class Queries(Value):
    """The model's reply."""

    queries: tuple[WellFormed, ...] = ()


_FORM = TypeAdapter(Queries)


@dataclass(frozen=True)
class Decompose:
    """Finds `k` chunks for the question and for each of at most `queries` sub-queries, merged by round robin.

    The question is always the first of the lists, so that plain retrieval's best stay among the first.
    """

    search: Search | None = None
    cap: int = 4_000
    k: int = 8
    queries: int = 4
    reply: int = 512
    prompts: Prompts = Prompts()
    on_trace: Callable[[Trace], None] | None = None

    def __post_init__(self) -> None:
        at_least(1, cap=self.cap, k=self.k, queries=self.queries, reply=self.reply)

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request with what was found in front; with plain retrieval's where the model fails."""
        work = opened("decompose", request, models, self.search, self.cap, self.prompts, self.reply)
        if work is None:
            return request, Usage()
        lists = [work.find(work.question, self.k)]
        prompt = self.prompts.fill("decompose", question=work.question, most=str(self.queries))
        reply = work.ask(prompt, _FORM)
        if reply is not None:
            work.stopped = "enough"
            said = dict.fromkeys(query.strip() for query in reply.queries)
            fresh = [query for query in said if query and query != work.question]
            lists += [work.find(query, self.k) for query in fresh[: self.queries]]
        if self.on_trace is not None:
            self.on_trace(work.trace())
        return extended(request, interleaved(lists)), work.model.usage
