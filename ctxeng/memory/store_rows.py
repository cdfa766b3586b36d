"""Values of a memory as rows: JSON that text columns of every database can hold, and back again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ctxeng.errors import BadInput
from ctxeng.memory.record import Edit, Pruned, Record, Shortened, Summarised
from ctxeng.memory.stored import Fact
from ctxeng.message import Call, Message, Opaque, Result, Text
from ctxeng.turn import Scope, Value

T = TypeVar("T")

RECORDS = TypeAdapter(list[Record])
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])
FACTS = TypeAdapter(list[Fact])

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LONGEST = 800  # bytes; PostgreSQL's indexes take rows of 2,700
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair; UTF-8 has no place for it


def body(value: Value) -> str:
    """The value as JSON, with NaN and infinities, NULs escaped, halves of surrogate pairs escaped.

    Two halves side by side come back as the character they are the halves of; all else comes back exactly.
    """
    text = _ENCODER.encode(value.model_dump())
    if text.isascii():
        return text
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def values(kind: TypeAdapter[list[T]], bodies: Sequence[str]) -> list[T]:
    """The values of these bodies."""
    try:
        return kind.validate_json(f"[{','.join(bodies)}]")
    except ValidationError:  # pydantic's reader knows no halves of pairs
        return kind.validate_python([json.loads(text) for text in bodies])


def named(text: str) -> str:
    """The text where an indexed column can hold it, else its digest."""
    if text.isascii() and len(text) <= _LONGEST and "\0" not in text:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) <= _LONGEST and "\0" not in text and not _HALF.search(text):
        return text
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def digest(*texts: str) -> str:
    """The sha256 of these texts, in hex; no two lists of texts share one."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def checked(scope: Scope) -> Scope:
    """The scope. Raises BadInput where a field is longer than 800 bytes, or no database can hold it."""
    for field in ("tenant", "user", "session"):
        text = getattr(scope, field)
        if named(text) != text:
            raise BadInput(
                f"the {field} {text[:40]!r} cannot be kept: at most {_LONGEST} bytes of UTF-8, no NUL and no "
                "half of a surrogate pair; use an id or a digest of it"
            )
    return scope


def names(scope: Scope) -> tuple[str, str, str]:
    """Tenant, user and session, checked."""
    checked(scope)
    return scope.tenant, scope.user, scope.session


def owner_digest(scope: Scope) -> str:
    """What stands for tenant and user where nothing of theirs must stay readable."""
    checked(scope)
    # a NUL is in neither of them
    return hashlib.sha256(f"{scope.tenant}\0{scope.user}".encode()).hexdigest()


def record_texts(record: Record) -> Iterator[str]:
    """Every text that a record holds, whole arguments and the strings inside them."""
    yield from _message_texts(record.message)


def edit_texts(edit: Edit) -> Iterator[str]:
    """The text that an edit puts into the window."""
    if isinstance(edit, Summarised | Shortened | Pruned):
        yield edit.text


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that say something, each once, in order."""
    return tuple(dict.fromkeys(text for text in texts if text))


def _message_texts(message: Message) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, Text | Result):
            yield part.text
        elif isinstance(part, Call):
            yield part.malformed or json.dumps(part.arguments)
            yield from _strings(part.arguments)
        elif isinstance(part, Opaque):
            yield from _strings(part.payload)
        else:
            yield part.url


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
