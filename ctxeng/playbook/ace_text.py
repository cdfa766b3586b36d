"""ACE's text format in and out: `[id] helpful=X harmful=Y :: content` under `## SECTION` headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta
from ctxeng.playbook.entry import Entry, Provenance, mint

_HEADER = re.compile(r"##+\s*(.+?)\s*#*\s*$")
_BULLET = re.compile(
    r"\[([^\]\s]+)\]\s*(?:helpful=(\d+)\s*harmful=(\d+)\s*(?:neutral=(\d+)\s*)?::|(?=[^\s:]))\s*(.*)$"
)
_LOOKS_LIKE_ONE = re.compile(r"\[[^\]]*\].*(helpful|harmful)\s*=|\[[^\]]*\]?\s*::")
_ID = re.compile(r"[A-Za-z]+-\d+$")  # what ACE's own ids look like; needed where there are no counters


@dataclass(frozen=True)
class Imported:
    """The deltas that add what was read, the new id of each old one, the lines that were not understood."""

    deltas: tuple[Delta, ...]
    ids: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[tuple[int, str], ...] = ()


@dataclass
class _Bullet:
    line: int
    old: str
    section: str
    votes: dict[str, int]
    content: list[str]


def read_ace(text: str, into: Playbook | None = None) -> Imported:
    """What an ACE playbook holds, as deltas on `into` (an empty playbook by default).

    Old ids become parents in the provenance and counters become votes. Lines behind a bullet belong to it;
    content before the first header is in section "general".
    """
    bullets, problems = _bullets(text)
    playbook = into or Playbook()
    ids: dict[str, str] = {}
    minted: set[str] = set()
    deltas: list[Delta] = []
    for bullet in bullets:
        content = "\n".join(bullet.content).strip()
        if bullet.old in ids:
            problems.append((bullet.line, f"id {bullet.old} is given twice; both entries are kept"))
        name = mint(
            bullet.section, f"{bullet.old}\n{content}", lambda each: each in minted or playbook.taken(each)
        )
        try:
            entry = Entry(id=name, section=bullet.section, text=content)
        except ValidationError as error:
            problems.append((bullet.line, error.errors()[0]["msg"]))
            continue
        minted.add(name)
        ids.setdefault(bullet.old, name)
        provenance = Provenance(parents=(bullet.old,), strategy="ace")
        deltas.append(Add(entry=entry, votes=bullet.votes, provenance=provenance, by="import:ace"))
    return Imported(tuple(deltas), ids, tuple(sorted(problems)))


def write_ace(playbook: Playbook) -> str:
    """The playbook in ACE's format. It has no line breaks within an entry, so they become spaces."""
    sections: dict[str, list[str]] = {}
    for entry in playbook.entries:
        votes = playbook.votes(entry.id)
        words = f"When {entry.when}: {entry.text}" if entry.when else entry.text
        counters = f"helpful={votes.get('helpful', 0)} harmful={votes.get('harmful', 0)}"
        line = f"[{entry.id}] {counters} :: {' '.join(words.split())}"
        sections.setdefault(entry.section, []).append(line)
    return "\n\n".join(f"## {name.upper()}\n" + "\n".join(lines) for name, lines in sections.items()) + "\n"


def _bullets(text: str) -> tuple[list[_Bullet], list[tuple[int, str]]]:
    bullets: list[_Bullet] = []
    problems: list[tuple[int, str]] = []
    section = "general"
    is_open = False  # whether a line without a mark belongs to the last bullet
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        line = raw.rstrip()
        header, bullet = _HEADER.match(line), _BULLET.match(line)
        if header:
            section, is_open = header[1].strip().rstrip(":").lower()[:200] or "general", False
        elif bullet and (bullet[2] is not None or (_ID.match(bullet[1]) and not _LOOKS_LIKE_ONE.match(line))):
            counters = zip(("helpful", "harmful", "neutral"), bullet.groups()[1:4], strict=True)
            votes = {name: int(count) for name, count in counters if count and int(count)}
            bullets.append(_Bullet(number, bullet[1], section, votes, [bullet[5]]))
            is_open = True
        elif _LOOKS_LIKE_ONE.match(line):
            problems.append((number, f"looks like an entry and is none: {line[:60]}"))
            is_open = False
        elif is_open:
            bullets[-1].content.append(line)
        elif line:
            problems.append((number, f"belongs to no entry: {line[:60]}"))
    return bullets, problems
