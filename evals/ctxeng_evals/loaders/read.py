"""Reading records so that every malformed one is reported, by file and place, in one error."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.case import Case, Dataset, Item

T = TypeVar("T")
_SHOWN = 10  # faults of a file that its error lists
_FAULTS = (LookupError, TypeError, ValueError, AttributeError)


def lines(path: Path, take: Callable[[Any, int], T], raw: bytes | None = None) -> list[T]:
    """What `take` makes of each line's JSON and number; `raw` stands for the bytes of a packed file.

    Raises BadInput that counts all lines it cannot use and lists the first ten.
    """
    whole = read(path) if raw is None else raw
    parts = whole.removesuffix(b"\n").split(b"\n") if whole else []
    made = (
        (f"{said(path)}:{number}", partial(_line, part, number, take)) for number, part in enumerate(parts, 1)
    )
    return collected(made)


def document(path: Path, records: Callable[[Any], Iterable[Any]], take: Callable[[Any, int], T]) -> list[T]:
    """What `take` makes of each record (and its number, from 1) of a file that is one JSON document.

    Raises BadInput where the file is not JSON, and where records cannot be used, counting all of them.
    """
    try:
        found = list(records(json.loads(read(path))))
    except _FAULTS as error:
        raise BadInput(f"{said(path)}: {_what(error)}") from error
    made = (
        (f"{said(path)}: record {number}", partial(take, record, number))
        for number, record in enumerate(found, 1)
    )
    return collected(made)


def table(path: Path, columns: Sequence[str], take: Callable[[dict[str, str], int], T]) -> list[T]:
    """What `take` makes of each row of a CSV file (and its number, from 1).

    Raises BadInput where a column is missing, and where rows cannot be used, counting all of them.
    """
    try:
        text = read(path).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{said(path)}: {_what(error)}") from error
    rows = csv.DictReader(text.splitlines(keepends=True))
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        raise BadInput(f"{said(path)}:1: no column {', '.join(missing)}")
    made = (
        (f"{said(path)}:{rows.line_num}", partial(_row, row, number, take))
        for number, row in enumerate(rows, 1)
    )
    return collected(made)


def collected(pieces: Iterable[tuple[str, Callable[[], T]]]) -> list[T]:
    """What the pieces make, each named by its place. Raises BadInput that counts those that fail."""
    made: list[T] = []
    faults: list[str] = []
    for place, make in pieces:
        try:
            made.append(make())
        except _FAULTS as error:
            faults.append(f"{place}: {_what(error)}")
    if faults:
        more = f"\n(and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        shown = "\n".join(faults[:_SHOWN])
        raise BadInput(f"{len(faults)} malformed records; mend or fetch the file again\n{shown}{more}")
    return made


def read(path: Path) -> bytes:
    """The file's bytes. Raises BadInput that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{said(path)}: cannot be read ({error.strerror}); check the folder that CTXENG_DATA names"
        ) from error


def said(path: Path) -> str:
    """The file as errors name it: its folder and its name."""
    return f"{path.parent.name}/{path.name}"


def only(dataset: str, part: str, known: Sequence[str]) -> None:
    """Nothing where the part is one of the known ones or "" (all of them). Raises UnknownName."""
    if part and part not in known:
        raise UnknownName(f"part of {dataset}", part, known)


def checked(dataset: Dataset) -> Dataset:
    """The dataset. Raises BadInput naming a case whose ids are not unique or whose gold is not there."""
    pools = {name: _ids(items, f"{dataset.name}, pool {name}") for name, items in dataset.pools.items()}
    seen: set[str] = set()
    for case in dataset.cases:
        place = f"{dataset.name}, case {case.id}"
        if case.id in seen:
            raise BadInput(f"{place}: another case has this id")
        seen.add(case.id)
        if case.pool and case.pool not in pools:
            raise BadInput(f"{place}: there is no pool {case.pool!r}")
        own = _ids(case.items, place)
        shared = pools.get(case.pool, frozenset())
        if not own.isdisjoint(shared):
            raise BadInput(f"{place}: an item's id is in the pool {case.pool!r} as well")
        missing = [gold for gold in case.gold if gold not in own and gold not in shared]
        if missing:
            raise BadInput(f"{place}: no item has the gold id {', '.join(missing)}")
    return dataset


def unique(name: str, taken: set[str]) -> str:
    """The name, or "name (2)" and so on where it is taken; what comes out is taken from then on."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name} ({count})"
    taken.add(found)
    return found


def dataset_of(name: str, part: str, cases: Iterable[Case], **pools: Sequence[Item]) -> Dataset:
    """A dataset under the name it is loaded by."""
    return Dataset(f"{name}:{part}" if part else name, tuple(cases), pools)


def flat(nested: Iterable[Iterable[T]]) -> Iterator[T]:
    """The parts of the parts, in order."""
    return (each for parts in nested for each in parts)


def _line(part: bytes, number: int, take: Callable[[Any, int], T]) -> T:
    return take(json.loads(part), number)


def _row(row: dict[str, str], number: int, take: Callable[[dict[str, str], int], T]) -> T:
    if None in row or None in row.values():
        raise ValueError("more or fewer fields than columns")
    return take(row, number)


def _ids(items: Sequence[Item], place: str) -> frozenset[str]:
    ids = frozenset(item.id for item in items)
    if len(ids) < len(items):
        raise BadInput(f"{place}: several items have one id")
    return ids


def _what(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg})"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"no field {error.args[0]!r}"
    return str(error)
