"""Any hosted model, or any server that speaks OpenAI's chat format, through litellm."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from ctxeng import render
from ctxeng.errors import ModelError
from ctxeng.models import transport as wire
from ctxeng.models.chat import Assembly, body
from ctxeng.models.facts import Facts, facts, providers
from ctxeng.models.failures import Failure, read_failure
from ctxeng.models.transport import Awaiting, Blocking, Transport, at_once
from ctxeng.protocols import Event, Layout, OnEvent
from ctxeng.text.replies import parsed_or_none
from ctxeng.tokens import Calibrated, Counter, counter_for
from ctxeng.turn import Answer, Ask, Context, Section, Usage, assistant

logger = logging.getLogger(__name__)

_NAP = 0.1  # seconds between two looks at whether the caller has cancelled


@dataclass(frozen=True)
class LiteLLMModel:
    """A model by litellm's id ("openai/...", "anthropic/...", "ollama/..."), or any name behind `base_url`.

    `window` 0 asks litellm's table, which falls back to 32,000. `timeout` is seconds without a sign of life.
    `retries` with growing waits from `backoff` seconds, or as the provider's Retry-After says up to
    `patience`, happen only before anything of the answer has arrived. `structured` says whether the provider
    takes a JSON Schema; None asks the table. `extra` goes to the provider as it is (reasoning_effort ...).
    A server behind `base_url` never gets a key from the environment: pass `api_key`.
    """

    id: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    window: int = 0
    timeout: float = 60.0
    retries: int = 3
    backoff: float = 0.5
    patience: float = 60.0
    temperature: float | None = None
    stream: bool = True
    structured: bool | None = None
    counter: Counter | None = field(default=None, repr=False)
    extra: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a model needs an id, for example openai/gpt-4o-mini")
        if not self.window:
            object.__setattr__(self, "window", self._facts.window)
        if self.retries < 0 or self.timeout <= 0 or self.window < 0:
            raise ValueError("retries and window must not be negative, timeout must be above 0")

    @property
    def name(self) -> str:
        """The id."""
        return self.id

    @cached_property
    def provider(self) -> str:
        """Who serves the model: the id's first part, or what litellm's table says; else OpenAI's format."""
        first, slash, _ = self.id.partition("/")
        if slash and (not self.base_url or first in providers()):
            return first
        return "openai" if self.base_url else self._facts.provider or "openai"

    @cached_property
    def layout(self) -> Layout:
        """Tools first; four cache marks where the provider wants them placed by hand."""
        return Layout(cache_marks=4 if self.provider == "anthropic" or "claude" in self.id else 0)

    def price(self, section: Section) -> int:
        """Tokens the section costs in this model's prompt, overhead included."""
        return render.price(section, self._counts)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt."""
        return render.prompt_price(render.chat(context, self.layout), self._counts)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The answer, streamed as events.

        Raises MissingExtra without litellm, MissingKey, ContextOverflow, RateLimited when still limited
        after all retries, and ModelError for everything else, a stream that breaks off included: the only
        partial answer is a cancelled one.
        """
        return at_once(self._answer(Blocking(), context, ask, on_event))

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        return await self._answer(Awaiting(), context, ask, on_event)

    async def _answer(
        self, transport: Transport, context: Context, ask: Ask, on_event: OnEvent | None
    ) -> Answer:
        emit = on_event or _ignore
        request = self._request(context, ask)
        for attempt in range(self.retries + 1):
            assembly = Assembly(self.provider)
            failure = await self._attempt(transport, request, ask, assembly, emit)
            if failure is None:
                return self._finished(assembly, context, ask, emit)
            wait = self._wait(failure, attempt)
            if assembly.began or wait is None or attempt == self.retries or _too_late(ask, wait):
                raise failure.error
            logger.info("%s; attempt %d follows in %.1f s", failure.error, attempt + 2, wait)
            await _rest(transport, wait, ask)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(
        self, transport: Transport, request: dict[str, Any], ask: Ask, assembly: Assembly, emit: OnEvent
    ) -> Failure | None:
        """What went wrong; None where the assembly is complete or was cancelled."""
        opened = None
        try:
            if _cancelled(ask):
                assembly.cancelled = True
                return None
            opened = await transport.open({**request, "timeout": self._patience(ask)})
            if not self.stream:
                _feed(assembly, opened, emit)
                return None if assembly.finish else self._broken("no answer in the response")
            while (piece := await transport.next(opened)) is not None:
                if _cancelled(ask):
                    assembly.cancelled = True
                    return None
                self._patience(ask)
                _feed(assembly, piece, emit)
            # litellm makes up an end, and an estimate of usage, where the provider sent none
            if not any(chunk.usage for chunk in opened.chunks if hasattr(chunk, "usage")):
                assembly.usage = None
            if not (opened.received_finish_reason or opened.intermittent_finish_reason):
                return self._broken("the stream broke off before the answer was complete")
        except wire.failures() as error:
            return read_failure(error, self.id, self.provider, [self.api_key or ""])
        finally:
            if opened is not None:
                await transport.close(opened)
        return None

    def _request(self, context: Context, ask: Ask) -> dict[str, Any]:
        temperature = self.temperature if ask.temperature is None else ask.temperature
        prompt = render.chat(context, self.layout)
        schema = self._facts.schema if self.structured is None else self.structured
        request = body(
            prompt, ask.model_copy(update={"temperature": temperature}), self.provider, schema=schema
        )
        request |= {"model": self.id, "stream": self.stream, "max_retries": 0, "drop_params": True}
        if self.stream:
            request["stream_options"] = {"include_usage": True}
        if prompt.tools:
            request["_skip_mcp_handler"] = True  # litellm 1.106 cannot take tools without the mcp package
        if self.base_url:
            request |= {"api_base": self.base_url, "custom_llm_provider": self.provider}
            request["model"] = self.id.removeprefix(f"{self.provider}/")
        if self.api_key or (self.base_url and self.provider == "openai"):
            request["api_key"] = self.api_key or "none"  # else OPENAI_API_KEY would go to a stranger
        return request | dict(self.extra)

    def _finished(self, assembly: Assembly, context: Context, ask: Ask, emit: OnEvent) -> Answer:
        message, finish = assembly.message(), assembly.ended()
        if assembly.cancelled:  # half a call must not be run
            message, finish = assistant(assembly.text), "cancelled"
        usage = assembly.usage or Usage(
            calls=1,
            input=self.price_context(context),
            output=self._counts.count(assembly.text),
            exact=False,
        )
        if usage.exact and isinstance(self._counts, Calibrated):
            self._counts.billed(usage.input, self.price_context(context))
        usage = usage.model_copy(update={"cost": self._facts.cost(usage)})
        for call in message.calls:
            emit(Event(type="call", call=call))
        emit(Event(type="usage", usage=usage))
        return Answer(
            message=message,
            finish=finish,
            parsed=None if assembly.cancelled else parsed_or_none(assembly.text, ask.want),
            usage={"answer": usage},
            model=self.id,
        )

    def _wait(self, failure: Failure, attempt: int) -> float | None:
        """Seconds to wait before the next attempt; None where none makes sense."""
        if not failure.again or (failure.after or 0) > self.patience:
            return None
        # jitter, so that many clients do not come back at once
        wait = min(self.patience, self.backoff * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311
        return max(failure.after or 0.0, wait)

    def _patience(self, ask: Ask) -> float:
        """Seconds a request may take. Raises ModelError past the deadline."""
        left = self.timeout if ask.deadline is None else ask.deadline - time.monotonic()
        if left <= 0:
            raise ModelError(f"{self.id}: the deadline passed before the answer was complete")
        return min(self.timeout, left)

    def _broken(self, what: str) -> Failure:
        return Failure(ModelError(f"{self.id}: {what}"), again=True)

    @cached_property
    def _counts(self) -> Counter:
        return self.counter or counter_for(self.id)

    @cached_property
    def _facts(self) -> Facts:
        return facts(self.id)


def _feed(assembly: Assembly, piece: Any, emit: OnEvent) -> None:
    for event in assembly.feed(piece.model_dump()):
        emit(event)


async def _rest(transport: Transport, seconds: float, ask: Ask) -> None:
    """Rest, but not longer than until the caller cancels."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not _cancelled(ask):
        await transport.rest(min(left, _NAP))


def _cancelled(ask: Ask) -> bool:
    return ask.cancelled is not None and ask.cancelled()


def _too_late(ask: Ask, wait: float) -> bool:
    return ask.deadline is not None and time.monotonic() + wait >= ask.deadline


def _ignore(event: Event) -> None:
    """Nobody listens."""
