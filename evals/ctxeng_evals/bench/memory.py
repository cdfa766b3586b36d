"""Memory over a long session of real calls: what summaries saw, what caches kept, what idling costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ctxeng.extras import installed
from ctxeng.memory.clear import ClearToolUses
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.memory import Memory, message_price
from ctxeng.memory.policy import Policy, Worth
from ctxeng.memory.record import Summarised
from ctxeng.memory.store import SqlStore
from ctxeng.memory.summary import Folded, Summarizer
from ctxeng.memory.trigger import Condition
from ctxeng.message import Message
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Counter
from ctxeng.turn import Scope
from ctxeng_evals.bench import memory_peers as peers
from ctxeng_evals.bench.memory_peers import Window
from ctxeng_evals.bench.memory_store import microseconds, store, updates
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.bench.transcript import Joined, joined, loop

_SCOPE = Scope(user="bench", session="s")
_TRIGGERS = (8_000, 20_000, 50_000)
_LIMIT = 10_000
_CALLS = 1_000  # messages of the session of which cost is measured: 483 calls of the model


@dataclass(frozen=True)
class Approximate:
    """Four characters a token, as LangChain counts where it knows no better; what is to be beaten is so."""

    name: str = "four characters a token"
    exact: bool = False

    def count(self, text: str) -> int:
        """Tokens of the text."""
        return -(-len(text) // 4)


@dataclass
class Recorder:
    """A summariser that notes what it is given."""

    inner: Summarizer
    read: list[str] = field(default_factory=list)

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The inner one's summary."""
        self.read.append(text)
        return self.inner.fold(summary, text, room)


@dataclass
class Cost:
    """Of a session: tokens read, those no prefix cache had, the largest prompt."""

    input: int = 0
    uncached: int = 0
    peak: int = 0
    before: list[str] = field(default_factory=list)

    def call(self, texts: Sequence[str], count: Callable[[str], int]) -> None:
        """One call with these messages; a cache holds what is byte for byte the beginning of the last one."""
        same = next(
            (i for i, (a, b) in enumerate(zip(self.before, texts, strict=False)) if a != b),
            min(len(self.before), len(texts)),
        )
        prices = [4 + count(text) for text in texts]
        self.input += sum(prices)
        self.uncached += sum(prices[same:])
        self.peak = max(self.peak, sum(prices))
        self.before = list(texts)


def run(seed: int = 0) -> Figures:
    """Coverage, cost and idle time beside LangChain and langmem; the store's speed. Needs the data folder."""
    counter = Approximate()
    joint = joined()
    rows = [
        *_coverage(joint, counter),
        *_cost(joint.first(_CALLS), counter),
        *_idle(joint, counter),
        *updates(counter, seed),
        *store(),
    ]
    notes = (
        f"tau-bench airline, 60 dialogues joined: {len(joint.messages)} messages, {len(joint.calls)} calls",
        f"tokens by {counter.name}, four a message for its frame; the system text and tools are left out",
        "coverage: characters of evicted messages that stand in what a summariser was given",
        "cost: the first 1,000 messages; uncached by whole messages; summaries' own reading is not in it",
        "LangChain 1.4: SummarizationMiddleware keep 20 messages, ContextEditingMiddleware keep 3",
        "" if installed("langmem") else "langmem is not installed here: its rows are missing",
    )
    return Figures("memory", tuple(rows), tuple(note for note in notes if note), seed)


def _policies(
    counter: Counter, limit: int, keep: int = 600, room: int = 400
) -> tuple[tuple[Policy, ...], Recorder]:
    recorder = Recorder(ExtractiveSummarizer(counter))
    return (Compaction(recorder, counter, Condition("tokens", limit), keep=keep, room=room),), recorder


def _played(joint: Joined, counter: Counter, policies: tuple[Policy, ...]) -> Iterator[tuple[Memory, Window]]:
    """Our window at each call."""
    kept = SqlStore(open_database("sqlite::memory:"))
    memory = Memory(kept, lambda message: message_price(counter, message), policies)
    for place in joint.calls:
        window = memory.compact(joint.messages[:place], _SCOPE)
        yield memory, Window([_text(message) for message in window])


# -- coverage -------------------------------------------------------------------------------------------


def _coverage(joint: Joined, counter: Counter) -> Iterator[Row]:
    for trigger in _TRIGGERS:
        yield from _covered(f"trigger {trigger:,}", joint, counter, trigger)
    yield from _covered("tool-only loop, trigger 8,000", loop(150, joint), counter, 8_000)


def _covered(name: str, joint: Joined, counter: Counter, trigger: int) -> Iterator[Row]:
    policies, recorder = _policies(counter, trigger)
    memory = None
    for memory, _ in _played(joint, counter, policies):  # noqa: B007 - the last one is wanted
        pass
    assert memory is not None
    view = memory.session(_SCOPE).view
    gone = [record.message.text for record in view.records[: view.upto]]
    rounds = sum(isinstance(edit, Summarised) for edit in view.edits)
    yield Row(f"coverage, {name}", 100 * _seen(gone, recorder.read), "%", target="100")
    yield Row(f"  summaries, {name}", rounds, "")
    if installed("langchain"):
        for label, trim in (("LangChain's default", 4_000), ("LangChain, trim None", None)):
            share = _peer_seen(joint, peers.summarization(joint, counter.count, trigger, trim=trim))
            yield Row(f"  {label}, {name}", 100 * share, "%")
    if installed("langmem"):
        share = _peer_seen(joint, peers.langmem(joint, counter.count, trigger))
        yield Row(f"  langmem, {name}", 100 * share, "%")


