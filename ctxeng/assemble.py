"""Request, sources and a budget become the window. Read third."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ctxeng.budget import Budget, split
from ctxeng.errors import LoopSpent, OverAllowance, WindowTooSmall
from ctxeng.protocols import Allowance, Managed, MayBeQuiet, Model, Source
from ctxeng.text.clip import clip_middle
from ctxeng.turn import (
    Ask,
    Choices,
    Context,
    FreeText,
    Message,
    Request,
    Result,
    Schema,
    Section,
    Want,
)

_FRAME = 96  # tokens for the headings above notes and documents; the check on the whole prompt is exact
_CLEARLY = 0.95  # of the limit: below it the sum of the pieces' prices is proof enough
_ROUNDS = 4  # re-assemblies after which a counter that disagrees with itself is given up on


@dataclass(frozen=True)
class Assembler:
    """Assembles windows: sources in the order in which they are asked, least volatile first."""

    sources: Mapping[str, Source]
    budget: Budget
    instructions: str = ""

    def assemble(self, request: Request, model: Model, ask: Ask, steps: Sequence[Section] = ()) -> Context:
        """The window for a turn's first call, or for a later one once the loop reserve is spent.

        Never more than the window less the reply. Raises WindowTooSmall where the system text, the query
        or the open call cannot fit, and OverAllowance where a source spends more than it was given.
        """
        limit = self.limit(model, ask)
        target = limit
        for _ in range(_ROUNDS):
            context = self._once(request, model, ask, steps, target)
            if context.tokens <= limit * _CLEARLY:
                return context.model_copy(update={"limit": limit})
            over = model.price_context(context) - limit
            if over <= 0:
                return context.model_copy(update={"limit": limit})
            target -= over  # a tokenizer may count a joined text higher than its pieces
        raise WindowTooSmall(model.price_context(context), limit, "the assembled prompt")

    def limit(self, model: Model, ask: Ask) -> int:
        """Tokens a prompt may have for this model: the smaller window, less the reply."""
        window = min(self.budget.window, model.window)
        if ask.max_tokens >= window:
            raise WindowTooSmall(ask.max_tokens, window, "the reply alone")
        return window - ask.max_tokens

    def append(self, context: Context, steps: Sequence[Section], model: Model) -> Context:
        """The frozen window with further steps behind the query. Raises LoopSpent when they do not fit."""
        priced = [_priced(section, model) for section in steps]
        needed = sum(section.tokens for section in priced)
        if needed > context.loop_left:
            raise LoopSpent(needed, context.loop_left)
        spent = {**context.spent, "loop": context.spent.get("loop", 0) + needed}
        return context.model_copy(
            update={
                "sections": (*context.sections, *priced),
                "spent": spent,
                "loop_left": context.loop_left - needed,
            }
        )

    def _once(
        self, request: Request, model: Model, ask: Ask, steps: Sequence[Section], limit: int
    ) -> Context:
        fixed = [_priced(section, model) for section in self._fixed(request, ask)]
        base = model.price_context(Context(sections=())) + sum(section.tokens for section in fixed)
        if base > limit:
            raise WindowTooSmall(base, limit, "system text and query")
        # a reserve is a wish: what must be in the window comes first
        loop = min(self.budget.reserve(tools=self._has_tools(request)), limit - base)
        done = _fit_steps(steps, model, limit - base)
        stepped = sum(section.tokens for section in done)
        loop = max(0, min(loop, limit - base - stepped))
        free = limit - base - stepped - loop
        frame = min(_FRAME, free) if self.sources else 0
        gathered, spent = self._gather(request, model, free - frame)
        sections = sorted(
            chain(fixed, gathered, done), key=lambda section: model.layout.order.index(section.kind)
        )
        spent = {"request": base + frame, **spent, **({"loop": stepped} if stepped else {})}
        return Context(sections=tuple(sections), spent=spent, limit=limit, loop_left=loop)

    def _has_tools(self, request: Request) -> bool:
        """Whether the model may call something in this turn."""
        managed = (source for source in self.sources.values() if isinstance(source, Managed))
        return bool(request.tools) or any(
            not (isinstance(source, MayBeQuiet) and source.quiet(request)) for source in managed
        )

    def _fixed(self, request: Request, ask: Ask) -> list[Section]:
        system = "\n\n".join(text for text in (request.system, self.instructions) if text)
        sections = [Section(kind="system", source="request", body=system)] if system else []
        if wanted := wanted_text(ask.want):
            sections.append(Section(kind="query", source="ask", body=wanted))
        sections.append(Section(kind="query", source="request", body=request.query, ref=request.query.id))
        return sections

    def _gather(self, request: Request, model: Model, available: int) -> tuple[list[Section], dict[str, int]]:
        sections: list[Section] = []
        spent: dict[str, int] = {}
        carry = 0
        asked = {
            name: source
            for name, source in self.sources.items()
            if not (isinstance(source, MayBeQuiet) and source.quiet(request))
        }
        parts = split(available, list(asked), self.budget.shares)
        for (name, source), part in zip(asked.items(), parts, strict=True):
            share = self.budget.shares.get(name)
            tokens = part + carry if share is None or share.cap is None else min(part + carry, share.cap)
            found = source.gather(request, Allowance(tokens=tokens, price=model.price))
            used = sum(max(section.tokens, 0) or model.price(section) for section in found)
            if used > tokens:
                raise OverAllowance(name, used, tokens)
            sections += found
            spent[name] = used
            carry += part - used
        return sections, spent


def step_sections(message: Message, results: Sequence[Result]) -> list[Section]:
    """A model's calls and what they returned, as sections; one tool message per result."""
    calls = Section(kind="step", source="loop", body=message, ref=message.id)
    return [calls, *(_result_section(result) for result in results)]


def wanted_text(want: Want) -> str:
    """The form an answer has to have, as the model reads it; empty for free text."""
    match want:
        case Choices(options=options):
            lines = [f"- {each.value}" + (f": {each.about}" if each.about else "") for each in options]
            return "Answer with exactly one of:\n" + "\n".join(lines)
        case Schema(json_schema=schema):
            return f"Reply with JSON only, of this schema: {json.dumps(schema, ensure_ascii=False)}"
        case FreeText():
            return ""


def _result_section(result: Result) -> Section:
    body = Message(role="tool", parts=(result,))
    return Section(kind="step", source="loop", body=body, ref=result.call_id, trust="untrusted")


def _priced(section: Section, model: Model) -> Section:
    return section.model_copy(update={"tokens": model.price(section)})


def _fit_steps(steps: Sequence[Section], model: Model, room: int) -> list[Section]:
    """All steps, with the results of the oldest clipped until they fit. Raises WindowTooSmall."""
    priced = [_priced(section, model) for section in steps]
    total = sum(section.tokens for section in priced)
    for index, section in enumerate(priced):
        if total <= room:
            break
        clipped = _priced(clip_result(section, model, max(0, section.tokens - (total - room))), model)
        total += clipped.tokens - section.tokens
        priced[index] = clipped
    if total > room:
        raise WindowTooSmall(total, room, "the open tool calls")
    return priced


def clip_result(section: Section, model: Model, tokens: int) -> Section:
    """A tool result's section cut in its middle to about `tokens`; other sections as they are."""
    if not isinstance(section.body, Message):
        return section
    (first, *more) = section.body.parts
    if more or not isinstance(first, Result):
        return section
    result = first

    def fits(text: str) -> bool:
        return model.price(_result_section(result.model_copy(update={"text": text}))) <= tokens

    return _result_section(result.model_copy(update={"text": clip_middle(result.text, fits)}))
