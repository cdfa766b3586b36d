"""Memory as a source: what a session's window shows, what it recalls, and what is kept of every turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.memory.compaction import Compaction
from ctxeng.memory.facts import bearing, stated
from ctxeng.memory.gathered import (
    SOURCE,
    Filling,
    fact_section,
    given_units,
    sections_of,
)
from ctxeng.memory.manage import PRUNE, RESTORE, SEARCH, Desk, offered
from ctxeng.memory.memory import Memory
from ctxeng.memory.recall import Found, Recall
from ctxeng.memory.record import Record, record_id
from ctxeng.memory.session import Done, Session
from ctxeng.memory.unit import Shape
from ctxeng.message import Call, Message, Result, Trust
from ctxeng.protocols import Absorbed, Allowance
from ctxeng.turn import Request, Scope, Section, Step, Tool, Turn, Usage

_FRAME = 20  # characters that stand around a recalled text


@dataclass(frozen=True)
class MemorySource:
    """A session's history within its allowance; without a session, the newest of `request.history`.

    `recall` searches what the window does not show: at most `recalled` tokens and `share` of the allowance.
    With `facts`, what users say of things is kept with its time; where the question names a thing, its newest
    value stands in the window, and what it was before. `edits` gives the model tools to take results out of
    its context, `asks` one to look things up; `limit` is what it is told of the room history has, in tokens.
    """

    memory: Memory
    recall: Recall | None = None
    recalled: int = 1_000
    share: float = 0.5
    found: int = 200
    facts: bool = True
    edits: bool = False
    asks: bool = False
    limit: int = 0

    # -- the source -------------------------------------------------------------------------------------

    def quiet(self, request: Request) -> bool:
        """Whether there is neither history nor a session."""
        return not request.history and not request.scope.session

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Tools, summary, the newest units, what is recalled; nothing twice."""
        filling, before = Filling(allowance, allowance.tokens), request.shown.get(SOURCE, ())
        if not request.scope.session:
            filling.history(given_units(request.history), Shape(), before)
            return filling.sections
        session = self._current(request.scope)
        with session.lock:
            view = session.view
            for tool in self._tools.values():
                filling.put(Section(kind="tool", source=SOURCE, body=tool))
            if self.edits:
                filling.put(Section(kind="query", source=SOURCE, body=self._room(session)))
            filling.summary(view.summary, _trust(view.records[: view.upto]))
            kept = [unit for unit in view.kept if filling.put(*sections_of(unit, view.shape))]
            older = given_units(list(unknown(request.history, session)))
            units = [*older, *view.units]
            reserve = min(self.recalled, int(filling.left * self.share)) if self.recall else 0
            if not older and view.tokens <= filling.left:
                reserve = 0  # the whole session fits
            filling.left -= reserve
            shown = filling.history(units, view.shape, before)
            filling.left += reserve
            whole = {n for u in (*kept, *shown) if u.stored for n in u.numbers if view.whole(n)}
        seen = {f"{request.scope.session}:{record_id(number)}" for number in whole}
        self._facts(request, filling, seen)
        self._recall(request, filling, seen)
        return filling.sections

    def _facts(self, request: Request, filling: Filling, seen: set[str]) -> None:
        """The newest values of what the question names, where they do not stand in the window anyway."""
        if not self.facts:
            return
        for state in bearing(self.memory.store.facts(request.scope), request.query.text):
            if state.newest.source not in seen:
                filling.put(fact_section(state))

    def _recall(self, request: Request, filling: Filling, seen: set[str]) -> None:
        if self.recall is None or filling.left <= 0 or not request.query.text.strip():
            return
        scope = request.scope.model_copy(update={"session": ""})
        found = self.recall.search(request.query.text, scope, self.found, price=_length, without=seen)
        filling.recalled(found, self.recalled)

    # -- what is kept -----------------------------------------------------------------------------------

    def remember(self, turn: Turn) -> dict[str, Usage]:
        """Keep the turn's messages; edits are made where they are due, though not for a turn that failed."""
        if not turn.request.scope.session:
            return {}
        session = self._current(turn.request.scope)
        self._keep(session, self._said(session, turn.id, turn.request, turn.steps))
        return {} if turn.error else _usage(session.compact())

    def absorb(self, turn_id: str, request: Request, steps: Sequence[Step]) -> Absorbed | None:
        """The older steps go into the summary, the newest of at most `keep` tokens stay with the window.

        None without a session or a policy that summarises, or where its rounds are spent.
        """
        policy = next((p for p in self.memory.policies if isinstance(p, Compaction)), None)
        if policy is None or not request.scope.session:
            return None
        session = self._current(request.scope)
        stay, left = 0, policy.keep
        for step in reversed(steps):
            left -= sum(self.memory.price(message) for _, message in _stepped("", [step]))
            if stay and left < 0:
                break
            stay += 1
        older = steps[: len(steps) - stay]
        with session.lock:
            if not older or policy.spent(session.view):
                return None
            self._keep(session, self._said(session, turn_id, request, older))
            proposed = policy.folded(session.view, len(session.view.records))
            if proposed is None:
                return Absorbed(stay)
            session.edit(proposed.edit)
        return Absorbed(stay, {"summarize": proposed.usage} if proposed.usage != Usage() else {})

    def keep(self, scope: Scope, messages: Sequence[tuple[str, Message]]) -> list[Record]:
        """Take (key, message) pairs into a session, and the facts that users state in them.

        A key that the session has is left out, so that taking the same in twice changes nothing.
        """
        return self._keep(self._current(scope), messages)

    def _keep(self, session: Session, messages: Sequence[tuple[str, Message]]) -> list[Record]:
        records = session.append(messages)
        if self.facts:
            said = [record for record in records if record.message.role == "user"]
            name = session.scope.session
            found = [f for r in said for f in stated(r.message.text, r.time, f"{name}:{r.id}")]
            if found:
                self.memory.store.note(session.scope, found)
        return records

    def _said(
        self, session: Session, turn: str, request: Request, steps: Sequence[Step]
    ) -> list[tuple[str, Message]]:
        return [*self._before(session, turn, request), *_stepped(turn, steps)]

    def _before(self, session: Session, turn: str, request: Request) -> list[tuple[str, Message]]:
        """What came before the turn's first step: history that the session lacks, and the query."""
        key = f"{turn}:q"
        if any(record.key == key for record in reversed(session.view.records)):
            return []  # it was all taken in when its first steps were absorbed
        history = unknown(request.history, session)
        return [*((f"{turn}:h{i}", message) for i, message in enumerate(history)), (key, request.query)]

    # -- what the model does ----------------------------------------------------------------------------

    def meant(self, call: Call) -> Call:
        """The call itself: none of these wraps another."""
        return call

    def offered(self, name: str, request: Request) -> Tool | None:
        """The tool of this name, where the session has it."""
        return self._tools.get(name) if request.scope.session else None

    def manage(self, call: Call, request: Request, beside: Sequence[Call]) -> Result | None:  # noqa: ARG002 - the seam's
        """What an edit did, or what was found."""
        if self.offered(call.name, request) is None:
            return None
        return Desk(self._current(request.scope), self.recall).answered(call)

    def adjusted(self, request: Request, step: Step) -> tuple[Request, bool]:
        """The request as it is; the window is assembled anew where an edit was made."""
        failed = {result.call_id for result in step.results if result.is_error}
        edited = (call.name in {PRUNE, RESTORE} and call.id not in failed for call in step.answer.calls)
        return request, any(edited) and self.edits and bool(request.scope.session)

    @property
    def _tools(self) -> dict[str, Tool]:
        return offered([*((PRUNE, RESTORE) if self.edits else ()), *((SEARCH,) if self.asks else ())])

    def _room(self, session: Session) -> str:
        used = session.view.tokens
        of = f" of at most {self.limit:,}" if self.limit else ""
        return f"(context: {used:,}{of} tokens of history; {PRUNE} frees some, {RESTORE} brings them back)"

    def _current(self, scope: Scope) -> Session:
        """The session, read anew where another process wrote to it."""
        session = self.memory.session(scope)
        if self.memory.store.version(scope) != session.version:
            session.refresh()
        return session


