"""Messages as applications have them become records: one result a message, one id a call, nothing empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ctxeng.memory.record import Record
from ctxeng.message import Call, Message, Part, Result, Text

RECALLED = "recalled:"  # how the id of a message begins that recall put into a window
FROM_MEMORY = "From memory:\n"  # how the result of a call begins by which the model recalled something


def taken_in(messages: Sequence[tuple[str, Message]], after: int, time: str = "") -> list[Record]:
    """Records for (key, message) pairs, numbered on from `after`.

    A message of several results, or of results and words, becomes several records; the further ones have
    the key with a suffix. Messages that say nothing, and those that recall brought in, are left out.
    """
    records: list[Record] = []
    for key, message in messages:
        if message.id.startswith(RECALLED):
            continue
        for place, piece in enumerate(_pieces(message)):
            number = after + len(records) + 1
            own = f"{key}.{place}" if key and place else key
            again = piece.role == "tool" and piece.text.startswith(FROM_MEMORY)
            records.append(Record(number=number, message=piece, key=own, time=time, recalled=again))
    return records


def _pieces(message: Message) -> Iterator[Message]:
    results = [part for part in message.parts if isinstance(part, Result)]
    for result in results:
        yield Message(role="tool", parts=(result,), id=message.id)
    role = "user" if message.role == "tool" else message.role
    rest = tuple(_distinct(part for part in message.parts if not isinstance(part, Result)))
    if role != "assistant":  # nobody but the model calls tools
        rest = tuple(part for part in rest if not isinstance(part, Call))
    if all(isinstance(part, Text) and not part.text.strip() for part in rest):
        return
    same = rest == message.parts and role == message.role
    yield message if same else Message(role=role, parts=rest, id=message.id)


def _distinct(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts with every call's id its own; the further ones of an id get a suffix."""
    seen: dict[str, int] = {}
    for part in parts:
        if isinstance(part, Call):
            seen[part.id] = seen.get(part.id, 0) + 1
            yield part if seen[part.id] == 1 else part.model_copy(update={"id": f"{part.id}~{seen[part.id]}"})
        else:
            yield part
