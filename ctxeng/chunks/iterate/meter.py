"""A model whose calls together stay within a number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.errors import ContextOverflow, ModelError
from ctxeng.protocols import Layout, Model, OnEvent
from ctxeng.text.replies import billed, instruction
from ctxeng.turn import Answer, Ask, Context, Section, Usage

_LEAST = 32  # tokens of a reply: with less room than this a call is not worth its prompt
_REPAIR = 1_000  # tokens: what a bad reply that is quoted back and its fault may come to, beside the prompt


class CapReached(ModelError):
    """A call that was not made, because it would have passed the step's cap."""


@dataclass
class Metered:
    """A model that is asked only while input and output tokens of all calls stay within `cap`.

    Before a call its whole prompt is priced by the model itself, and the reply is limited to what is left;
    so the cap holds wherever the model's prices and its limit on replies do. For one thread.
    """

    model: Model
    cap: int
    usage: Usage = field(default_factory=Usage)

    @property
    def left(self) -> int:
        """Tokens that may still be spent."""
        return self.cap - self.usage.input - self.usage.output

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def window(self) -> int:
        """The model's window."""
        return self.model.window

    @property
    def layout(self) -> Layout:
        """The model's layout."""
        return self.model.layout

    def price(self, section: Section) -> int:
        """The model's price of the section."""
        return self.model.price(section)

    def price_context(self, context: Context) -> int:
        """The model's price of the prompt."""
        return self.model.price_context(context)

    def price_call(self, context: Context, ask: Ask) -> int:
        """The prompt, and what says which form the reply must have."""
        form = Section(kind="system", source="form", body=instruction(ask.want))
        return self.price_context(context) + self.price(form)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The model's answer, its usage added up. Raises CapReached, ContextOverflow, ModelError."""
        return self._noted(self.model.answer(context, self._limited(context, ask), on_event))

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        return self._noted(await self.model.aanswer(context, self._limited(context, ask), on_event))

    def split(self, calls: Sequence[tuple[Context, Ask]]) -> list[Metered]:
        """A meter of its own for each call, as far as the cap reaches: the first calls are served first.

        What is then left serves repair rounds, in the same order. So what may be spent is settled before any
        of the calls runs, and does not depend on which of them ends first. `join` adds up what they spent.
        """
        needs = [self.price_call(context, ask) + ask.max_tokens for context, ask in calls]
        grants: list[int] = []
        left = self.left
        for need in needs:
            if need > left:
                break
            grants.append(need)
            left -= need
        for place, need in enumerate(needs[: len(grants)]):
            repair = need + _REPAIR
            if repair <= left:
                grants[place] += repair
                left -= repair
        return [Metered(self.model, grant) for grant in grants]

    def join(self, parts: Sequence[Metered]) -> None:
        """Count what these spent as this one's."""
        self.usage = sum((part.usage for part in parts), self.usage)

    def _limited(self, context: Context, ask: Ask) -> Ask:
        price = self.price_call(context, ask)
        if price + _LEAST > self.left:
            raise CapReached(
                f"a call of {price} tokens and its reply would pass the cap: {self.left} are left"
            )
        if price + _LEAST > self.window:
            raise ContextOverflow(f"a prompt of {price} tokens leaves no room in a window of {self.window}")
        room = min(ask.max_tokens, self.left - price, self.window - price)
        return ask.model_copy(update={"max_tokens": room})

    def _noted(self, answer: Answer) -> Answer:
        self.usage += billed(answer)
        return answer
