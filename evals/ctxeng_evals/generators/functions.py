"""The families of functions that an induction case hides: over lists of whole numbers, and over words."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from string import ascii_lowercase
from typing import Any

# a function of a list (of a word) to a list, a number (to a word)
Function = Callable[[Any], Any]


def shifted(word: str, by: int) -> str:
    """The word with each letter moved on in the alphabet."""
    turned = ascii_lowercase[by:] + ascii_lowercase[:by]
    return word.translate(str.maketrans(ascii_lowercase, turned))


def _adding(by: int) -> Function:
    return lambda xs: [x + by for x in xs]


def _times(by: int, plus: int) -> Function:
    return lambda xs: [x * by + plus for x in xs]


def _modulo(by: int) -> Function:
    return lambda xs: [x % by for x in xs]


def _above(limit: int) -> Function:
    return lambda xs: [x for x in xs if x > limit]


def _divisible(by: int) -> Function:
    return lambda xs: [x for x in xs if x % by == 0]


def _turned(by: int) -> Function:
    return lambda xs: xs[by:] + xs[:by]


def _moved(by: int) -> Function:
    return lambda word: shifted(word, by)


def _stepped(by: int) -> Function:
    return lambda word: word[::by] + word[1::by]


def _replaced(old: str, new: str) -> Function:
    return lambda word: word[::-1].replace(old, new)


def _framed(letter: str) -> Function:
    return lambda word: letter + word[1:] + letter


LISTS: Mapping[str, Function] = {
    "sort ascending": sorted,
    "sort descending": lambda xs: sorted(xs, reverse=True),
    "reverse": lambda xs: xs[::-1],
    "sum": sum,
    "range": lambda xs: max(xs) - min(xs),
    "sum of squares": lambda xs: sum(x * x for x in xs),
    "running sums": lambda xs: list(accumulate(xs)),
    "running maximum": lambda xs: list(accumulate(xs, max)),
    "running minimum": lambda xs: list(accumulate(xs, min)),
    "differences": lambda xs: [after - before for before, after in pairwise(xs)],
    "sums of neighbours": lambda xs: [after + before for before, after in pairwise(xs)],
    "absolute values": lambda xs: [abs(x) for x in xs],
    "negated": lambda xs: [-x for x in xs],
    "squares": lambda xs: [x * x for x in xs],
    "every second": lambda xs: xs[::2],
    "ends exchanged": lambda xs: [xs[-1], *xs[1:-1], xs[0]],
    "minus the smallest": lambda xs: [x - min(xs) for x in xs],
    "times the place": lambda xs: [place * x for place, x in enumerate(xs)],
    **{f"add {by}": _adding(by) for by in range(-9, 10) if by},
    **{f"times {by} plus {plus}": _times(by, plus) for by in (2, 3, 4, 5) for plus in range(-3, 4)},
    **{f"modulo {by}": _modulo(by) for by in range(3, 10)},
    **{f"above {limit}": _above(limit) for limit in range(-4, 5)},
    **{f"divisible by {by}": _divisible(by) for by in (2, 3, 4)},
    **{f"turn by {by}": _turned(by) for by in (1, 2, 3)},
}
WORDS: Mapping[str, Function] = {
    "reverse": lambda word: word[::-1],
    "sort": lambda word: "".join(sorted(word)),
    "sort descending": lambda word: "".join(sorted(word, reverse=True)),
    "double letters": lambda word: "".join(letter * 2 for letter in word),
    "twice backwards": lambda word: (word * 2)[::-1],
    "capital odd places": lambda word: "".join(
        letter.upper() if place % 2 else letter for place, letter in enumerate(word)
    ),
    "ends exchanged": lambda word: word[-1] + word[1:-1] + word[0],
    "halves exchanged": lambda word: word[len(word) // 2 :] + word[: len(word) // 2],
    "capital vowels": lambda word: "".join(x.upper() if x in "aeiou" else x for x in word),
    **{f"turn by {by}": _turned(by) for by in (1, 2, 3)},
    **{f"alphabet plus {by}": _moved(by) for by in range(1, 26)},
    **{f"every {by}th from two starts": _stepped(by) for by in (2, 3, 4)},
    **{f"backwards, {old} becomes {new}": _replaced(old, new) for old in "aeiou" for new in "xyz"},
    **{f"framed by {letter}": _framed(letter) for letter in "kqw"},
}


def drawn_list(rng: random.Random) -> list[int]:
    """Five to seven whole numbers from -9 to 9."""
    return rng.choices(range(-9, 10), k=rng.randint(5, 7))


def drawn_word(rng: random.Random) -> str:
    """Five to eight letters, vowels and consonants in turn."""
    length = rng.randint(5, 8)
    return "".join(rng.choice("aeiou" if place % 2 else "bdfglmnprst") for place in range(length))
