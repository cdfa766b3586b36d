"""A generation: what is asked for, the handle that streams it, and how it ended."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from torch import Tensor

from ctxeng.errors import Cancelled, CtxengError, ModelError
from ctxeng.runtime.sampling import Sampling

if TYPE_CHECKING:
    from ctxeng.runtime.speculative import Drafter

Ended = Literal["stop", "length", "cancelled", "error"]


class Constraint(Protocol):
    """What may come next. One for each generation: it keeps state."""

    def mask(self) -> Tensor:
        """Which tokens are allowed now, bool [vocab]."""
        ...

    def accept(self, token: int) -> None:
        """The token was chosen."""
        ...


@dataclass(frozen=True)
class Generate:
    """What to generate: at most `max_tokens`, until a token of `stop` or a text of `stop_texts` comes.

    A stop token ends it and is not given out; of a stop text nothing is given out either.
    """

    max_tokens: int = 256
    sampling: Sampling = Sampling()
    stop: tuple[int, ...] = ()
    stop_texts: tuple[str, ...] = ()
    constraint: Callable[[], Constraint] | None = None
    deadline: float | None = None  # a time.monotonic() second
    drafter: Drafter | None = None


@dataclass(frozen=True)
class Token:
    """One generated token, its log-probability before filters (in nats), and text that is now certain."""

    id: int
    logprob: float
    text: str = ""


@dataclass(frozen=True)
class Report:
    """How a generation went. Counts are tokens, times are seconds.

    `cached` tokens of the prompt came out of the prefix store; `changed` is the number of the first token
    that did not, or None where nothing had to be encoded.
    """

    ended: Ended
    prompt: int
    cached: int
    generated: int
    changed: int | None
    first: float  # until the first token
    total: float
    bytes_held: int
    rest: str = ""  # text held back until the end
    notes: tuple[str, ...] = ()
    drafted: int = 0  # tokens guessed by the drafter
    accepted: int = 0  # of them, those that were right
    close: int = (
        0  # choices whose two best logits lay within 1e-4: there another pass shape may choose otherwise
    )


@dataclass
class Handle:
    """A generation under way: iterate over its tokens, or `cancel()` it. Belongs to one reader."""

    _queue: queue.SimpleQueue[Token | Report | BaseException] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    report: Report | None = None
    sink: Callable[[Token | Report | BaseException], None] | None = (
        None  # takes the items in the reader's place
    )
    _failed: BaseException | None = None

    def __iter__(self) -> Iterator[Token]:
        """Tokens as they come. Raises what stopped the generation, if an error did."""
        while self.report is None:
            if self._failed is not None:
                raise self._failed
            item = self._queue.get()
            if isinstance(item, Token):
                yield item
            elif isinstance(item, Report):
                self.report = item
            else:
                self._failed = item
                raise item

    def cancel(self) -> None:
        """Stop before the next token; what it held is given back. Harmless when it has ended."""
        self.cancelled = True

    def result(self) -> tuple[list[int], Report]:
        """All token ids, and the report. Raises Cancelled where it was cancelled."""
        ids = [token.id for token in self]
        assert self.report is not None
        if self.report.ended == "cancelled":
            raise Cancelled("the generation was cancelled")
        return ids, self.report

    def text(self) -> str:
        """All of the text, when the generation has ended. Raises what `result` raises."""
        found = [token.text for token in self]
        assert self.report is not None
        if self.report.ended == "cancelled":
            raise Cancelled("the generation was cancelled")
        return "".join(found) + self.report.rest

    # -- the engine's side ------------------------------------------------------------------------------

    def put(self, item: Token | Report) -> None:
        """Hand the reader its next item."""
        self._hand(item)

    def fail(self, error: BaseException) -> None:
        """End it with an error: ours as it is, any other as a ModelError that names it."""
        if not isinstance(error, CtxengError):
            named = ModelError(f"the local runtime failed: {type(error).__name__}: {error}")
            named.__cause__ = error
            error = named
        self._hand(error)

    def _hand(self, item: Token | Report | BaseException) -> None:
        if self.sink is None:
            self._queue.put(item)
            return
        try:
            self.sink(item)
        except Exception:  # noqa: BLE001 - the reader is gone, and the engine's thread is everybody's
            self.cancelled = True
