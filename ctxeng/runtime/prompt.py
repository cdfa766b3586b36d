"""A prompt as typed pieces: what is read in order, and what stands side by side and can be stored apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.errors import BadInput


@dataclass(frozen=True)
class Part:
    """Tokens of one kind (system, playbook, tool, chunk, history, query ...).

    `parallel` parts do not see each other: each is encoded right behind what stands before the first of them,
    and stored under its own tokens, so that it serves in any company and any order.
    """

    kind: str
    ids: tuple[int, ...]
    parallel: bool = False


@dataclass(frozen=True)
class Prompt:
    """Parts in order: a head, parallel parts (if any) behind one another, and the rest.

    Raises BadInput where there is nothing to read at the end, or parallel parts are not in one run.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not self.rest:
            raise BadInput("a prompt ends with at least one token that is no parallel part")
        turns = sum(a.parallel != b.parallel for a, b in itertools.pairwise(self.parts))
        if turns > 1 + (not self.parts[0].parallel):
            raise BadInput("parallel parts of a prompt stand behind one another, with nothing between them")

    @classmethod
    def of(cls, prompt: Prompt | Sequence[int]) -> Prompt:
        """Plain tokens as a prompt of one part."""
        return prompt if isinstance(prompt, Prompt) else cls((Part("text", tuple(prompt)),))

    @property
    def head(self) -> list[int]:
        """Tokens before the parallel parts; none where there are no parallel parts."""
        first = next((i for i, part in enumerate(self.parts) if part.parallel), 0)
        return [token for part in self.parts[:first] for token in part.ids]

    @property
    def parallel(self) -> list[tuple[int, ...]]:
        """The parallel parts that hold a token."""
        return [part.ids for part in self.parts if part.parallel and part.ids]

    @property
    def rest(self) -> list[int]:
        """Tokens behind the parallel parts; all of them where there are none."""
        last = max((i for i, part in enumerate(self.parts) if part.parallel), default=-1)
        return [token for part in self.parts[last + 1 :] for token in part.ids]

    @property
    def ids(self) -> list[int]:
        """All tokens in order."""
        return [token for part in self.parts for token in part.ids]
