"""A model that plays a script: the deterministic stand-in for tests, ours and yours."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ctxeng import render
from ctxeng.errors import ModelError
from ctxeng.protocols import Event, Layout, OnEvent
from ctxeng.text.replies import parsed_or_none
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Answer, Ask, Call, Context, Message, Part, Section, Text, Usage, assistant

Reply = str | Answer | Message | Exception
Script = Sequence[Reply] | Callable[[Context, Ask], Reply]

_PIECE = re.compile(r"\s*\S+(?:\s+$)?|\s+")


@dataclass(frozen=True)
class ScriptedModel:
    """Plays replies in order, or what a function of context and ask returns; an exception is raised.

    `seen` and `asks` record every call, in order. Usage is counted, not billed. Safe with several threads.
    """

    script: Script = field(repr=False)
    window: int = 32_000
    name: str = "scripted"
    layout: Layout = field(default_factory=Layout)
    counter: Counter = field(default_factory=Estimate)
    seen: list[Context] = field(default_factory=list, init=False, repr=False, compare=False)
    asks: list[Ask] = field(default_factory=list, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def price(self, section: Section) -> int:
        """Tokens the section costs in the prompt, overhead included."""
        return render.price(section, self.counter)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt."""
        return render.prompt_price(render.chat(context, self.layout), self.counter)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The next reply of the script, streamed word by word. Raises ModelError when none is left."""
        match self._next(context, ask):
            case str(text):
                reply = Answer(message=assistant(text))
            case Message() as message:
                reply = Answer(message=message, finish="calls" if message.calls else "stop")
            case Answer() as given:
                reply = given
            case error:
                raise error
        reply = self._completed(reply, context, ask)
        return play(reply, ask, on_event)

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        return self.answer(context, ask, on_event)

    def _next(self, context: Context, ask: Ask) -> Reply:
        with self._lock:
            index = len(self.seen)
            if not callable(self.script) and index >= len(self.script):
                raise ModelError(
                    f"the script of model {self.name!r} is exhausted: all {index} replies were played"
                )
            self.seen.append(context)
            self.asks.append(ask)
        return self.script(context, ask) if callable(self.script) else self.script[index]

    def _completed(self, reply: Answer, context: Context, ask: Ask) -> Answer:
        """The reply with what the script left out: model, usage, and the value that was asked for."""
        usage = Usage(
            calls=1,
            input=self.price_context(context),
            output=sum(self.counter.count(_written(part)) for part in reply.message.parts),
            exact=self.counter.exact,
        )
        return reply.model_copy(
            update={
                "model": reply.model or self.name,
                "usage": reply.usage or {"answer": usage},
                "parsed": parsed_or_none(reply.text, ask.want) if reply.parsed is None else reply.parsed,
            }
        )


def play(answer: Answer, ask: Ask, on_event: OnEvent | None) -> Answer:
    """The answer, its text, calls and usage sent out as events; cut short where the caller cancels."""
    said: list[str] = []
    emit = on_event or _ignore
    for piece in _PIECE.findall(answer.text):
        if ask.cancelled and ask.cancelled():
            message = assistant("".join(said)).model_copy(update={"id": answer.message.id})
            return answer.model_copy(update={"message": message, "finish": "cancelled", "parsed": None})
        emit(Event(type="text", text=piece))
        said.append(piece)
    for call in answer.calls:
        emit(Event(type="call", call=call))
    for usage in answer.usage.values():
        emit(Event(type="usage", usage=usage))
    return answer


def _ignore(event: Event) -> None:
    """Nobody listens."""


def _written(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case Call():
            return part.name + (part.malformed or json.dumps(part.arguments))
        case _:
            return ""
