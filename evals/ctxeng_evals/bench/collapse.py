"""Context collapse on a real log: what rewriting a cheatsheet lost, and what deltas keep of it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from ctxeng.playbook.delta import Add, Tag
from ctxeng.playbook.entry import Entry, mint
from ctxeng.playbook.store import PlaybookStore
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.datasets import folder

LOG = "dynamic-cheatsheet/equation_balancer_claude35_retrieval_synthesis.jsonl"
SAME = 0.5  # token Jaccard from which two wordings are the same lesson (the peers' table, P1)
_ITEM = re.compile(r"<memory_item>(.*?)</memory_item>", re.DOTALL)


def run(seed: int = 0) -> Figures:
    """Distinct lessons ever written, and how many are there at the end: rewritten, and through deltas."""
    sheets = [items(json.loads(line)["cheatsheet_after"]) for line in (folder() / LOG).open(encoding="utf-8")]
    lessons: list[str] = []
    for sheet in sheets:
        lessons += [item for item in sheet if not any(same(item, known) for known in lessons)]
    kept = sum(any(same(lesson, item) for item in sheets[-1]) for lesson in lessons)
    with tempfile.TemporaryDirectory() as place:
        survived = replay(sheets, Path(place) / "cheatsheet.yaml", lessons)
    rows = (
        Row("steps in the log", len(sheets), ""),
        Row("distinct lessons ever written", len(lessons), ""),
        Row("there at the end, sheet rewritten each step", 100 * kept / len(lessons), "%"),
        Row("there at the end, replayed as deltas", 100 * survived / len(lessons), "%", None, "", "100"),
    )
    return Figures("collapse", rows, seed=seed)


def items(sheet: str) -> list[str]:
    """The memory items of a cheatsheet, as plain text."""
    return [re.sub(r"</?\w+>", " ", item).strip() for item in _ITEM.findall(sheet)]


def same(first: str, second: str) -> bool:
    """Whether two texts word the same lesson."""
    one, other = (set(re.findall(r"\w+", text.lower())) for text in (first, second))
    return len(one & other) >= SAME * len(one | other)


def replay(sheets: list[list[str]], path: Path, lessons: list[str]) -> int:
    """An Add for each new lesson, a vote for a known one; how many the reopened file holds."""
    with PlaybookStore(path) as store:
        for number, sheet in enumerate(sheets):
            for item in sheet:
                known = next((entry for entry in store.playbook.own if same(entry.text, item)), None)
                if known is None:
                    new = mint("lessons", f"{number}{item}", store.playbook.taken)
                    entry = Entry(id=new, section="lessons", text=item)
                    store.apply([Add(entry=entry)], by="replay", why=f"step {number}")
                else:
                    store.apply([Tag(id=known.id, votes={"helpful": 1})], by="replay", why=f"step {number}")
            store.commit()
    texts = [entry.text for entry in PlaybookStore(path).open().own]
    return sum(lesson in texts for lesson in lessons)
