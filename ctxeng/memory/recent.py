"""The newest messages of a dialogue that fit, with calls and their results kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.protocols import Allowance
from ctxeng.turn import Message, Request, Section


@dataclass(frozen=True)
class RecentHistory:
    """`request.history` as a source: a recency window, at most `count` exchanges."""

    count: int | None = None

    def quiet(self, request: Request) -> bool:
        """Whether there is no history."""
        return not request.history

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """The newest exchanges that fit, oldest first. An exchange is kept whole or left out."""
        exchanges = split_exchanges(request.history)
        if self.count is not None:
            exchanges = exchanges[-self.count :] if self.count else []
        kept: list[list[Section]] = []
        left = allowance.tokens
        for exchange in reversed(exchanges):
            sections = [allowance.priced(_section(message)) for message in exchange]
            cost = sum(section.tokens for section in sections)
            if cost > left:
                break  # a gap in a dialogue misleads more than a short memory
            kept.append(sections)
            left -= cost
        return [section for sections in reversed(kept) for section in sections]


def split_exchanges(history: Sequence[Message]) -> list[list[Message]]:
    """The history cut before each user message, one tool result per message, orphaned results left out."""
    exchanges: list[list[Message]] = []
    opened: set[str] = set()
    for message in history:
        results = [part for part in message.parts if part.type == "result"]
        if results:
            # a result without its call is refused by every provider
            known = [part for part in results if part.call_id in opened]
            opened -= {part.call_id for part in known}
            if exchanges:
                exchanges[-1] += [message.model_copy(update={"parts": (part,)}) for part in known]
            rest = tuple(part for part in message.parts if part.type != "result")
            if not rest:
                continue
            # some formats put a result and the words that go with it into one message
            message = message.model_copy(update={"role": "user", "parts": rest})  # noqa: PLW2901
        if message.role == "user" or not exchanges:
            exchanges.append([])
            opened.clear()
        opened |= {call.id for call in message.calls}
        exchanges[-1].append(message)
    return [_answered(exchange) for exchange in exchanges]


def _answered(exchange: list[Message]) -> list[Message]:
    """The exchange up to the first call that never got a result."""
    answered = {part.call_id for message in exchange for part in message.parts if part.type == "result"}
    for index, message in enumerate(exchange):
        if any(call.id not in answered for call in message.calls):
            return exchange[:index]
    return exchange


def _section(message: Message) -> Section:
    trust = "untrusted" if message.role == "tool" else "user"
    return Section(kind="message", source="memory", body=message, ref=message.id, trust=trust)
