"""Memory as a store: facts that change, and what writing and searching cost."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

from ctxeng import render
from ctxeng.memory.memory import Memory, message_price
from ctxeng.memory.recall import Recall
from ctxeng.memory.source import MemorySource
from ctxeng.memory.store import SqlStore
from ctxeng.message import user
from ctxeng.protocols import Allowance
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Counter
from ctxeng.turn import Request, Scope
from ctxeng_evals.bench.table import Row

_SCOPE = Scope(user="bench", session="s")


def updates(counter: Counter, seed: int) -> Iterator[Row]:
    """Sixty things whose values users change up to four times in forty sessions of other talk."""
    draw = random.Random(seed)  # noqa: S311 - a seeded draw
    store = SqlStore(open_database("sqlite::memory:"))
    memory = Memory(store, partial(message_price, counter))
    source = MemorySource(memory, Recall(store), recalled=400, share=1.0)
    things = [f"{kind} {_word(n)} {what}" for n, (kind, what) in enumerate(product(_KINDS, _THINGS))]
    newest: dict[str, str] = {}
    for session in range(40):
        scope = Scope(user="bench", session=f"s{session}")
        said = []
        for thing in draw.sample(things, 4):
            value = f"{_word(draw.randrange(9_999))}-{draw.randrange(100, 999)}"
            verb = "is" if thing not in newest else draw.choice(("is now", "is", "has changed and is"))
            said.append(f"By the way, my {thing} {verb} {value}. {draw.choice(_TALK)}")
            newest[thing] = value
        source.keep(scope, [(f"{session}:{n}", user(text)) for n, text in enumerate(said)])
    for name, one in (("with facts", source), ("recall alone", replace(source, facts=False))):
        hits = sum(newest[thing] in _shown(one, counter, f"What is my {thing}?") for thing in newest)
        target = ">= 95" if one.facts else ""
        yield Row(f"newest value in 400 tokens, {name}", 100 * hits / len(newest), "%", target=target)


def _shown(source: MemorySource, counter: Counter, question: str) -> str:
    request = Request(query=user(question), scope=Scope(user="bench", session="now"))
    allowance = Allowance(400, lambda section: render.price(section, counter))
    return "\n".join(render.text_of(section) for section in source.gather(request, allowance))


_KINDS = ("work", "home", "travel", "garden", "office", "studio")
_THINGS = (
    "budget",
    "deadline",
    "password hint",
    "contact",
    "address",
    "supplier",
    "plan",
    "size",
    "colour",
    "code",
)
_TALK = (
    "Could you write that down somewhere, please?",
    "I wonder what we should do about the rest of it.",
    "Also, tell me a joke when you have time.",
)


def store() -> Iterator[Row]:
    """Three thousand notes: one written at a time, and looked for by their words."""
    with tempfile.TemporaryDirectory() as folder:
        kept = SqlStore(open_database("sqlite:./memory.db", Path(folder)))
        memory = Memory(kept, lambda message: len(message.text) // 4)
        session = memory.session(_SCOPE)
        texts = [
            f"note {n}: the {_word(n)} of {_word(n // 7)} is kept in room {n % 97}" for n in range(3_000)
        ]
        took = []
        for n, text in enumerate(texts):
            start = time.perf_counter()
            session.append([(str(n), user(text))])
            took.append(time.perf_counter() - start)
        yield Row("one record written to SQLite, p50", 1e3 * median(took), "ms", target="<= 0.2")
        recall = Recall(kept)
        recall.search("warm", _SCOPE)
        asked = [
            1e-3 * microseconds(partial(recall.search, texts[n], _SCOPE, 10), 3) for n in range(0, 3_000, 100)
        ]
        yield Row("a search by words among 3,000, p50", median(asked), "ms", target="<= 2")


def _word(number: int) -> str:
    return "".join(
        "bdfgklmnprst"[(number >> shift) % 12] + "aeiou"[(number >> shift) % 5] for shift in (0, 3, 6)
    )


def microseconds(work: Callable[[], object], repeats: int = 51) -> float:
    """Microseconds, the median of so many."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return 1e6 * median(took)
