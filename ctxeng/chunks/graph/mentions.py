"""A graph from chunks by co-mention: what a sentence names together, it joins. No model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Literal

from ctxeng.chunks.graph.build import Builder
from ctxeng.chunks.graph.graph import Graph
from ctxeng.chunks.graph.names import Names, Word, key_of, runs, short_name, words_of
from ctxeng.retrieval.words import STOP_WORDS
from ctxeng.text.sentences import sentences
from ctxeng.turn import Chunk

ABOUT, MENTIONS, WITH = "about", "mentions", "with"  # the relations of such a graph

Unit = Literal["sentence", "chunk"]

_MOST = 12  # names of a sentence that are joined in pairs: a longer list joins nothing in particular


def co_mentions(chunks: Sequence[Chunk], unit: Unit = "sentence", least: int = 2) -> Graph:
    """Statements are the chunks' sentences (or the chunks themselves); their sources are chunk ids.

    Entities are the chunks' titles, and capitalised names of several words that at least `least` statements
    say. A statement `mentions` what it names beside its chunk's title, each two of those stand `with` each
    other, and where it names nothing else it is `about` its title. A statement without title and name is left
    out: nothing leads to it.

    The last word of a name ("Lovelace") stands for the whole in chunks of the same title and source that
    say the whole, unless two names end so. A parenthesis of a title is left out in the text's name for it
    ("Mercury" for "Mercury (planet)"), unless two titles are the same without it.
    """
    found = [sentence for chunk in chunks for sentence in _sentences(chunk, unit)]
    known = _Known.of(chunks, found, least)
    builder = Builder()
    for _, group in groupby(found, key=lambda sentence: _document(sentence.chunk)):
        _join(list(group), known, builder)
    return builder.graph()


@dataclass(frozen=True)
class _Sentence:
    chunk: Chunk
    text: str
    words: list[Word]


@dataclass(frozen=True)
class _Known:
    """Names by which things are found in texts, and what each is called as an entity."""

    names: Names = field(default_factory=Names)
    called: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, chunks: Sequence[Chunk], found: Sequence[_Sentence], least: int) -> _Known:
        """Titles, then capitalised names that so many sentences say and that are no title's already."""
        known = cls()
        titles: dict[str, str] = {}
        for title in (chunk.title.strip() for chunk in chunks):
            if title:
                titles.setdefault(key_of(title), title)  # two spellings are one thing
        for title in titles.values():
            known._add(title, short_name(title))
        for name in _frequent(found, least):
            if not known.names.owned(name):
                known._add(name, name, capital=True)
        return known

    def _add(self, name: str, short: str, *, capital: bool = False) -> None:
        # one word has to be written as in the title; several say enough by themselves
        capital = capital or (len(words_of(short)) == 1 and short[0].isupper())
        self.called.append(name)
        for each in dict.fromkeys((name, short)):
            self.names.add(each, len(self.called) - 1, capital=capital)


def _sentences(chunk: Chunk, unit: Unit) -> Iterator[_Sentence]:
    spans = [(0, len(chunk.text))] if unit == "chunk" else sentences(chunk.text)
    for start, end in spans:
        text = chunk.text[start:end].strip()
        if text:
            yield _Sentence(chunk, text, words_of(text))


def _frequent(found: Sequence[_Sentence], least: int) -> Iterator[str]:
    """Capitalised names that so many sentences say, as they are first written, in that order."""
    written: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for sentence in found:
        here: dict[str, None] = {}
        for start, end in runs(sentence.words):
            words = sentence.words[start:end]
            key = " ".join(word.key for word in words)
            written.setdefault(key, sentence.text[words[0].start : words[-1].end])
            here[key] = None
        counts.update(list(here))
    return (written[key] for key, count in counts.items() if count >= least)


def _document(chunk: Chunk) -> tuple[str, str]:
    """What chunks of one document have in common."""
    return (chunk.source or chunk.id, chunk.title)


def _join(document: Sequence[_Sentence], known: _Known, builder: Builder) -> None:
    """Add what the sentences of one document say."""
    title = document[0].chunk.title.strip()
    nearby = _last_words(document, title, known)
    for sentence in document:
        said = [known.called[owner] for owner in known.names.find(sentence.words, nearby)]
        others = [name for name in said if not title or key_of(name) != key_of(title)]
        subject = title or next(iter(others), "")
        if not subject:
            continue
        chunk = sentence.chunk
        place = builder.statement(sentence.text, chunk.id, chunk.trust, chunk.title)
        for name in others if title else ():
            builder.edge(builder.entity(title), MENTIONS, builder.entity(name), place)
        for one, other in combinations(others[:_MOST], 2):
            builder.edge(builder.entity(one), WITH, builder.entity(other), place)
        if len(others) < (1 if title else 2):
            builder.edge(builder.entity(subject), ABOUT, builder.entity(subject), place)


def _last_words(document: Sequence[_Sentence], title: str, known: _Known) -> dict[str, int]:
    """The last words of names that the document says, where no other name in it ends so."""
    owners: dict[int, None] = {}
    for words in (words_of(short_name(title)), *(sentence.words for sentence in document)):
        owners.update(dict.fromkeys(known.names.find(words)))
    last: dict[str, set[int]] = {}
    for owner in owners:
        words = words_of(short_name(known.called[owner]))
        if len(words) > 1 and words[-1].capital and words[-1].key not in STOP_WORDS:
            last.setdefault(words[-1].key, set()).add(owner)
    return {key: next(iter(found)) for key, found in last.items() if len(found) == 1}
