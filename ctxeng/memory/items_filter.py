"""Which values and which namespaces are meant: filters with operators, patterns with wildcards."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ctxeng.errors import UnknownName

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_EQUAL = ("$eq", "$ne")


def fits(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the value has all that the filter names.

    An entry is a value to be equal to, an object whose entries are looked for in the value's own, a list of
    equal length, or operators: $eq, $ne, $gt, $gte, $lt, $lte. Numbers, also those in strings, are ordered
    as numbers, other strings as strings (dates as ISO 8601, say); what has no order fits none of the four.
    Raises UnknownName for another operator.
    """
    return all(_fits(value.get(name), each) for name, each in wanted.items())


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compared(value, name, against) for name, against in wanted.items())
        return isinstance(value, Mapping) and fits(value, wanted)
    if isinstance(wanted, list | tuple):
        same = isinstance(value, list) and len(value) == len(wanted)
        return same and all(map(_fits, value, wanted))
    return bool(value == wanted)


def _compared(value: Any, name: str, against: Any) -> bool:
    if name in _EQUAL:
        return bool(value == against) == (name == "$eq")
    if name not in _COMPARE:
        raise UnknownName("operator", name, [*_EQUAL, *_COMPARE])
    left, right = _number(value), _number(against)
    if left is not None and right is not None:
        return _COMPARE[name](left, right)
    if isinstance(value, str) and isinstance(against, str):
        return _COMPARE[name](value, against)
    return False


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def meets(namespace: Sequence[str], kind: str, path: Sequence[str]) -> bool:
    """Whether the namespace begins (`kind` prefix) or ends (suffix) with the path; `*` is any one label."""
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))
