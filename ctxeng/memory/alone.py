"""Memory in one call: a store, a limit, and everything else as it is usually wanted."""

from __future__ import annotations

from pathlib import Path

from ctxeng.errors import BadInput
from ctxeng.memory.aside import SetAside
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.memory import Memory, priced_by
from ctxeng.memory.store import SqlStore
from ctxeng.memory.summary import Summarizer
from ctxeng.memory.trigger import Condition
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Counter, counter_for

_LEAST = 256  # tokens: below that neither a summary nor a result says anything


def open_memory(
    url: str = "sqlite::memory:",
    limit: int = 8_000,
    *,
    model: str = "gpt-4o",
    summarizer: Summarizer | None = None,
    folder: Path | str = ".",
) -> Memory:
    """A memory whose windows have at most about `limit` tokens of history, as `model` counts them.

    Past the limit everything but the newest sixth becomes a summary of an eighth; a result of more than a
    quarter is shown in part. Without a `summarizer`, lines are chosen, so that no model is needed. Where the
    last message and what it answers are larger than the limit, they are shown all the same. Raises BadInput
    for a limit below 256 tokens, and for a URL that is none.
    """
    if limit < _LEAST:
        raise BadInput(f"a limit of {limit} tokens holds no conversation; give {_LEAST} or more")
    counter: Counter = counter_for(model)
    compaction = Compaction(
        summarizer or ExtractiveSummarizer(counter),
        counter,
        Condition("tokens", limit),
        keep=limit // 6,
        room=limit // 8,
    )
    store = SqlStore(open_database(url, folder))
    return Memory(store, priced_by(counter), (SetAside(limit // 4), compaction))
