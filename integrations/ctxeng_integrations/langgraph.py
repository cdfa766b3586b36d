"""LangGraph's long-term store over ctxeng's: kept in SQLite or PostgreSQL, searched by words and meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ctxeng.extras import needs

needs("langgraph")  # before its import, so that what is missing is named with the pip line

from langgraph.store.base import (  # noqa: E402
    BaseStore,
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    get_text_at_path,
)
from langgraph.store.base import Item as LangItem  # noqa: E402

from ctxeng.errors import BadInput  # noqa: E402
from ctxeng.memory.items import Change, Item, Items  # noqa: E402
from ctxeng.memory.items_filter import meets  # noqa: E402
from ctxeng.retrieval.embed import TextEncoder  # noqa: E402
from ctxeng.storage.sql import open_database  # noqa: E402


class CtxengStore(BaseStore):  # type: ignore[misc]  # LangGraph is not type-checked here
    """A BaseStore for `graph.compile(store=...)`, beside any checkpointer.

    `url` is `sqlite:./store.db` (relative to `folder`), `sqlite::memory:` or `postgresql://...`. Values are
    found by their words, with an `encoder` by meaning too; only what is new is encoded. `fields` are the
    paths that are searched where a put names none, None all strings. Scores order the values of one search
    and are no cosines. What has expired is never returned. Safe with threads and processes.
    """

    supports_ttl = True

    def __init__(
        self,
        url: str = "sqlite::memory:",
        encoder: TextEncoder | None = None,
        folder: Path | str = ".",
        fields: Sequence[str] | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        self.items = Items(open_database(url, folder), encoder)
        self.fields, self.ttl_config = fields, ttl

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """The operations' results, in order; reads see the state before this batch's writes.

        The writes are made together, all or none; of several to one key the last.
        """
        given = list(ops)
        results = [None if isinstance(op, PutOp) else self._read(op) for op in given]
        if changes := [self._change(op) for op in given if isinstance(op, PutOp)]:
            self.items.write(changes)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, awaited, in a worker thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def forget(self, namespace: tuple[str, ...]) -> int:
        """Remove everything below a namespace for good; how many values there were."""
        return self.items.forget(namespace)

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            one = self.items.get(op.namespace, str(op.key), refresh=op.refresh_ttl)
            return None if one is None else LangItem(**_fields(one))
        if isinstance(op, SearchOp):
            prefix, query, refresh = op.namespace_prefix, op.query or "", op.refresh_ttl
            found = self.items.search(prefix, query, op.filter, op.limit, op.offset, refresh=refresh)
            return [SearchItem(**_fields(item), score=item.score) for item in found]
        if isinstance(op, ListNamespacesOp):
            return self._namespaces(op)
        raise BadInput(f"{type(op).__name__} is no operation of a store")

    def _change(self, op: PutOp) -> Change:
        paths = self.fields if op.index is None else op.index or ()
        searched = None
        if op.value is not None and paths is not None:
            searched = tuple(text for path in paths for text in get_text_at_path(op.value, path))
        return Change(tuple(op.namespace), str(op.key), op.value, searched, op.ttl)

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        met = (n for n in self.items.namespaces() if all(meets(n, c.match_type, c.path) for c in conditions))
        return sorted({n[: op.max_depth] for n in met})[op.offset : op.offset + op.limit]


def _fields(item: Item) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created,
        "updated_at": item.updated,
    }
