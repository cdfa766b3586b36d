"""Taking a text out of a playbook's files for good; whoever asks for it has a right to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue, TypeAdapter

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.change import REDACTED
from ctxeng.playbook.delta import Add, Delta, Merge, Update
from ctxeng.playbook.journal import Body, Record, encode, now
from ctxeng.playbook.replay import Ledger

# Ids, hashes and fixed words hold the journal together; a user's text is in none of them.
_STRUCTURE = frozenset(
    {"op", "id", "ids", "into", "after", "before", "base", "commit", "also", "undoes", "status", "kind"}
    | {"trust", "time", "results"}
)
_BODY = TypeAdapter(Body)
_SHORT = 8  # characters; a shorter text of an entry is taken out where it stands alone, not inside others


@dataclass(frozen=True)
class Words:
    """What has to go: texts that are a whole value, and texts wherever they stand."""

    whole: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()

    def out_of(self, text: str) -> str:
        """The text without them."""
        if text in self.whole:
            return REDACTED
        for part in self.parts:
            text = text.replace(part, REDACTED)
        return text


def words_of(name: str, playbook: Playbook, records: Sequence[Record]) -> Words:
    """All that the entry of that id ever said."""
    said: set[str] = set()
    if name in playbook:
        said |= {playbook.get(name).text, playbook.get(name).when}
    for record in records:
        for delta in (*record.body.deltas, *record.body.inverse):
            said |= _said(delta, name)
    said -= {"", REDACTED}
    longest_first = sorted((text for text in said if len(text) >= _SHORT), key=len, reverse=True)
    return Words(frozenset(said), tuple(longest_first))


@dataclass(frozen=True)
class Scrubbed:
    """A journal without some words, chained anew: its lines, how many had them, and what it amounts to."""

    lines: list[bytes]
    count: int
    ledger: Ledger


def scrub_journal(records: Sequence[Record], empty: Playbook, words: Words) -> Scrubbed:
    """The journal with these words taken out of every record."""
    old, new = Ledger(empty, empty), Ledger(empty, empty)
    renamed = {"": ""}
    lines: list[bytes] = []
    count = 0
    for record in records:
        body = _BODY.validate_python(_scrubbed(_BODY.dump_python(record.body, mode="json"), words))
        count += body != record.body
        was_stranger = record.body.before != old.playbook.version
        body = replace(
            body,
            before="" if was_stranger and record.body.before else new.playbook.version,
            also=tuple(renamed[each] for each in body.also),
            undoes=tuple(renamed.get(each, "") for each in body.undoes),
        )
        prev = renamed[record.prev]
        old.take(record)
        # one trial to learn the version it leads to, which is part of what is hashed
        trial = Ledger(new.playbook, new.committed, tail=new.tail, touched=dict(new.touched))
        applied = trial.take(Record(prev, "", body))
        body = replace(body, after="" if body.commit else applied.playbook.version)
        line, digest = encode(prev, body)
        new.take(Record(prev, digest, body))
        renamed[record.hash] = digest
        lines.append(line)
    return Scrubbed(lines, count, new)


def sealed(scrubbed: Scrubbed, mark: Body, yaml: str) -> bytes:
    """The scrubbed journal with the record of the redaction and the commit of the YAML of that sha256."""
    ledger = scrubbed.ledger
    version = ledger.playbook.version
    mark = replace(mark, time=now(), before=version, after=version, also=ledger.also)
    line, digest = encode(ledger.tail, mark)
    commit, _ = encode(digest, Body(time=now(), before=version, commit=yaml))
    return b"".join([*scrubbed.lines, line, commit])


def scrub_yaml(text: str, words: Words) -> tuple[str, list[int]]:
    """The text with its comment lines cleaned, and the numbers of the lines that still have such words."""
    lines = text.split("\n")
    left = []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#"):
            lines[number - 1] = words.out_of(line)
        elif any(part in line for part in words.parts):
            left.append(number)
    return "\n".join(lines), left


def _said(delta: Delta, name: str) -> set[str]:
    match delta:
        case Add() if delta.entry.id == name:
            return {delta.entry.text, delta.entry.when}
        case Update() if delta.id == name:
            return {delta.text or "", delta.when or ""}
        case Merge() if delta.into == name:
            return {delta.text or "", delta.when or ""}
        case _:
            return set()


def _scrubbed(value: JsonValue, words: Words) -> JsonValue:
    match value:
        case str():
            return words.out_of(value)
        case list():
            return [_scrubbed(each, words) for each in value]
        case dict():
            return {
                name: each if name in _STRUCTURE else _scrubbed(each, words) for name, each in value.items()
            }
        case _:
            return value
