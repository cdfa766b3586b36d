"""What an extractive summary is made of: sentences, list items and values of records, with who said them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pydantic import JsonValue

from ctxeng.retrieval.words import terms
from ctxeng.text.sentences import sentences

_HEAD = re.compile(r"^(?:- )?\[(m\d+) (\w+)\] ", re.MULTILINE)  # as `told` and a summary's lines begin
_LONGEST = 400  # characters of one line
_PACKED = 120  # characters up to which values of one JSON object share a line
_RESULT = re.compile(r"\(result of \S+?(, an error)?\) ")
_CALL_ID = re.compile(r"(?<=\}\)) as [\w.-]+(?= calls |$)", re.MULTILINE)  # it costs much and says nothing
_SEAM = re.compile(r"(?<=[}\]]),\s*|,\s*(?=\")")  # of JSON that was cut and can no longer be read
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'-]+|\b[A-Z][A-Z0-9_-]{2,}\b|(?<!\w)\w+[_/@.]\w[\w/@.-]*")
_EDGE = ".,;:!?()[]{}<>'\"*`"


@dataclass(frozen=True)
class Line:
    """A sentence, list item or value. `source` is its record's id; empty where a summary does not say.

    `terms` are its index terms, its names (`=Ada`) and its words with digits (`#12.5`).
    """

    place: int
    source: str
    role: str
    text: str
    terms: frozenset[str]

    @property
    def shown(self) -> str:
        """The line as it stands in a summary; read again, it keeps its source."""
        return f"- [{self.source} {self.role}] {self.text}" if self.source else f"- {self.text}"


def read_lines(summary: str, text: str) -> list[Line]:
    """The lines of both, in order."""
    found = [*_of_summary(summary), *_of_records(text)]
    return [Line(place, *said, frozenset(_terms(said[2]))) for place, said in enumerate(found)]


def _of_summary(summary: str) -> Iterator[tuple[str, str, str]]:
    """Its rows; one without an id, as models write them, is nobody's."""
    for row in summary.splitlines():
        if head := _HEAD.match(row):
            yield from ((head[1], head[2], piece) for piece in _bounded([row[head.end() :]]))
        else:
            yield from (("", "assistant", piece) for piece in _pieces(row))


def _of_records(text: str) -> Iterator[tuple[str, str, str]]:
    heads = list(_HEAD.finditer(text))
    first = heads[0].start() if heads else len(text)
    yield from (("", "assistant", piece) for piece in _pieces(text[:first]))
    for head, following in zip_longest(heads, heads[1:]):
        said = text[head.end() : following.start() if following else len(text)]
        yield from ((head[1], head[2], piece) for piece in _pieces(said))


def _pieces(said: str) -> Iterator[str]:
    result = _RESULT.match(said)
    bare = said[result.end() if result else 0 :].strip()
    if result and result[1]:
        bare = f"an error: {bare}"
    if bare[:1] in {"{", "["}:
        yield from _bounded(_values(bare))
    else:
        bare = _CALL_ID.sub("", bare)
        yield from _bounded(bare[start:end].removeprefix("- ") for start, end in sentences(bare))


def _bounded(texts: Iterable[str]) -> Iterator[str]:
    """Each on one row of bounded length, white space run together."""
    for text in texts:
        words = " ".join(text.split())
        for cut in range(0, len(words), _LONGEST):
            if piece := words[cut : cut + _LONGEST].strip():
                yield piece


def _values(text: str) -> list[str]:
    """JSON as rows of `path: key value, key value`; what was cut, at its commas."""
    try:
        return list(_rows(json.loads(text), ""))
    except (ValueError, RecursionError):
        return _packed("", _SEAM.split(text))


def _rows(value: JsonValue, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        plain = [f"{key}: {_plain(each)}" for key, each in value.items() if not isinstance(each, dict | list)]
        yield from _packed(path, plain)
        for key, each in value.items():
            if isinstance(each, dict | list):
                yield from _rows(each, f"{path} {key}".strip())
    elif isinstance(value, list):
        yield from _packed(path, [_plain(each) for each in value if not isinstance(each, dict | list)])
        for each in value:
            if isinstance(each, dict | list):
                yield from _rows(each, path)
    else:
        yield _plain(value)


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _packed(path: str, parts: Iterable[str]) -> list[str]:
    """The parts run together to rows, each with the path before it."""
    rows: list[str] = []
    for part in parts:
        if rows and len(rows[-1]) + len(part) <= _PACKED:
            rows[-1] += f", {part}"
        else:
            rows.append(f"{path}: {part}" if path else part)
    return rows


def _terms(text: str) -> Iterator[str]:
    yield from terms(text)
    yield from (f"={name}" for name in _NAME.findall(text))
    yield from (f"#{word.strip(_EDGE)}" for word in text.split() if _NUMBER.search(word))
