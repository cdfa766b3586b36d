"""Sessions for tests: messages in a line, prices anyone can add up, a store in memory."""

from __future__ import annotations

from ctxeng.memory.policy import Policy
from ctxeng.memory.session import Session
from ctxeng.memory.store import SqlStore
from ctxeng.memory.summary import Folded
from ctxeng.message import Call, Message, Result
from ctxeng.storage.sql import open_database
from ctxeng.turn import Scope, Usage

SCOPE = Scope(tenant="acme", user="ada", session="monday")


def price(message: Message) -> int:
    """One token a word of text, and one a call."""
    return len(message.text.split()) + len(message.calls)


def call(*names: str, tool: str = "find") -> Message:
    """An assistant's message that makes these calls."""
    return Message(
        role="assistant", parts=tuple(Call(id=name, name=tool, arguments={"q": name}) for name in names)
    )


def result(name: str, text: str = "found") -> Message:
    """What a call returned."""
    return Message(role="tool", parts=(Result(call_id=name, text=text),))


def words(count: int, word: str = "word") -> str:
    """That many words."""
    return " ".join([word] * count)


def store() -> SqlStore:
    """An empty store in memory."""
    return SqlStore(open_database("sqlite::memory:"))


def session(*messages: Message, policies: tuple[Policy, ...] = (), kept: SqlStore | None = None) -> Session:
    """A session with these messages, keys being their places."""
    opened = Session(kept or store(), SCOPE, price, policies)
    opened.append([(f"{place}", message) for place, message in enumerate(messages)])
    return opened


class Recording:
    """A summariser that notes what it reads, and keeps a word of each piece."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The summary with one word more."""
        self.seen.append(text)
        said = f"{summary} folded{len(self.seen)}".split()[-room:]
        return Folded(" ".join(said), Usage(calls=1, input=len(text.split()), output=1))
