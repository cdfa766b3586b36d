"""LangGraph's long-term store over ctxeng's: kept in SQLite or PostgreSQL, searched by words and meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ctxeng.extras import needs

needs("langgraph")  # before its import, so that what is missing is named with the pip line

from langgraph.store.base import (  # noqa: E402
    BaseStore,
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)
from langgraph.store.base import Item as LangItem  # noqa: E402

from ctxeng.errors import BadInput  # noqa: E402
from ctxeng.memory.items import Item, Items, strings  # noqa: E402
from ctxeng.retrieval.embed import TextEncoder  # noqa: E402
from ctxeng.storage.sql import open_database  # noqa: E402

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
    "$gt": lambda a, b: float(a) > float(b),
    "$gte": lambda a, b: float(a) >= float(b),
    "$lt": lambda a, b: float(a) < float(b),
    "$lte": lambda a, b: float(a) <= float(b),
}


class CtxengStore(BaseStore):  # type: ignore[misc]  # LangGraph is not type-checked here
    """A BaseStore for `graph.compile(store=...)`, beside any checkpointer.

    `url` is `sqlite:./store.db` (relative to `folder`), `sqlite::memory:` or `postgresql://...`. Values are
    found by their words, with an `encoder` by meaning too; only what is new is encoded. Safe with threads
    and processes.
    """

    supports_ttl = True

    def __init__(
        self, url: str = "sqlite::memory:", encoder: TextEncoder | None = None, folder: Path | str = "."
    ) -> None:
        self.items = Items(open_database(url, folder), encoder)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """The operations' results, in order; reads see the state before this batch's writes."""
        given = list(ops)
        results = [None if isinstance(op, PutOp) else self._read(op) for op in given]
        last = {(op.namespace, op.key): op for op in given if isinstance(op, PutOp)}
        for op in last.values():
            self._put(op)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, awaited, in a worker thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def forget(self, namespace: tuple[str, ...]) -> int:
        """Remove everything below a namespace for good; how many values there were."""
        return self.items.forget(namespace)

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            one = self.items.get(op.namespace, str(op.key))
            return None if one is None else LangItem(**_fields(one))
        if isinstance(op, SearchOp):
            wanted = op.filter or {}
            found = self.items.search(
                op.namespace_prefix, op.query or "", lambda item: _fits(item.value, wanted)
            )
            return [
                SearchItem(**_fields(item), score=item.score)
                for item in found[op.offset : op.offset + op.limit]
            ]
        if isinstance(op, ListNamespacesOp):
            return self._namespaces(op)
        raise BadInput(f"{type(op).__name__} is no operation of a store")

    def _put(self, op: PutOp) -> None:
        if op.value is None:
            self.items.delete(op.namespace, str(op.key))
            return
        searched = None
        if op.index is False:
            searched = ""
        elif op.index:
            searched = "\n".join(text for path in op.index for text in strings(_at(op.value, path)))
        self.items.put(op.namespace, str(op.key), op.value, searched=searched, minutes=op.ttl)

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        found = (n for n in self.items.namespaces() if all(_matches(n, each) for each in conditions))
        cut = dict.fromkeys(n[: op.max_depth] if op.max_depth is not None else n for n in found)
        return sorted(cut)[op.offset : op.offset + op.limit]


def _fields(item: Item) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": datetime.fromisoformat(item.created),
        "updated_at": datetime.fromisoformat(item.updated),
    }


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value has what a filter wants: the same, or what its operators say."""
    if not isinstance(wanted, Mapping):
        return bool(value == wanted)
    operators = {name for name in wanted if str(name).startswith("$")}
    if unknown := operators - set(_COMPARE):
        raise ValueError(f"the filter's operator {min(unknown)} is none of {', '.join(_COMPARE)}")
    if operators:
        return all(_COMPARE[name](value, wanted[name]) for name in operators)
    return isinstance(value, Mapping) and all(_fits(value.get(name), inner) for name, inner in wanted.items())


def _at(value: Any, path: str) -> Any:
    """What stands at a path such as `a.b` or `notes[*].text`; nothing where there is no such place."""
    if path == "$":
        return value
    for step in path.replace("[", ".[").split("."):
        if step.startswith("["):
            inside = step.strip("[]")
            items: Sequence[Any] = value if isinstance(value, list) else []
            value = (
                list(items)
                if inside == "*"
                else items[int(inside)]
                if inside.lstrip("-").isdecimal()
                else None
            )
        elif isinstance(value, list):
            value = [each.get(step) for each in value if isinstance(each, Mapping)]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(path) > len(namespace):
        return False
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return all(want in ("*", label) for want, label in zip(path, part, strict=True))
