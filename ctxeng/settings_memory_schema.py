"""Memory in a settings file: where it is kept, when it shrinks, what it recalls."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from ctxeng.errors import BadInput
from ctxeng.memory.trigger import trigger
from ctxeng.settings_types import Names, SourceSettings, Tokens
from ctxeng.turn import Value


def _when(value: Any) -> Any:
    if isinstance(value, str) and value:
        try:
            trigger(value)
        except BadInput as error:  # with file and line, as every fault of a file
            raise ValueError(str(error)) from error
    return value


When = Annotated[str, BeforeValidator(_when)]


class SummarizeSettings(Value):
    """When history becomes a summary; empty: at a quarter of the window.

    The newest `keep` tokens stay beside a summary of `room` tokens; the summariser reads `chunk` tokens at a
    time. One question may lead to `rounds` summaries.
    """

    when: When = ""
    keep: Annotated[Tokens, Field(ge=1)] | None = None
    room: Annotated[Tokens, Field(ge=16)] | None = None
    chunk: Annotated[Tokens, Field(ge=64)] = 4_000
    rounds: int | None = Field(default=None, ge=0)


class ClearSettings(Value):
    """When old results leave the window while their calls stay: Anthropic's names and meanings.

    `pays` also asks that, over that many calls, clearing saves what it costs in cached tokens.
    """

    trigger: When = "tokens >= 100k"
    keep: int = Field(default=3, ge=0)
    clear_at_least: Tokens = 0
    exclude_tools: Names = ()
    clear_tool_inputs: bool = False
    pays: int | None = Field(default=None, ge=1)


class MemorySettings(SourceSettings):
    """Dialogue history as a source.

    Without a `store` it is what each request brings, newest first, at most `count` exchanges. With one
    (`sqlite:./memory.db`, `postgresql://...`, or `store_env`, the environment variable that has the URL),
    sessions are kept: `summarize` and `clear` say when they shrink (`summarize: false`: never), results of
    more than `aside` tokens are shown in part, `recall` is how many tokens of what the window does not show
    are looked up for each question. `edits` lets the model take results out of its context, `ask` lets it
    look things up. `files` is a folder, one for each user in it, of files that the model keeps for itself
    (Anthropic's memory tool). `retain` drops sessions that nobody wrote to for so many days.
    """

    count: int | None = Field(default=None, ge=0)
    store: str = ""
    store_env: str = ""
    summarize: SummarizeSettings | bool = SummarizeSettings()
    clear: ClearSettings | None = None
    aside: Annotated[Tokens, Field(ge=64)] | None = None
    recall: Tokens = 1_000
    edits: bool = False
    ask: bool = False
    files: str = ""
    retain: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _kept(self) -> Self:
        if self.store and self.store_env:
            raise ValueError("`store` and `store_env` exclude each other")
        if self.store or self.store_env:
            if self.count is not None:
                raise ValueError("`count` is for a memory without a `store`")
            return self
        needy = [name for name in ("clear", "aside", "edits", "ask", "retain") if getattr(self, name)]
        if needy:
            raise ValueError(f"`{needy[0]}` needs a `store`, for example sqlite:./memory.db")
        return self
