"""The task grammar: exercises made of pieces (system, playbook, documents, questions), from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ctxeng_evals.instrument.vocabulary import FIRST_KEY, FIRST_VALUE, KEYS, SIZE, VALUES, mark

Ids = NDArray[np.int64]

_LOOSE = 0.7  # of copies that are random tokens
_HEADED = 0.5  # of exercises whose head has text


@dataclass(frozen=True)
class Question:
    """What is asked and the tokens that answer it."""

    ask: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True)
class Exercise:
    """A head (system, playbook), documents in an order that does not matter, and questions about them."""

    task: str
    head: tuple[int, ...]
    documents: tuple[tuple[int, ...], ...]
    questions: tuple[Question, ...]

    @property
    def length(self) -> int:
        """Tokens in all."""
        asked = sum(len(q.ask) + len(q.answer) for q in self.questions)
        return len(self.head) + sum(map(len, self.documents)) + asked


@dataclass(frozen=True)
class Filler:
    """Tokens of real text to put between what matters."""

    tokens: Ids

    def cut(self, rng: Generator, length: int) -> tuple[int, ...]:
        """A run of that many tokens from anywhere in the text."""
        if length <= 0:
            return ()
        start = int(rng.integers(0, max(1, len(self.tokens) - length)))
        return tuple(self.tokens[start : start + length].tolist())


@dataclass(frozen=True)
class Level:
    """How hard: tokens in all, tokens of a key, and how much of the room is filler (0 to 1)."""

    length: int
    key: int = 1
    filler: float = 0.5


@dataclass(frozen=True)
class Material:
    """What an exercise is made of: lines for documents, questions, lines for the head.

    `documents` 0: as many as chance has it; `ordered`: lines keep their order.
    """

    task: str
    lines: Sequence[tuple[int, ...]]
    questions: tuple[Question, ...]
    head: tuple[int, ...] = ()
    documents: int = 0
    ordered: bool = False


def keys(rng: Generator, count: int, size: int) -> list[tuple[int, ...]]:
    """Different keys of `size` tokens."""
    if size == 1:
        return [(FIRST_KEY + int(i),) for i in rng.choice(KEYS, count, replace=False)]
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        found[tuple(FIRST_KEY + int(i) for i in rng.integers(0, KEYS, size))] = None
    return list(found)


def value(rng: Generator) -> int:
    """One of the values."""
    return FIRST_VALUE + int(rng.integers(0, VALUES))


def recall(rng: Generator, filler: Filler, level: Level, *, single: bool = False) -> Exercise:
    """Values of keys from records in documents; `single` has one record in long text."""
    record = level.key + 3
    room = level.length - 4
    count = 1 if single else int(room * (1 - level.filler) / (2 * record))
    count = max(1, min(count, 64 if level.key == 1 else 96))
    named = keys(rng, count, level.key)
    answers = [value(rng) for _ in named]
    lines = [(mark("record"), *k, v, mark("end")) for k, v in zip(named, answers, strict=True)]
    asked = rng.permutation(count)[: max(1, min(count, room // (3 * record)))]
    questions = tuple(ask(named[i], answers[i]) for i in asked)
    return spread(rng, filler, level, Material("single" if single else "recall", lines, questions))


def newest(rng: Generator, filler: Filler, level: Level) -> Exercise:
    """Keys whose record comes twice: the later one counts. All in one document, for order matters here."""
    record = level.key + 3
    count = max(1, min(int((level.length - 4) * (1 - level.filler) / (3 * record)), 32))
    named = keys(rng, count, level.key)
    lines = [(k, value(rng)) for k in named for _ in range(2)]
    order = [lines[i] for i in rng.permutation(len(lines))]
    last = dict(order)
    questions = tuple(ask(k, last[k]) for k in named)
    texts = [(mark("record"), *k, v, mark("end")) for k, v in order]
    given = Material("newest", texts, questions, documents=1, ordered=True)
    return spread(rng, filler, level, given)


def tracking(rng: Generator, filler: Filler, level: Level) -> Exercise:
    """Keys that say they equal another key, one or two steps from a value."""
    record = level.key + 3
    count = max(1, min(int((level.length - 4) * (1 - level.filler) / (3 * (record + level.key))), 20))
    named = keys(rng, 2 * count, level.key)
    values = [value(rng) for _ in range(count)]
    lines = [(mark("record"), *k, v, mark("end")) for k, v in zip(named, values, strict=False)]
    lines += [(mark("record"), *named[count + i], mark("same"), *named[i], mark("end")) for i in range(count)]
    questions = tuple(ask(named[count + i], values[i]) for i in rng.permutation(count))
    return spread(rng, filler, level, Material("tracking", lines, questions, documents=1))


def rules(rng: Generator, filler: Filler, level: Level) -> Exercise:
    """The playbook says which value becomes which; a question asks for what the recorded value becomes."""
    record = level.key + 3
    count = max(1, min(int((level.length - 4) * (1 - level.filler) / (3 * record)), 24))
    named = keys(rng, count, level.key)
    before = [FIRST_VALUE + int(i) for i in rng.choice(VALUES, count, replace=False)]
    after = [value(rng) for _ in before]
    book = [(mark("rule"), b, a, mark("end")) for b, a in zip(before, after, strict=True)]
    head = tuple(token for i in rng.permutation(count) for token in book[i])
    lines = [(mark("record"), *k, b, mark("end")) for k, b in zip(named, before, strict=True)]
    questions = tuple(Question((mark("apply"), *named[i]), (after[i],)) for i in rng.permutation(count))
    return spread(rng, filler, level, Material("rules", lines, questions, head=head))


def copying(rng: Generator, filler: Filler, level: Level) -> Exercise:
    """A run of random tokens, or of text, and later the same run again from some token of it on.

    Where the run stands, its size and its start all vary: looking back a fixed way must not pay.
    """
    room = max(8, level.length - 4)
    size = int(rng.integers(4, max(5, room // 2)))
    run = (
        tuple(int(i) for i in rng.integers(1, SIZE, size)) if rng.random() < _LOOSE else filler.cut(rng, size)
    )
    start = int(rng.integers(0, size // 2))
    left = max(0, room - 2 * size + start)
    before = int(rng.integers(0, left + 1))
    body = (*filler.cut(rng, before), mark("copy"), *run, mark("end"), *filler.cut(rng, left - before))
    question = Question((mark("again"), run[start]), run[start + 1 :])
    return Exercise("copying", (mark("bos"),), (body,), (question,))


def ask(key: Sequence[int], answer: int) -> Question:
    """The question for the value of a key."""
    return Question((mark("ask"), *key), (answer,))


def spread(rng: Generator, filler: Filler, level: Level, given: Material) -> Exercise:
    """Lines shuffled into documents, with runs of text between them that fill the room left.

    Half the heads have text of their own, as a playbook would.
    """
    head = (mark("bos"), mark("playbook"), *given.head) if given.head else (mark("bos"),)
    asked = sum(len(q.ask) + len(q.answer) for q in given.questions)
    lines = given.lines
    count = given.documents or int(rng.integers(1, max(2, min(8, len(lines) + 1))))
    left = level.length - len(head) - asked - sum(map(len, lines)) - count
    if left > 0 and rng.random() < _HEADED:
        head += filler.cut(rng, int(rng.integers(0, left // 3 + 1)))
        left = level.length - len(head) - asked - sum(map(len, lines)) - count
    order = list(lines) if given.ordered else [lines[i] for i in rng.permutation(len(lines))]
    cuts = np.sort(rng.integers(0, max(1, left + 1), len(order))) if left > 0 else np.zeros(len(order), int)
    gaps = np.diff(np.concatenate(([0], cuts, [max(0, left)])))
    homes = np.sort(rng.integers(0, count, len(order)))
    texts: list[list[int]] = [[mark("doc")] for _ in range(count)]
    for line, gap, home in zip(order, gaps[:-1], homes, strict=True):
        texts[home] += [*filler.cut(rng, int(gap)), *line]
    texts[-1] += filler.cut(rng, int(gaps[-1]))
    return Exercise(given.task, head, tuple(map(tuple, texts)), given.questions)


Maker = Callable[[Generator, Filler, Level], Exercise]
TASKS: dict[str, Maker] = {
    "recall": recall,
    "single": lambda rng, filler, level: recall(rng, filler, level, single=True),
    "newest": newest,
    "tracking": tracking,
    "rules": rules,
    "copying": copying,
}
