"""Text out of tokens as they come: whole characters only, and nothing that may yet become a stop text."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.runtime.tokenizer import Tokenizer

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


@dataclass
class Detokenizer:
    """Text of one generation. What ends in half a character waits, and what a stop text may begin with."""

    tokenizer: Tokenizer
    stops: tuple[str, ...] = ()
    _ids: list[int] = field(default_factory=list)
    _done: int = 0  # ids whose text is in `_text`
    _text: str = ""
    _given: int = 0

    def push(self, token: int) -> tuple[str, bool]:
        """The text that is now certain, and whether a stop text came."""
        self._ids.append(token)
        self._read(final=False)
        places = [(at + len(s), at) for s in self.stops if (at := self._text.find(s, self._given)) >= 0]
        if places:  # the one that was complete first; of two, the longer
            at = min(places)[1]
            self._text = self._text[:at]
            return self._give(at), True
        return self._give(len(self._text) - self._held()), False

    def rest(self) -> str:
        """What was held back, when no more comes."""
        self._read(final=True)
        return self._give(len(self._text))

    def _read(self, *, final: bool) -> None:
        """Decode with what came before in view, for a token's text may depend on it."""
        before = self._ids[max(0, self._done - _CONTEXT) : self._done]
        known = self.tokenizer.decode(before)
        whole = self.tokenizer.decode(before + self._ids[self._done :])
        if whole.endswith(_UNFINISHED) and not final:
            return
        self._text += whole[len(known) :]
        self._done = len(self._ids)

    def _held(self) -> int:
        """Characters at the end that begin a stop text."""
        longest = 0
        for stop in self.stops:
            for size in range(min(len(stop) - 1, len(self._text) - self._given), longest, -1):
                if self._text.endswith(stop[:size]):
                    longest = size
                    break
        return longest

    def _give(self, upto: int) -> str:
        found = self._text[self._given : upto]
        self._given = max(self._given, upto)
        return found


_CONTEXT = 6  # tokens before, so that joins come out as they stand in the whole text
