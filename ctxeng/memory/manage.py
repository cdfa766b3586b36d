"""The tools by which a model edits its own memory (Memory-as-Action), and looks into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.intake import FROM_MEMORY
from ctxeng.memory.recall import Found, Recall
from ctxeng.memory.record import Pruned, Record, Restored, record_id, record_number
from ctxeng.memory.session import Session
from ctxeng.memory.view import Change
from ctxeng.turn import Call, Result, Tool

PRUNE, RESTORE, SEARCH = "prune_context", "restore_context", "recall_memory"
_PAGE = 6_000  # characters of a text that is read by reference
_SHOWN = 600  # characters of each text that a search finds
_COUNT = 5

_IDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
PRUNE_TOOL = Tool(
    name=PRUNE,
    description=(
        "Take tool results that are no longer needed out of the context and put a short note in their place. "
        "A result's id stands in brackets at its beginning. Do it rarely and for many at once: everything "
        "behind the first one is read anew. They are kept, and restore_context brings them back."
    ),
    parameters={
        "type": "object",
        "properties": {
            "record_ids": {**_IDS, "description": "ids, for example m12"},
            "summary": {"type": "string", "description": "what of them is still needed, in a few sentences"},
        },
        "required": ["record_ids", "summary"],
        "additionalProperties": False,
    },
)
RESTORE_TOOL = Tool(
    name=RESTORE,
    description="Put results that were cleared or taken out back into the context, in full.",
    parameters={
        "type": "object",
        "properties": {"record_ids": _IDS},
        "required": ["record_ids"],
        "additionalProperties": False,
    },
)
SEARCH_TOOL = Tool(
    name=SEARCH,
    description=(
        "Look up what was said earlier, in this session or others, and is not in the context: give a query, "
        "or the ref of one text to read it whole."
    ),
    parameters={
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what you look for"},
            "ref": {"type": "string", "description": "as a search, a summary or a cleared result names it"},
            "start": {"type": "integer", "minimum": 0, "description": "the character to read on from"},
        },
        "additionalProperties": False,
    },
)


@dataclass(frozen=True)
class Desk:
    """Answers those calls for one session."""

    session: Session
    recall: Recall | None = None

    def answered(self, call: Call) -> Result:
        """The call's result; an error result says what is wrong with it."""
        if call.malformed:
            return Result(call_id=call.id, text="the arguments are not valid JSON", is_error=True)
        try:
            said = self._search(call) if call.name == SEARCH else self._edit(call)
        except (BadInput, Conflict) as error:
            return Result(call_id=call.id, text=str(error), is_error=True)
        return Result(call_id=call.id, text=said)

    def _edit(self, call: Call) -> str:
        numbers = self._numbers(call.arguments.get("record_ids"))
        named = ", ".join(map(record_id, numbers))
        if call.name == RESTORE:
            return f"restored {named}; {_cost(self.session.edit(Restored(numbers=numbers)))}"
        summary = call.arguments.get("summary")
        if not isinstance(summary, str):
            raise BadInput("`summary` is needed: what of these records is still needed, or an empty string")
        note = f"(note on {named}: {summary.strip()})" if summary.strip() else ""
        change = self.session.edit(Pruned(numbers=numbers, text=note))
        return f"took out {named}; {_cost(change)}"

    def _numbers(self, given: object) -> tuple[int, ...]:
        if not isinstance(given, list) or not given:
            raise BadInput("`record_ids` is needed: a list of ids, for example ['m12', 'm14']")
        found = [record_number(str(name)) for name in given]
        for name, number in zip(given, found, strict=True):
            if number is None or not 1 <= number <= len(self.session.view.records):
                raise BadInput(f"there is no record {str(name)[:40]!r}; ids stand in brackets before results")
        return tuple(sorted({number for number in found if number is not None}))

    def _search(self, call: Call) -> str:
        ref, query = call.arguments.get("ref") or "", call.arguments.get("query") or ""
        start = call.arguments.get("start") or 0
        if not isinstance(ref, str) or not isinstance(query, str) or not isinstance(start, int) or start < 0:
            raise BadInput("`query` and `ref` are strings, `start` is a number, 0 or more")
        if ref:
            return FROM_MEMORY + self._read(ref.strip().strip("[]"), start)
        if not query.strip():
            raise BadInput("give a query, or the ref of one text")
        if self.recall is None:
            raise BadInput("nothing is searched here; give the ref of one text")
        scope = self.session.scope.model_copy(update={"session": ""})
        shown = {f"{self.session.scope.session}:{name}" for name in shown_ids(self.session)}
        found = self.recall.search(query, scope, _COUNT, without=shown)
        return FROM_MEMORY + ("\n".join(map(line, found)) or "nothing was found; say it in other words")

    def _read(self, ref: str, start: int) -> str:
        record = self._record(ref)
        text = record.message.text
        if start >= max(len(text), 1):
            raise BadInput(f"{ref} has {len(text)} characters; give a start below that")
        end = min(start + _PAGE, len(text))
        more = f"\n[{end} of {len(text)} characters; read on with start={end}]" if end < len(text) else ""
        return text[start:end] + more

    def _record(self, ref: str) -> Record:
        session, _, name = ref.rpartition(":")
        number = record_number(name)
        own = self.session.scope.session
        if number is not None:
            scope = self.session.scope.model_copy(update={"session": session or own})
            here = scope.session == own
            records = self.session.view.records if here else self.session.store.load(scope).records
            if 1 <= number <= len(records):
                return records[number - 1]
        raise BadInput(f"there is no text with the ref {ref[:80]!r}")


def shown_ids(session: Session) -> set[str]:
    """The ids of the records that the session's view shows whole."""
    view = session.view
    return {
        record_id(number)
        for unit in (*view.kept, *view.units)
        for number in unit.numbers
        if view.whole(number)
    }


def line(found: Found) -> str:
    """A find as one line: its ref, who said it and when, the beginning of its text."""
    first, text = found.records[0], " ".join(found.text.split())
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + " ..."
    who = first.message.role if len(found.records) == 1 else f"{len(found.records)} messages"
    return f"- [{found.ref}] {who}{f', {first.time}' if first.time else ''}: {short}"


def offered(names: Sequence[str]) -> dict[str, Tool]:
    """The tools of these names."""
    return {tool.name: tool for tool in (PRUNE_TOOL, RESTORE_TOOL, SEARCH_TOOL) if tool.name in names}


def _cost(change: Change) -> str:
    return (
        f"{change.saved} tokens freed; the first {change.first} tokens of the history stay as they were, "
        f"{change.rewritten} are read anew"
    )
