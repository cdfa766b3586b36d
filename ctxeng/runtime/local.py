"""The model seam on our own runtime: `local:<folder>`."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from functools import cached_property

from ctxeng import render
from ctxeng.errors import Cancelled, ContextOverflow, ModelError
from ctxeng.protocols import Event, Layout, OnEvent
from ctxeng.runtime.box import Box
from ctxeng.runtime.calls import CallStream
from ctxeng.runtime.grammar import Grammar
from ctxeng.runtime.job import Generate, Handle
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.sampling import Sampling
from ctxeng.runtime.speculative import Drafter
from ctxeng.runtime.typed import Mark
from ctxeng.text.replies import parsed_or_none
from ctxeng.tokens import Counter, Exact, Overhead, remembered
from ctxeng.turn import Answer, Ask, Call, Choices, Context, Finish, Message, Schema, Section, Text, Usage

_GLUE = Overhead(message=8, priming=8)  # tokens of a template around a message; the whole prompt is exact


@dataclass(frozen=True)
class LocalModel:
    """A model on this machine. `plan` says how its cache is kept, its `kinds` how parts of a kind are.

    What is of a kind in `apart` (playbook: each entry; chunk: each document) is read side by side, once, and
    serves in any order (APE); order then says nothing to the model. `limit` narrows the window the weights
    were made for.
    """

    box: Box
    plan: CachePlan = CachePlan()
    sampling: Sampling = Sampling()
    drafter: Drafter | None = None
    apart: frozenset[str] = frozenset()
    limit: int = 0
    layout: Layout = Layout()

    @property
    def name(self) -> str:
        """`local:` and the folder's name."""
        return f"local:{self.box.name}"

    @property
    def window(self) -> int:
        """Tokens of prompt and reply together."""
        return min(self.limit or self.box.window, self.box.window)

    @cached_property
    def counter(self) -> Counter:
        """Exact counts by the model's own tokenizer."""
        return Exact(self.name, remembered(lambda text: len(self.box.tokenizer.encode(text))))

    def price(self, section: Section) -> int:
        """Tokens the section costs in this model's prompt, with an allowance for the template's glue."""
        return render.price(section, self.counter, _GLUE)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt, exactly."""
        return len(self._prompt(context).ids)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The answer, streamed as events.

        Raises ContextOverflow, ModelError where it does not come in time, BadInput for a form that cannot be
        enforced, CacheFull.
        """
        if ask.cancelled is not None and ask.cancelled():
            raise Cancelled("cancelled before answering")
        emit = on_event or _ignore
        prompt = self._prompt(context)
        size = len(prompt.ids)
        if size + ask.max_tokens > self.window:
            raise ContextOverflow(
                f"{self.name}: a prompt of {size} tokens and a reply of {ask.max_tokens} exceed {self.window}"
            )
        handle = self.box.engine.submit(prompt, self._options(ask), self.plan)
        stream = CallStream(self.box.form if context.of("tool") and ask.tool_choice != "none" else None)
        text = self._read(handle, ask, stream, emit)
        made = sum(len(s.body.calls) for s in context.sections if isinstance(s.body, Message))
        return self._finished(handle, ask, text, stream.finish(made + 1), emit)

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited; a cancelled task ends the generation."""
        gone = threading.Event()
        before = ask.cancelled

        def cancelled() -> bool:
            return gone.is_set() or (before is not None and before())

        try:
            asked = ask.model_copy(update={"cancelled": cancelled})
            return await asyncio.to_thread(self.answer, context, asked, on_event)
        finally:
            gone.set()

    def _prompt(self, context: Context) -> Prompt:
        made = render.chat(context, self.layout)
        marks = [
            Mark(kind, render.text_of(section), kind in self.apart)
            for kind in ("playbook", "chunk")
            if kind in self.apart or kind in self.plan.kinds
            for section in context.of(kind)
            if kind == "chunk" or section.trust == "trusted"
        ]
        return self.box.prompt(made.messages, made.tools, marks)

    def _options(self, ask: Ask) -> Generate:
        sampling = self.sampling
        if ask.temperature is not None or ask.seed is not None:
            given = {"temperature": ask.temperature, "seed": ask.seed}
            changes = {name: value for name, value in given.items() if value is not None}
            sampling = Sampling(**{**vars(sampling), **changes})
        return Generate(
            max_tokens=ask.max_tokens,
            sampling=sampling,
            stop=self.box.stop,
            stop_texts=ask.stop,
            constraint=self._form(ask),
            deadline=ask.deadline,
            drafter=None if self.plan.selects else self.drafter,
        )

    def _form(self, ask: Ask) -> Grammar | None:
        if isinstance(ask.want, Schema):
            return self.box.grammars.json_schema(dict(ask.want.json_schema))
        if isinstance(ask.want, Choices):
            return self.box.grammars.choices([option.value for option in ask.want.options])
        return None

    def _read(self, handle: Handle, ask: Ask, stream: CallStream, emit: OnEvent) -> str:
        """The text as far as it is certainly no call."""
        found = []
        for token in handle:
            if ask.cancelled is not None and ask.cancelled():
                handle.cancel()
            released = stream.push(token.text)
            if released:
                found.append(released)
                emit(Event(type="text", text=released))
        assert handle.report is not None
        released = stream.push(handle.report.rest)
        if released:
            found.append(released)
            emit(Event(type="text", text=released))
        return "".join(found)

    def _finished(
        self, handle: Handle, ask: Ask, text: str, held: tuple[str, tuple[Call, ...]], emit: OnEvent
    ) -> Answer:
        report = handle.report
        assert report is not None
        if report.ended == "cancelled" and ask.deadline is not None and time.monotonic() > ask.deadline:
            raise ModelError(f"{self.name}: no answer before the deadline; {report.generated} tokens came")
        rest, calls = held
        if rest:
            emit(Event(type="text", text=rest))
        if report.ended == "cancelled":  # half a call must not be run
            calls = ()
        for call in calls:
            emit(Event(type="call", call=call))
        usage = Usage(calls=1, input=report.prompt, output=report.generated, cached=report.cached)
        emit(Event(type="usage", usage=usage))
        whole = text + rest
        ended: dict[str, Finish] = {"length": "length", "cancelled": "cancelled"}
        return Answer(
            message=_message(whole, calls),
            finish="calls" if calls else ended.get(report.ended, "stop"),
            parsed=None if report.ended == "cancelled" else parsed_or_none(whole, ask.want),
            usage={"answer": usage},
            model=self.name,
            notes=report.notes,
        )


def _message(text: str, calls: tuple[Call, ...]) -> Message:
    said = (Text(text=text),) if text or not calls else ()
    return Message(role="assistant", parts=(*said, *calls))


def _ignore(event: Event) -> None:
    del event
