"""IterDRAG: sub-questions and searches in turn, each built on the answers before (Yue et al., section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from ctxeng.chunks.iterate.base import Search, Trace, Work, at_least, extended, opened, rows, steps
from ctxeng.message import WellFormed
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Chunk, Request, Usage, Value


class Next(Value):
    """The model's reply: the answer to the last sub-question, and the next one unless it has enough."""

    answer: WellFormed = ""
    enough: bool = False
    next: WellFormed = ""


_FORM = TypeAdapter(Next)


@dataclass(frozen=True)
class IterDrag:
    """Iterative demonstration-based RAG (arXiv 2410.04343), up to the final answer, which is the turn's.

    `k` chunks are found for the question; then, up to `rounds` times, the model reads what was found, answers
    the last sub-question and asks the next, for which `k` more are found. `shots` are worked examples that
    stand in the prompt as they are. `allocation.allocate` says which of the three to spend a budget on.
    """

    search: Search | None = None
    cap: int = 32_000
    k: int = 5
    rounds: int = 5
    shots: tuple[str, ...] = ()
    reply: int = 512
    prompts: Prompts = Prompts()
    on_trace: Callable[[Trace], None] | None = None

    def __post_init__(self) -> None:
        at_least(1, cap=self.cap, k=self.k, rounds=self.rounds, reply=self.reply)

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request with what was found in front, in order of round and rank."""
        work = opened("iterdrag", request, models, self.search, self.cap, self.prompts, self.reply)
        if work is None:
            return request, Usage()
        found = [work.find(work.question, self.k)]
        for _ in range(self.rounds):
            query = self._next(work, found)
            if not query:
                break
            found.append(work.find(query, self.k))
        if self.on_trace is not None:
            self.on_trace(work.trace())
        return extended(request, (chunk for each in found for chunk in each)), work.model.usage

    def _next(self, work: Work, found: Sequence[Sequence[Chunk]]) -> str:
        """The next sub-question; empty, with `work.stopped` set, where there is none."""
        prompt = self._prompt(work, found)
        said = None if prompt is None else work.ask(prompt, _FORM)
        if said is None:
            return ""
        if len(work.asked) > 1:
            work.asked[-1] = replace(work.asked[-1], answer=said.answer.strip())
        query = said.next.strip()
        if said.enough or not query:
            work.stopped = "enough"
            return ""
        if query.casefold() in {each.question.casefold() for each in work.asked}:
            work.stopped = "repeated"
            return ""
        return query

    def _prompt(self, work: Work, found: Sequence[Sequence[Chunk]]) -> str | None:
        # where not everything fits, the last sub-question's documents matter most
        shown = list({chunk.id: chunk for each in reversed(found) for chunk in each}.values())

        def fill(documents: str) -> str:
            return self.prompts.fill(
                "iterdrag",
                examples="\n\n".join(self.shots),
                question=work.question,
                steps=steps(work.asked[1:]),
                documents=documents,
            )

        fitted = work.fitting(_FORM, shown, fill)
        return None if fitted is None else fill(rows(fitted))
