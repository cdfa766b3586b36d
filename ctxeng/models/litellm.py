"""Any hosted model, or any server that speaks OpenAI's chat format, through litellm."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any, Protocol, TypeVar

from pydantic import JsonValue

from ctxeng import render
from ctxeng.errors import MissingExtra, ModelError
from ctxeng.models.chat import Assembly, body
from ctxeng.models.facts import Facts, facts
from ctxeng.models.failures import Failure, read_failure
from ctxeng.models.replies import parsed_or_none
from ctxeng.protocols import Event, Layout, OnEvent
from ctxeng.tokens import Counter, counter_for
from ctxeng.turn import Answer, Ask, Context, Message, Section, Text, Usage

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NAP = 0.1  # seconds between two looks at whether the caller cancelled


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
        if self.retries < 0 or self.timeout <= 0 or self.window < 0:
            raise ValueError("retries and window must not be negative, timeout must be above 0")
        if not self.window:
            object.__setattr__(self, "window", self._facts.window)

    @property
    def name(self) -> str:
        """The id."""
        return self.id

    @property
    def provider(self) -> str:
        """Who serves the model: the id's first part, or what litellm's table says."""
        first, slash, _ = self.id.partition("/")
        return first if slash else self._facts.provider or "openai"

    @cached_property
    def layout(self) -> Layout:
        """Tools first; four cache marks where the provider wants them placed by hand."""
        return Layout(cache_marks=4 if self.provider == "anthropic" or "claude" in self.id else 0)

    def price(self, section: Section) -> int:
        """Tokens the section costs in this model's prompt, overhead included."""
        return render.price(section, self._counter)

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt."""
        return render.prompt_price(render.chat(context, self.layout), self._counter)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The answer, streamed as events.

        Raises MissingExtra without litellm, MissingKey, ContextOverflow, RateLimited when still limited
        after all retries, and ModelError for everything else, a stream that breaks off included: there is
        no partial answer but a cancelled one.
        """
        return _at_once(self._answer(Blocking(), context, ask, on_event))

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        return await self._answer(Awaiting(), context, ask, on_event)
