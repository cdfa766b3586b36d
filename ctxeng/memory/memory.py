"""Memory for those who want only it: their messages in, a window of messages out."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ctxeng.errors import BadInput
from ctxeng.memory.policy import Policy
from ctxeng.memory.session import Done, Session, now
from ctxeng.memory.stored import Forgotten, MemoryStore
from ctxeng.memory.view import Price
from ctxeng.message import Image, Message, Opaque
from ctxeng.tokens import Counter
from ctxeng.turn import Scope

_SESSIONS = 1_000  # held live; older ones are read again
_FRAME = 4  # tokens that providers bill around a message


def message_price(counter: Counter, message: Message) -> int:
    """Tokens of a message with its calls, and what providers bill around it."""
    texts = [message.text]
    for part in message.parts:
        if part.type == "call":
            texts.append(f"{part.id} {part.name} {part.malformed or json.dumps(part.arguments)}")
        elif part.type == "result":
            texts.append(part.call_id)
        elif isinstance(part, Opaque):
            texts.append(json.dumps(part.payload))
    images = sum(part.tokens for part in message.parts if isinstance(part, Image))
    return _FRAME + images + sum(counter.count(text) for text in texts if text)


@dataclass
class _Followed:
    """How far an application's own list of messages was taken in."""

    count: int = 0
    last: Message | None = None


@dataclass(frozen=True)
class Memory:
    """Sessions of a store, kept small by policies. Safe with several threads.

    `policies` are asked in order, before every call of a model; the first that wants an edit gets it.
    """

    store: MemoryStore
    price: Price
    policies: Sequence[Policy] = ()
    marked: bool = False
    clock: Callable[[], str] = now
    _live: OrderedDict[Scope, Session] = field(default_factory=OrderedDict, init=False, repr=False)
    _lists: dict[Scope, _Followed] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def session(self, scope: Scope) -> Session:
        """The session of this scope, live. Raises BadInput where the scope names none."""
        with self._lock:
            session = self._live.get(scope)
            if session is None:
                if not scope.session:
                    raise BadInput("a memory needs a session: give Scope(session=...)")
                opened = Session(self.store, scope, self.price, self.policies, self.marked, self.clock)
                session = self._live[scope] = opened
                while len(self._live) > _SESSIONS:
                    gone, _ = self._live.popitem(last=False)
                    self._lists.pop(gone, None)
            self._live.move_to_end(scope)
            return session

    def compact(self, messages: Sequence[Message], scope: Scope = Scope(session="default")) -> list[Message]:  # noqa: B008 - frozen
        """The window's messages for an application's own list, which only grows.

        What is new at its end is taken in, and edits are made where they are due. Costs O(what is new) where
        none is. Raises BadInput where messages that were taken in earlier are others now.
        """
        window, _ = self.compacted(messages, scope)
        return window

    def compacted(self, messages: Sequence[Message], scope: Scope) -> tuple[list[Message], list[Done]]:
        """The same, and the edits that were made."""
        session = self.session(scope)
        with session.lock:
            followed = self._lists.setdefault(scope, _Followed())
            if not followed.count:
                followed.count = _known(session)
                followed.last = messages[followed.count - 1] if 0 < followed.count <= len(messages) else None
            count = followed.count
            if count > len(messages) or (count and _other(messages[count - 1], followed.last)):
                raise BadInput(
                    f"session {scope.session!r}: its first {count} messages are not those taken in earlier; "
                    "a session's list only grows: name another session, or forget this one"
                )
            if len(messages) > count:
                fresh = [(f"#{place}", messages[place]) for place in range(count, len(messages))]
                session.append(fresh)
                followed.count, followed.last = len(messages), messages[-1]
            done = session.compact()
            return list(session.view.messages), done

    def forget(self, scope: Scope) -> Forgotten:
        """Remove everything of the sessions that match this filter; empty fields match anything.

        Raises what the store raises where it cannot overwrite what was removed: forget the same once more.
        """
        try:
            return self.store.forget(scope)
        finally:
            with self._lock:
                for known in [known for known in self._live if _matches(known, scope)]:
                    self._live.pop(known)
                    self._lists.pop(known, None)


def priced_by(counter: Counter) -> Price:
    """Prices of messages by this counter."""
    return partial(message_price, counter)


def _other(message: Message, last: Message | None) -> bool:
    return message is not last and message != last


def _known(session: Session) -> int:
    """How many messages of an application's list a session holds, by the keys they were given."""
    keys = (record.key.partition(".")[0] for record in reversed(session.view.records))
    return next((int(key[1:]) + 1 for key in keys if key.startswith("#")), 0)


def _matches(scope: Scope, wanted: Scope) -> bool:
    return all(not value or getattr(scope, name) == value for name, value in wanted.model_dump().items())
