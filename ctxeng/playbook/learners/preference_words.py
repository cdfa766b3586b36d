"""Words that edits exchange or strike again and again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

Swap = tuple[str, str]  # a word, and what stands in its place; "" where it was struck

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*(?:['\u2019]\w+)?")
_MOST = 2_000  # words compared: matching takes quadratic time
_OFTEN = 2
_PRONOUNS = frozenset({"i", "me", "my", "we", "us", "our", "you", "your", "mine", "ours", "yours"})


def word_clauses(draft: str, text: str, recurring: Sequence[Swap] = ()) -> list[str]:
    """A clause for each exchange that the edit makes twice, or once where it is among `recurring`."""
    found = Counter(swaps(draft, text))
    return [
        f"“{new}” instead of “{old}”" if new else f"without the word “{old}”"
        for (old, new), count in found.items()
        if count >= _OFTEN or (old, new) in recurring
    ]


def swaps(draft: str, text: str) -> Iterator[Swap]:
    """Each exchange of one word for one word, or for none, whose old word is then nowhere left.

    Names, numbers and whole phrases are left out: they are facts. So are pronouns and contractions, which
    are aspects of their own. Texts of more than 2,000 words have none.
    """
    before, after = _WORD.findall(draft), _WORD.findall(text)
    if max(len(before), len(after)) > _MOST:
        return
    old_words, new_words = [[word.casefold() for word in words] for words in (before, after)]
    left = set(new_words)
    matcher = SequenceMatcher(None, old_words, new_words, autojunk=False)
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        if end - start != 1 or new_end - new_start > 1:
            continue
        new = "".join(new_words[new_start:new_end])
        names = before[start][:1].isupper() or any(word[:1].isupper() for word in after[new_start:new_end])
        old = old_words[start]
        if old not in left and not names and not _aside(old) and not _aside(new):
            yield old, new


def _aside(word: str) -> bool:
    return word in _PRONOUNS or "'" in word or "\u2019" in word
