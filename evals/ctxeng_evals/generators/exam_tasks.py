"""The types of task of the long exam: how to draw one, how to solve it, how to get it wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ctxeng_evals.generators.words import COMMON


@dataclass(frozen=True)
class ExamTask:
    """A type of task: its instruction in several wordings, a draw of what is given, and the solution."""

    phrases: tuple[str, ...]
    draw: Callable[[random.Random], str]
    solve: Callable[[str], str]


def spoiled(rng: random.Random, answer: str) -> str:
    """Another answer of the same form: a number a little off, or two words or letters exchanged."""
    if answer.isdigit():
        return str(int(answer) + rng.choice((-1, 1, 2) if int(answer) else (1, 2)))
    parts = answer.split() if " " in answer else list(answer)
    first = rng.randrange(len(parts))
    second = rng.choice([place for place, part in enumerate(parts) if part != parts[first]])
    parts[first], parts[second] = parts[second], parts[first]
    return (" " if " " in answer else "").join(parts)


def _numbers(rng: random.Random) -> str:
    return " ".join(str(number) for number in rng.sample(range(2, 100), 5))


def _word(rng: random.Random) -> str:
    return rng.choice(COMMON)


def _words(rng: random.Random) -> str:
    return " ".join(rng.sample(COMMON, 4))


def _values(given: str) -> list[int]:
    return [int(part) for part in given.split()]


TASKS: Mapping[str, ExamTask] = {
    "sum": ExamTask(
        ("Add up the numbers.", "Work out the total of these numbers."),
        _numbers,
        lambda given: str(sum(_values(given))),
    ),
    "largest": ExamTask(
        ("Name the largest number.", "Pick the number that no other exceeds."),
        _numbers,
        lambda given: str(max(_values(given))),
    ),
    "even": ExamTask(
        ("Count the even numbers.", "Say how many of the numbers two divides."),
        _numbers,
        lambda given: str(sum(value % 2 == 0 for value in _values(given))),
    ),
    "ascending": ExamTask(
        ("Sort the numbers, smallest first.", "Put the numbers in rising order."),
        _numbers,
        lambda given: " ".join(map(str, sorted(_values(given)))),
    ),
    "reverse": ExamTask(
        ("Spell the word backwards.", "Write the letters from last to first."),
        _word,
        lambda given: given[::-1],
    ),
    "vowels": ExamTask(
        ("Count the vowels (a, e, i, o, u).", "Say how many letters are one of a, e, i, o, u."),
        _word,
        lambda given: str(sum(letter in "aeiou" for letter in given)),
    ),
    "alphabet": ExamTask(
        ("Sort the words by the alphabet.", "Put the words in the order of a dictionary."),
        _words,
        lambda given: " ".join(sorted(given.split())),
    ),
    "letters": ExamTask(
        ("Count the letters of all words together.", "Say how many letters the words have in total."),
        _words,
        lambda given: str(len(given.replace(" ", ""))),
    ),
}
PHRASES: Mapping[str, str] = {phrase: name for name, task in TASKS.items() for phrase in task.phrases}
