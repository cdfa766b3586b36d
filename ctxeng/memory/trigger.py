"""When memory acts: conditions over what the window shows, joined by `and` and `or`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from ctxeng.errors import BadInput

Measure = Literal["tokens", "messages", "turns"]
MEASURES: tuple[Measure, ...] = ("tokens", "messages", "turns")

_WORD = re.compile(r"\s*(>=|>|\(|\)|[a-z_]+|\d+(?:\.\d+)?\s*[km]?\b)", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([km]?)", re.IGNORECASE)
_EXAMPLE = "for example: tokens > 20k or (messages >= 40 and turns > 5)"


class Sizes(Protocol):
    """What conditions are about."""

    @property
    def tokens(self) -> int:
        """Tokens shown."""
        ...

    @property
    def messages(self) -> Sequence[object]:
        """Messages shown."""
        ...

    @property
    def turns(self) -> int:
        """User messages shown."""
        ...


@dataclass(frozen=True)
class Condition:
    """At least `least` of something."""

    measure: Measure
    least: int

    def fires(self, sizes: Sizes) -> bool:
        """Whether there is as much."""
        found = len(sizes.messages) if self.measure == "messages" else getattr(sizes, self.measure)
        return bool(found >= self.least)


@dataclass(frozen=True)
class All:
    """Every one of these."""

    of: tuple[Trigger, ...]

    def fires(self, sizes: Sizes) -> bool:
        """Whether all fire."""
        return all(each.fires(sizes) for each in self.of)


@dataclass(frozen=True)
class Any:
    """Any one of these; of nothing: never."""

    of: tuple[Trigger, ...] = ()

    def fires(self, sizes: Sizes) -> bool:
        """Whether one fires."""
        return any(each.fires(sizes) for each in self.of)


Trigger = Condition | All | Any
NEVER = Any()
Clause = tuple[str, int] | Mapping[str, int]


def trigger(given: str | Clause | Sequence[Clause]) -> Trigger:
    """A trigger from its sentence, or from LangChain's form. Raises BadInput.

    The sentence: `tokens > 20k or turns > 40`; `and` binds closer than `or`, and there are parentheses. The
    form: `("tokens", 20_000)`; a mapping of such, all of which have to hold; a list, any of which may.
    """
    if isinstance(given, str):
        return _Sentence(given).read()
    if isinstance(given, Mapping):
        return All(tuple(_condition(name, least) for name, least in given.items()))
    if len(given) == 2 and isinstance(given[0], str):  # noqa: PLR2004 - a pair
        return _condition(given[0], cast("int", given[1]))
    return Any(tuple(trigger(each) for each in cast("Sequence[Clause]", given)))


def _condition(name: str, least: int) -> Condition:
    if name not in MEASURES:
        raise BadInput(f"a trigger knows {', '.join(MEASURES)}, not {name!r}; {_EXAMPLE}")
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise BadInput(f"{name}: {least!r} is no amount; {_EXAMPLE}")
    return Condition(name, least)


class _Sentence:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        place = 0
        while text[place:].strip():
            found = _WORD.match(text, place)
            if found is None:
                raise self._wrong(f"{text[place:].strip()[:20]!r} is not understood")
            self._words.append(found[1].lower())
            place = found.end()

    def read(self) -> Trigger:
        """The whole sentence."""
        found = self._joined("or", lambda: self._joined("and", self._one, All), Any)
        if self._words:
            raise self._wrong(f"{self._words[0]!r} is too much")
        return found

    def _joined(self, word: str, part: Callable[[], Trigger], join: type[All | Any]) -> Trigger:
        parts = [part()]
        while self._words[:1] == [word]:
            self._words.pop(0)
            parts.append(part())
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _one(self) -> Trigger:
        name = self._next("a condition")
        if name == "(":
            found = self._joined("or", lambda: self._joined("and", self._one, All), Any)
            if self._next("a closing parenthesis") != ")":
                raise self._wrong("a closing parenthesis is missing")
            return found
        sign = self._next("> or >=")
        if sign not in {">", ">="}:
            raise self._wrong(f"behind {name!r} there has to be > or >=")
        amount = _AMOUNT.fullmatch(self._next("an amount"))
        if amount is None:
            raise self._wrong(f"behind {sign!r} there has to be an amount")
        least = int(float(amount[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[amount[2].lower()])
        return _condition(name, least + (sign == ">"))

    def _next(self, wanted: str) -> str:
        if not self._words:
            raise self._wrong(f"it ends where {wanted} is expected")
        return self._words.pop(0)

    def _wrong(self, why: str) -> BadInput:
        return BadInput(f"trigger {self._text!r}: {why}; {_EXAMPLE}")
