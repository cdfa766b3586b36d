"""Any model on tape: recorded once, replayed for ever, with neither network nor key."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ctxeng import render
from ctxeng.errors import BadInput, CassetteMiss
from ctxeng.models.changed import what_changed
from ctxeng.models.scrub import scrub, scrub_json
from ctxeng.models.tape import Exchange, Tape
from ctxeng.protocols import Event, Layout, Model, OnEvent
from ctxeng.tokens import Calibrated, Counter, counter_for
from ctxeng.turn import Answer, Ask, Context, Section


@dataclass(frozen=True)
class Cassette:
    """Replays what is on the file, and records what is not where there is a `model` to ask.

    "auto" does both, "record" always asks the model and adds to the file, "replay" never asks. Requests are
    told apart by model, rendered messages, tools and ask (its deadline excepted). A request recorded several
    times is replayed in that order, and once more than recorded is a miss. Secrets are never written: what
    looks like one, and what is listed in `secrets`, is replaced by a mark.
    """

    path: Path
    model: Model | None = None
    mode: Literal["auto", "record", "replay"] = "auto"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _tape: Tape = field(init=False, repr=False, compare=False)
    _asked: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.mode == "record" and self.model is None:
            raise ValueError("a cassette that records needs a model")
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "_tape", Tape(self.path))

    @property
    def name(self) -> str:
        """The model's name, also where only its recording is here."""
        return self.model.name if self.model else str(self._first().request["model"])

    @property
    def window(self) -> int:
        """The model's window."""
        return self.model.window if self.model else self._first().window

    @property
    def layout(self) -> Layout:
        """The model's layout."""
        return self.model.layout if self.model else self._first().layout

    def price(self, section: Section) -> int:
        """Tokens the section costs, by the model or by the counter for its name."""
        return self.model.price(section) if self.model else render.price(section, self._counts)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt, by the model or by the counter for its name."""
        if self.model:
            return self.model.price_context(context)
        return render.prompt_price(render.chat(context, self.layout), self._counts)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The recorded answer with its events, or the model's own.

        Raises CassetteMiss where nothing is recorded and no model may be asked.
        """
        request, key, found = self._find(context, ask)
        if found is not None:
            return self._replay(found, context, on_event)
        model, heard, listen = self._recorder(request, key, on_event)
        answer = model.answer(context, ask, listen)
        return self._record(request, key, heard, answer)

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        request, key, found = self._find(context, ask)
        if found is not None:
            return self._replay(found, context, on_event)
        model, heard, listen = self._recorder(request, key, on_event)
        answer = await model.aanswer(context, ask, listen)
        return self._record(request, key, heard, answer)

    def _find(self, context: Context, ask: Ask) -> tuple[dict[str, Any], str, Exchange | None]:
        prompt = render.chat(context, self.layout)
        request: dict[str, Any] = {
            "model": self.name,
            "messages": prompt.messages,
            "tools": prompt.tools,
            "ask": ask.model_dump(mode="json", exclude={"deadline", "cancelled"}),
        }
        # scrubbed before it is hashed: a new key is no new request, and no hash gives one away
        request = json.loads(json.dumps(scrub_json(request, self.secrets)))
        key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        if self.mode == "record":
            return request, key, None
        with self._lock:
            index = self._asked.get(key, 0)
            self._asked[key] = index + 1
        return request, key, self._tape.at(key, index)

    def _recorder(
        self, request: dict[str, Any], key: str, on_event: OnEvent | None
    ) -> tuple[Model, list[Event], Callable[[Event], None]]:
        """The model to ask, and an ear that keeps its events. Raises CassetteMiss where none may be asked."""
        if self.model is None or self.mode == "replay":
            raise self._miss(request, key)
        heard: list[Event] = []

        def listen(event: Event) -> None:
            heard.append(event)
            if on_event is not None:
                on_event(event)

        return self.model, heard, listen

    def _record(self, request: dict[str, Any], key: str, heard: list[Event], answer: Answer) -> Answer:
        if answer.finish != "cancelled":  # half an answer is nothing to repeat
            scrubbed = scrub_json(answer.model_dump(mode="json"), self.secrets)
            self._tape.append(
                Exchange(
                    key=key,
                    request=request,
                    answer=Answer.model_validate(scrubbed),
                    events=_scrubbed(heard, self.secrets),
                    window=self.window,
                    layout=self.layout,
                )
            )
        return answer

    def _miss(self, request: dict[str, Any], key: str) -> CassetteMiss:
        recorded = self._tape.count(key)
        if recorded:
            times = "once" if recorded == 1 else f"{recorded} times"
            return CassetteMiss(f"{self.path}: this request was recorded {times} and is asked once more")
        difference = what_changed(request, [exchange.request for exchange in self._tape.all()])
        return CassetteMiss(f"{self.path}: nothing recorded for this request; {difference}")

    def _replay(self, exchange: Exchange, context: Context, on_event: OnEvent | None) -> Answer:
        if on_event is not None:
            for event in exchange.events:
                on_event(event)
        usage = exchange.answer.usage.get("answer")
        if self.model is None and usage and usage.exact and isinstance(self._counts, Calibrated):
            # the model's own counter rose with its bills while recording; so must this one, for equal windows
            self._counts.billed(usage.input, self.price_context(context))
        return exchange.answer

    @cached_property
    def _counts(self) -> Counter:
        return counter_for(self.name)

    def _first(self) -> Exchange:
        recorded = self._tape.all()
        if not recorded:
            raise BadInput(f"{self.path}: no recording in this file, and no model to make one")
        return recorded[0]


def _scrubbed(events: list[Event], secrets: tuple[str, ...]) -> tuple[Event, ...]:
    """The events without secrets; a stream that spells one out over several pieces becomes one piece."""
    for kind in ("text", "thinking"):
        said = "".join(event.text for event in events if event.type == kind)
        if scrub(said, secrets) != said:
            first = next(index for index, event in enumerate(events) if event.type == kind)
            rest = [event for event in events[first + 1 :] if event.type != kind]
            events = [*events[:first], events[first].model_copy(update={"text": said}), *rest]
    return tuple(Event.model_validate(scrub_json(event.model_dump(mode="json"), secrets)) for event in events)