def _length(found: Found) -> int:
    """What a passage costs, as far as ranking goes: its characters and those of a frame around it."""
    return len(found.text) + _FRAME


def unknown(history: Sequence[Message], session: Session) -> Iterator[Message]:
    """The messages of an application's own history that a session lacks; what is said twice counts twice."""
    known = Counter(_said(record.message) for record in session.view.records) if history else Counter()
    for message in history:
        said = _said(message)
        if known[said] > 0:
            known[said] -= 1
        else:
            yield message


def _said(message: Message) -> tuple[object, ...]:
    calls = tuple((call.name, str(call.arguments)) for call in message.calls)
    return message.role, message.text, calls


def _stepped(turn: str, steps: Sequence[Step]) -> list[tuple[str, Message]]:
    """The steps' messages, each with a key that is the same whenever they are taken in."""
    found: list[tuple[str, Message]] = []
    for place, step in enumerate(steps):
        found.append((f"{turn}:{place}", step.answer.message))
        results = (Message(role="tool", parts=(result,)) for result in step.results)
        found += [(f"{turn}:{place}:{nth}", message) for nth, message in enumerate(results)]
    return found


def _trust(records: Sequence[Record]) -> Trust:
    return "untrusted" if any(record.message.role == "tool" for record in records) else "user"


def _usage(done: Sequence[Done]) -> dict[str, Usage]:
    total = sum((each.usage for each in done), Usage())
    return {"summarize": total} if total != Usage() else {}
