"""Items as rows: namespaces that sort by their labels, JSON that every database holds, the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ctxeng.errors import BadInput

Namespace = tuple[str, ...]

NAME = "memory_items"
TABLES = ("memory_items", "memory_item_ticks")
_END = "z"  # behind a label: no hex digit, and behind all of them in every collation
_LONGEST = 800  # bytes of all labels; PostgreSQL's indexes take rows of 2,700, the key among them

# `tick` grows with every write, so that an index takes in what came since; `gone` counts removals. The one
# row of ticks is what writers wait for: ticks are committed in their order. Times are microseconds, UTC.
STEPS = (
    (
        """CREATE TABLE memory_items (
          id {serial}, space TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, texts TEXT NOT NULL,
          tick BIGINT NOT NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL,
          lasts BIGINT, expires BIGINT, UNIQUE (space, key)
        )""",
        "CREATE INDEX memory_items_tick ON memory_items (tick)",
        "CREATE INDEX memory_items_expires ON memory_items (expires)",
        "CREATE TABLE memory_item_ticks (last BIGINT NOT NULL, gone BIGINT NOT NULL)",
        "INSERT INTO memory_item_ticks (last, gone) VALUES (0, 0)",
    ),
)


def space(namespace: Sequence[str]) -> str:
    """The namespace as a text: one begins with another exactly where its labels do.

    Raises BadInput for labels that are empty, no strings, or longer than an index takes.
    """
    if isinstance(namespace, str) or not all(isinstance(label, str) and label for label in namespace):
        raise BadInput(f"{namespace!r} is no namespace: it is a tuple of strings, none of them empty")
    raw = [label.encode("utf-8", "surrogatepass") for label in namespace]
    if sum(map(len, raw)) > _LONGEST:
        raise BadInput(f"a namespace has at most {_LONGEST} bytes, this one has {sum(map(len, raw))}")
    return "".join(each.hex() + _END for each in raw)


def labels(text: str) -> Namespace:
    """The namespace that `space` made this of."""
    raw = (bytes.fromhex(each) for each in text.split(_END)[:-1])
    return tuple(each.decode("utf-8", "surrogatepass") for each in raw)


def bounds(prefix: Sequence[str]) -> tuple[str, str]:
    """From the first, up to below the second: the spaces of this namespace and of all below it."""
    low = space(prefix)
    return low, low + _END


def body(key: str, value: Mapping[str, Any]) -> str:
    """Key and value as JSON. Raises BadInput for a value that is none; NaN and infinities are none."""
    if not isinstance(value, Mapping):
        raise BadInput(f"{key!r}: only JSON objects can be kept, this is a {type(value).__name__}")
    try:
        return json.dumps([key, dict(value)], allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{key!r}: only JSON can be kept: {error}") from error


def strings(value: Any) -> list[str]:
    """All strings in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for each in inner for text in strings(each)]
