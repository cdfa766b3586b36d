"""The playbook at scale: one delta, opening, retrieving, and how much of the prompt a learning step keeps."""

from __future__ import annotations

import random
import re
import tempfile
from pathlib import Path

import yaml

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Tag
from ctxeng.playbook.entry import Entry, mint
from ctxeng.playbook.pick import EntryPicker
from ctxeng.playbook.store import PlaybookStore
from ctxeng.protocols import Allowance
from ctxeng.render import HEADINGS, prefix, price, text_of
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.tokens import Estimate
from ctxeng.turn import Request, user
from ctxeng_evals.bench.table import Figures, Row, seconds

WORDS = (
    *("check", "verify", "round", "invoice", "refund", "customer", "table", "join", "index", "date", "year"),
    *("field", "value", "total", "unit", "price", "order", "ship", "return", "error", "retry", "token"),
)
_LINE = re.compile(r"\[([^\]]+)\] helpful=(\d+) harmful=(\d+) :: (.*)")


def run(seed: int = 0) -> Figures:
    """Figures P1, P3 and P5 to P8 of the peers' table, each beside a plain way of doing the same."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (1_000, 10_000):
            rows += _one_delta(Path(folder), count, seed)
        rows += _opening(Path(folder), 10_000, seed)
    rows += _retrieval(10_000, seed)
    rows += _prefix(359, 100, seed)
    return Figures("playbook", tuple(rows), seed=seed)


def sample(count: int, seed: int) -> list[Entry]:
    """Entries of random words, about 25 tokens each."""
    draw = random.Random(seed)  # noqa: S311 - seeded
    taken: set[str] = set()
    entries = []
    for number in range(count):
        new = mint("rules", f"{seed}.{number}", taken.__contains__)
        taken.add(new)
        entries.append(Entry(id=new, when=_text(draw, 6), text=_text(draw, 14), section="rules"))
    return entries


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words)) + f" {draw.randrange(10_000)}"


def _one_delta(folder: Path, count: int, seed: int) -> list[Row]:
    entries, fresh = sample(count, seed), sample(400, seed + 1)
    playbook = Playbook.of(entries)
    batch = iter(fresh)
    memory = seconds(lambda: playbook.apply([Add(entry=next(batch))]), 200)
    store = _filled(folder / f"book{count}.yaml", entries)
    more = iter(fresh[200:])
    journal = seconds(lambda: store.apply([Add(entry=next(more))], by="bench"), 200)
    text = "## RULES\n" + "\n".join(f"[{e.id}] helpful=0 harmful=0 :: {e.text}" for e in entries)
    parsed = seconds(lambda: _reparse(text, "one more"), 3)
    store.close()
    label = f"{count:,} entries"
    return [
        Row(f"one Add in memory, {label}", memory * 1e6, "us", parsed * 1e6, "re-parsing the text", "<= 20"),
        Row(
            f"one Add with journal, {label}",
            journal * 1e6,
            "us",
            parsed * 1e6,
            "re-parsing the text",
            "<= 100",
        ),
    ]


def _reparse(text: str, new: str) -> str:
    """How a text playbook adds one line: read every line, find the highest id, write every line."""
    lines = [match.groups() for match in map(_LINE.match, text.splitlines()) if match]
    lines.append((f"rules-{len(lines)}", "0", "0", new))
    return "\n".join(f"[{i}] helpful={good} harmful={bad} :: {content}" for i, good, bad, content in lines)


def _opening(folder: Path, count: int, seed: int) -> list[Row]:
    path = folder / "open.yaml"
    _filled(path, sample(count, seed)).close()
    plain = seconds(lambda: yaml.load(path.read_text(), yaml.CSafeLoader), 3)
    cached = seconds(lambda: PlaybookStore(path).open(), 5)
    return [Row(f"open {count:,} entries, cache warm", cached, "s", plain, "YAML's C loader alone", "<= 0.3")]


def _retrieval(count: int, seed: int) -> list[Row]:
    playbook = Playbook.of(sample(count, seed))
    embedder = HashingEmbedder(384)
    picker = EntryPicker(lambda: playbook, lambda texts: Hybrid(texts, embedder))
    picker.select(playbook, "warm up", 5)
    draw = random.Random(seed)  # noqa: S311 - seeded
    found = seconds(lambda: picker.select(playbook, _text(draw, 8), 5), 50)
    texts = [f"{entry.when}\n{entry.text}" for entry in playbook.entries]
    rebuilt = seconds(lambda: Hybrid(texts).search(_text(draw, 8), 5), 3)
    return [
        Row(
            f"top 5 of {count:,}, hybrid", found * 1e3, "ms", rebuilt * 1e3, "BM25 rebuilt per query", "<= 5"
        ),
    ]


def _prefix(count: int, steps: int, seed: int) -> list[Row]:
    """What a learning step (five votes and one new entry) leaves of the rendered playbook."""
    playbook = Playbook.of(sample(count, seed))
    fresh, draw, shares, counted = sample(steps, seed + 1), random.Random(seed), [], []  # noqa: S311 - seeded
    for new in fresh:
        votes: list[Delta] = [Tag(id=draw.choice(playbook.own).id, votes={"helpful": 1}) for _ in range(5)]
        after = playbook.apply([*votes, Add(entry=new)]).playbook
        old, newer = _rendered(playbook), _rendered(after)
        shares.append(prefix(old, newer).share)
        counted.append(prefix(_with_counters(playbook), _with_counters(after)).share)
        playbook = after
    ours, theirs = sum(shares) / steps, sum(counted) / steps
    return [
        Row(f"prompt kept after a learning step, {count} entries", 100 * ours, "%", None, "", ">= 98"),
        Row("the same with counters in the prompt (ACE's rendering)", 100 * theirs, "%"),
    ]


def _rendered(playbook: Playbook) -> str:
    allowance = Allowance(10**9, lambda section: price(section, Estimate()))
    picker = EntryPicker(lambda: playbook, Hybrid)
    sections = picker.gather(Request(query=user("any question")), allowance)
    return HEADINGS["playbook"] + "\n".join(text_of(section) for section in sections)


def _with_counters(playbook: Playbook) -> str:
    lines = []
    for entry in playbook.own:
        votes = playbook.votes(entry.id)
        lines.append(f"[{entry.id}] helpful={votes.get('helpful', 0)} harmful=0 :: {entry.text}")
    return "\n".join(lines)


def _filled(path: Path, entries: list[Entry]) -> PlaybookStore:
    store = PlaybookStore(path)
    store.open()
    store.apply([Add(entry=entry) for entry in entries], by="bench")
    store.commit()
    return store
