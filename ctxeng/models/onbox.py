"""The model that needs no language model: embeddings choose among choices, or quote the best sentence."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng import render
from ctxeng.errors import Cancelled, ModelError
from ctxeng.models.evidence import Case, Evidence, kin
from ctxeng.protocols import Event, Layout, OnEvent
from ctxeng.retrieval.embed import Embedder, TextEncoder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.tokens import Counter, Estimate, tokenizer_counter
from ctxeng.turn import (
    Answer,
    Ask,
    Choice,
    Choices,
    Chunk,
    Context,
    Message,
    Note,
    Schema,
    Section,
    Usage,
    assistant,
)

Fitted = tuple[tuple[Sequence[Case], tuple[Choice, ...]], Evidence]
NOTHING = "Nothing in the window answers this."
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9])|\n+")


@dataclass(frozen=True)
class OnboxModel:
    """Chooses where `ask.want` is a set of choices, by evidence from the entries in its window; else quotes.

    What it knows beyond the encoder stands in its window: the same window gives the same answer.
    """

    embedder: TextEncoder = Embedder()
    counter: Counter = Estimate()
    window: int = 131_072
    name: str = "onbox"
    layout: Layout = Layout()
    _last: list[Fitted] = field(default_factory=list, init=False, repr=False, compare=False)

    def price(self, section: Section) -> int:
        """Tokens of the section as the encoder counts them."""
        return render.price(section, self.counter)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole window."""
        return render.prompt_price(render.chat(context, self.layout), self.counter)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """One of the choices, or a sentence of the window. Raises ModelError where JSON is wanted."""
        if ask.cancelled is not None and ask.cancelled():
            raise Cancelled("cancelled before answering")
        if isinstance(ask.want, Schema):
            raise ModelError(
                "onbox chooses or quotes; it cannot write JSON (name another model for this role)"
            )
        question = _question(context)
        if isinstance(ask.want, Choices):
            text, cited, parsed = *self._choose(question, context, ask.want), True
        else:
            text, cited, parsed = *self._quote(question, context), False
        usage = Usage(
            calls=1, input=context.tokens, output=self.counter.count(text), exact=self.counter.exact
        )
        if on_event is not None:
            on_event(Event(type="text", text=text))
            on_event(Event(type="usage", usage=usage))
        return Answer(
            message=assistant(text),
            parsed=text if parsed else None,
            cited=cited,
            attribution="evidence",
            usage={"answer": usage},
            model=self.name,
        )

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, in a worker thread: encoding takes its time, and others wait for the loop."""
        return await asyncio.to_thread(self.answer, context, ask, on_event)

    def _choose(self, question: str, context: Context, want: Choices) -> tuple[str, tuple[str, ...]]:
        sections = [
            (s.ref, s.body) for s in context.of("playbook") if isinstance(s.body, Note) and s.body.when
        ]
        groups = kin([body.when for _, body in sections])
        cases = [Case(body.when, body.text, group) for (_, body), group in zip(sections, groups, strict=True)]
        evidence = self._fitted(cases, want.options)
        scores = evidence.scores(question) + self._support(question, context, want)
        best = int(np.argmax(scores))
        refs = tuple(sections[index][0] for index in evidence.support(question, best))
        return want.options[best].value, refs

    def _fitted(self, cases: Sequence[Case], options: tuple[Choice, ...]) -> Evidence:
        """The fit to these cases. What is remembered spares computation: the same window, the same fit."""
        key, last = self._last[-1] if self._last else (None, None)
        if last is None or key != (cases, options):
            last = Evidence.fit(cases, options, self.embedder.embed, last)
            self._last[:] = [((cases, options), last)]
        return last

    def _support(self, question: str, context: Context, want: Choices) -> NDArray[np.float32]:
        """What documents in the window say for each choice: the cosine of its best sentence."""
        sentences = [text for _, text in _sentences(context, documents_only=True)]
        if not sentences:
            return np.zeros(len(want.options), dtype=np.float32)
        asked = self.embedder.embed([f"{question}\n{choice.value} {choice.about}" for choice in want.options])
        found: NDArray[np.float32] = (asked @ self.embedder.embed(sentences).T).max(axis=1)
        return found

    def _quote(self, question: str, context: Context) -> tuple[str, tuple[str, ...]]:
        candidates = _sentences(context, documents_only=False)
        found = (
            Hybrid([text for _, text in candidates], self.embedder).search(question, 1) if candidates else []
        )
        if not found:
            return NOTHING, ()
        ref, text = candidates[found[0][0]]
        return text, (ref,) if ref else ()


def onbox_counter(embedder: TextEncoder) -> Counter:
    """Exact counts by the encoder's own tokenizer, an estimate where it has none."""
    return tokenizer_counter(embedder.tokenizer_path) if isinstance(embedder, Embedder) else Estimate()


def _question(context: Context) -> str:
    queries = [s.body.text for s in context.of("query") if isinstance(s.body, Message)]
    return queries[-1] if queries else ""


def _sentences(context: Context, *, documents_only: bool) -> Sequence[tuple[str, str]]:
    """(ref, sentence) of documents and, where asked for, of notes, summaries, history and tool results."""
    found: list[tuple[str, str]] = []
    for section in context.sections:
        match section.body:
            case Chunk(text=text):
                found += [(section.ref, sentence) for sentence in split_sentences(text)]
            case Note(text=text) if not documents_only:
                found.append((section.ref, text))
            case str() if section.kind == "summary" and not documents_only:
                found += [(section.ref, sentence) for sentence in split_sentences(section.body)]
            case Message(text=text) if section.kind in {"message", "step"} and not documents_only:
                found += [(section.ref, sentence) for sentence in split_sentences(text)]
    return found


def split_sentences(text: str) -> list[str]:
    """Sentences and lines, white space trimmed, empty ones left out."""
    return [piece.strip() for piece in _SENTENCE.split(text) if piece.strip()]
