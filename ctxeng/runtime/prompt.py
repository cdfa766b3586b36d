"""A prompt as typed parts: what is read in order, what stands side by side, what is stored by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ctxeng.errors import BadInput


@dataclass(frozen=True)
class Part:
    """Tokens of one kind (system, playbook, tool, chunk, history, query ...).

    `parallel` parts in a row do not see each other: each is encoded right behind what stands before the first
    of them, and stored under its own tokens, so that it serves in any company and any order.
    """

    kind: str
    ids: tuple[int, ...]
    parallel: bool = False


@dataclass(frozen=True)
class Lot:
    """Tokens that are read in one go: a part that is kept by itself, or plain ones in a row (kind empty)."""

    ids: list[int]
    kind: str = ""
    parallel: bool = False


@dataclass(frozen=True)
class Prompt:
    """Parts in order. `notes`: what could not be as it was asked for, in words; the report hands them on.

    Raises BadInput where the prompt does not end with a token that is no parallel part.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        last = next((part for part in reversed(self.parts) if part.ids), None)
        if last is None or last.parallel:
            raise BadInput("a prompt ends with at least one token that is no parallel part")

    @classmethod
    def of(cls, prompt: Prompt | Sequence[int]) -> Prompt:
        """Plain tokens as a prompt of one part."""
        return prompt if isinstance(prompt, Prompt) else cls((Part("text", tuple(prompt)),))

    def lots(self, kinds: Collection[str] = ()) -> list[Lot]:
        """What is read before the rest: parts that are parallel or of these kinds, plain runs between them.

        Nothing where there are no such parts. The rest, from the last such part on, has at least one token.
        """
        parts = [part for part in self.parts if part.ids]
        own = [part.parallel or part.kind in kinds for part in parts[:-1]]
        end = max((number + 1 for number, found in enumerate(own) if found), default=0)
        found: list[Lot] = []
        for part, apart in zip(parts[:end], own, strict=False):
            if apart:
                found.append(Lot(list(part.ids), part.kind, part.parallel))
            elif found and not found[-1].kind:
                found[-1].ids.extend(part.ids)
            else:
                found.append(Lot(list(part.ids)))
        return found

    @property
    def parallel(self) -> list[tuple[int, ...]]:
        """The parallel parts that hold a token."""
        return [part.ids for part in self.parts if part.parallel and part.ids]

    @property
    def ids(self) -> list[int]:
        """All tokens in order."""
        return [token for part in self.parts for token in part.ids]
