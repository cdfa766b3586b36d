"""What the adapters of LangChain and langmem share: messages, a stand-in model, windows as outcomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from ctxeng.errors import BadInput
from ctxeng.tokens import Counter
from ctxeng.turn import Usage
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece, Solver

SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
Compact = Callable[[Sequence[BaseMessage]], Sequence[BaseMessage]]


class Quoter:
    """Stands in for a summarising model: it quotes the newest sentences it is shown, up to `size` tokens.

    What is compared with it is the peer's mechanics: when it summarises, what it shows the model (`usage`
    has the tokens read and written) and what it keeps verbatim. A real model's summaries are better.
    """

    def __init__(self, counter: Counter, size: int) -> None:
        self.counter, self.size, self.usage = counter, size, Usage()

    def summary(self, messages: Sequence[BaseMessage]) -> str:
        """The newest sentences of these messages, in reading order."""
        left = self.size
        quoted: list[str] = []
        for sentence in reversed([each for m in messages for each in SENTENCE.split(m.text) if each.strip()]):
            tokens = self.counter.count(sentence) + 1
            if tokens <= left:
                left -= tokens
                quoted.append(sentence)
        self.usage += Usage(calls=1, input=tokens_of(self.counter, messages), output=self.size - left)
        return " ".join(reversed(quoted))


def tokens_of(counter: Counter, messages: Sequence[BaseMessage]) -> int:
    """Tokens of the messages as our own selections count items: each with the line break behind it."""
    return sum(counter.count(message.text) + 1 for message in messages)


def history(items: Sequence[Item]) -> list[BaseMessage]:
    """The items as LangChain messages; without the system's, which agents hold apart from the history.

    A tool's message answers a call of the assistant's message before it, for peers look for the call.
    """
    made: list[BaseMessage] = []
    for item in items:
        match item.role:
            case "system":
                continue
            case "assistant":
                made.append(AIMessage(item.body, id=item.id))
            case "tool":
                call = {
                    "name": item.title or "tool",
                    "args": {},
                    "id": f"call-{item.id}",
                    "type": "tool_call",
                }
                caller = next((m for m in reversed(made) if isinstance(m, AIMessage)), None)
                if caller is not None:
                    caller.tool_calls = [*caller.tool_calls, call]
                made.append(ToolMessage(item.body, id=item.id, name=item.title, tool_call_id=call["id"]))
            case _:
                made.append(HumanMessage(item.body, id=item.id))
    return made


def asked_at(messages: Sequence[BaseMessage]) -> Iterator[int]:
    """The lengths that the history had when the model was called, the call for the question included."""
    for length, message in enumerate(messages, 1):
        following = messages[length] if length < len(messages) else None
        if following is None or not (isinstance(message, AIMessage) or isinstance(following, ToolMessage)):
            yield length


def compacting(
    peer: str,
    dataset: Dataset,
    compact: Callable[[Quoter], Compact],
    *,
    budget: int,
    counter: Counter,
    summary: float = 0.0,
) -> Solver:
    """A solver whose window is what the peer leaves of the history, held to the budget.

    `summary` is the share of the budget that a summary may take. The peers do not look at the question, so
    a pool that cases share is compacted once, and each of its cases bears that bill. What a peer leaves may
    be over the budget (a long message, nothing to clear): summaries are taken first, then the newest
    messages, skipping what no longer fits.
    """
    if budget < 1 or not 0 <= summary < 1:
        raise BadInput(f"peer {peer}: budget {budget}, summary {summary}; they take 1 or more, and 0 to 1")

    def window(items: Sequence[Item]) -> Outcome:
        quoter = Quoter(counter, int(budget * summary))
        left = compact(quoter)(history(items))
        bodies = {item.id: item.body for item in items}
        kept = _fitting([_piece(peer, each, bodies, counter) for each in left], budget)
        selected = tuple(piece.ref for piece in kept if piece.ref)
        usage = {"summarize": quoter.usage} if quoter.usage.calls else {}
        return Outcome(selected=selected, window=tuple(kept), usage=usage)

    shared = lru_cache(maxsize=64)(lambda name: window(dataset.pools[name]))

    def solve(case: Case) -> Outcome:
        return shared(case.pool) if case.pool and not case.items else window(dataset.items(case))

    return solve


def _piece(peer: str, message: BaseMessage, bodies: dict[str, str], counter: Counter) -> Piece:
    """The message as a piece: an item's own where its text is still the item's."""
    tokens = tokens_of(counter, [message])
    if message.id in bodies and bodies[message.id] == message.text:
        return Piece(source=peer, kind="message", ref=message.id, tokens=tokens)
    kind = "cleared" if message.id in bodies else "summary"
    return Piece(source=peer, kind=kind, tokens=tokens, text=str(message.text))


def _fitting(pieces: Sequence[Piece], budget: int) -> list[Piece]:
    """Those that fit, in the order given."""
    chosen: list[int] = []
    for place in sorted(range(len(pieces)), key=lambda i: (pieces[i].kind != "summary", -i)):
        if pieces[place].tokens <= budget:
            budget -= pieces[place].tokens
            chosen.append(place)
    return [pieces[place] for place in sorted(chosen)]
