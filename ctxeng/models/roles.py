"""A model for each role, and a model that stands in for another that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ctxeng.errors import Cancelled, ContextOverflow, MissingKey, ModelError
from ctxeng.protocols import Event, Layout, Model, ModelRole, OnEvent
from ctxeng.turn import Answer, Ask, Context, Section


@dataclass(frozen=True)
class RoleModels:
    """One model answers; reflect has its own or inherits it, the other roles inherit from reflect."""

    answer: Model
    others: Mapping[ModelRole, Model] = field(default_factory=dict)

    def role(self, role: ModelRole) -> Model:
        """The model that plays this role."""
        if role == "answer":
            return self.answer
        return self.others.get(role) or self.others.get("reflect") or self.answer


@dataclass(frozen=True)
class Fallback:
    """Asks the models in turn until one answers; never after something has been streamed.

    A prompt is assembled for the first, within the smallest of their windows.
    """

    models: Sequence[Model]

    @property
    def name(self) -> str:
        """The first model's name."""
        return self.models[0].name

    @property
    def window(self) -> int:
        """The smallest window, so that every model can take the prompt."""
        return min(model.window for model in self.models)

    @property
    def layout(self) -> Layout:
        """The first model's."""
        return self.models[0].layout

    def price(self, section: Section) -> int:
        """The highest price any of the models puts on it."""
        return max(model.price(section) for model in self.models)

    def price_context(self, context: Context) -> int:
        """The highest price any of the models puts on it."""
        return max(model.price_context(context) for model in self.models)

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The first answer that succeeds; the last model's error where none does."""
        for model in self.models[:-1]:
            heard = _Heard(on_event)
            try:
                return model.answer(context, ask, heard)
            except (ModelError, MissingKey) as error:
                heard.give_up(error)
        return self.models[-1].answer(context, ask, on_event)

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        for model in self.models[:-1]:
            heard = _Heard(on_event)
            try:
                return await model.aanswer(context, ask, heard)
            except (ModelError, MissingKey) as error:
                heard.give_up(error)
        return await self.models[-1].aanswer(context, ask, on_event)


@dataclass
class _Heard:
    """Passes events on and remembers that there were any."""

    on_event: OnEvent | None
    any: bool = False

    def __call__(self, event: Event) -> None:
        self.any = True
        if self.on_event is not None:
            self.on_event(event)

    def give_up(self, error: Exception) -> None:
        """Raise the error again where another model could not mend it."""
        if self.any or isinstance(error, ContextOverflow | Cancelled):
            raise error