def _peer_seen(joint: Joined, windows: Iterator[Window]) -> float:
    """Of what a peer let go, the share that its summariser was given at that call or before."""
    read: list[str] = []
    last = Window([])
    for window in windows:
        read += window.read
        last = window
    texts = [peers.text_of(message) for message in peers.lang(joint.messages[: joint.calls[-1]])]
    shown = set(last.texts)
    plain = [m.text for m, text in zip(joint.messages, texts, strict=False) if text not in shown]
    return _seen(plain, read)


def _seen(texts: Sequence[str], read: Sequence[str]) -> float:
    """The share of these texts' characters that stands in what was read, text by text or line by line."""
    said = "\n".join(read)
    escaped = said.replace("\\n", "\n").replace("\\'", "'").replace('\\"', '"')
    total = sum(len(text) for text in texts)
    found = sum(len(text) if text in said or text in escaped else _lines(text, said) for text in texts)
    return found / total if total else 1.0


def _lines(text: str, said: str) -> int:
    """Characters of a text that was split on its way, counted by pieces of a hundred."""
    pieces = [text[start : start + 100] for start in range(0, len(text), 100)]
    return sum(len(piece) for piece in pieces if piece in said)


# -- cost -----------------------------------------------------------------------------------------------


def _cost(joint: Joined, counter: Counter) -> Iterator[Row]:
    count = counter.count
    full, _ = _policies(counter, _LIMIT)
    clear = ClearToolUses(Condition("tokens", _LIMIT), keep=3, clear_at_least=2_000)
    patient = ClearToolUses(Condition("tokens", _LIMIT), keep=3, worth=Worth(calls=40))
    ours = {"summary": full, "clearing, 2,000 at least": (clear,), "clearing where it pays": (patient,)}
    yield from _rows(
        "nothing done", _total((Window([_text(m) for m in joint.messages[:p]]) for p in joint.calls), count)
    )
    for name, policies in ours.items():
        cost = _total((window for _, window in _played(joint, counter, policies)), count)
        yield from _rows(f"ctxeng {name}", cost, full=name == "summary")
    if installed("langchain"):
        yield from _rows("LangChain editing", _total(peers.context_editing(joint, count, _LIMIT, 0), count))
        least = peers.context_editing(joint, count, _LIMIT, 2_000)
        yield from _rows("LangChain editing, 2,000 at least", _total(least, count))
        yield from _rows("LangChain summary", _total(peers.summarization(joint, count, _LIMIT), count))
    if installed("langmem"):
        yield from _rows("langmem", _total(peers.langmem(joint, count, _LIMIT), count))


def _total(windows: Iterator[Window], count: Callable[[str], int]) -> Cost:
    cost = Cost()
    for window in windows:
        cost.call(window.texts, count)
    return cost


def _rows(name: str, cost: Cost, *, full: bool = False) -> Iterator[Row]:
    yield Row(f"{name}: input", cost.input / 1e6, "M tokens", target="<= 3.4" if full else "")
    yield Row(f"{name}: uncached", cost.uncached / 1e3, "k tokens", target="<= 91" if full else "")
    yield Row(f"{name}: peak", cost.peak / 1e3, "k tokens", target="<= 11.1" if full else "")


def _text(message: Message) -> str:
    calls = [f"{call.name}({call.arguments})" for call in message.calls]
    return "\n".join([message.text, *calls])


# -- time -----------------------------------------------------------------------------------------------


def _idle(joint: Joined, counter: Counter) -> Iterator[Row]:
    for length in (50, 1_500):
        policies, _ = _policies(counter, 10**9)
        memory = Memory(
            SqlStore(open_database("sqlite::memory:")), lambda m: message_price(counter, m), policies
        )
        messages = joint.messages[:length]
        memory.compact(messages, _SCOPE)
        ours = microseconds(partial(memory.compact, messages, _SCOPE))
        peer = _langchain_idle(messages, counter)
        yield Row(
            f"an idle check at {length:,} messages, p50",
            ours,
            "us",
            peer,
            "LangChain's two middlewares",
            target="<= 50",
        )


def _langchain_idle(messages: Sequence[Message], counter: Counter) -> float | None:
    if not installed("langchain"):
        return None
    joint = Joined(tuple(messages), (len(messages),))
    count = counter.count

    def both() -> None:
        next(peers.context_editing(joint, count, 10**9, 0))
        next(peers.summarization(joint, count, 10**9))

    history = microseconds(lambda: peers.lang(messages), 5)  # making its messages is not its doing
    return max(0.0, microseconds(both, 5) - 2 * history)
