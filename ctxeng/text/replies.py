"""Strict reading of model replies: JSON and choices, with one repair round; nothing is patched up."""

from __future__ import annotations

import json
import re
from typing import NoReturn, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from ctxeng.errors import BadReply
from ctxeng.protocols import Model
from ctxeng.text.clip import clip_middle
from ctxeng.text.schemas import misfit
from ctxeng.turn import Answer, Ask, Choices, Context, FreeText, Message, Schema, Section, Usage, Want
from ctxeng.turn import assistant as assistant_message
from ctxeng.turn import user as user_message

T = TypeVar("T")

# A JSON string cannot hold a raw line break, so a fence at the start of a line is never inside the value.
_FENCED = re.compile(r"^[ \t]*```[ \t]*(?:json)?[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_LAST_LINE = re.compile(r"\n[ \t*_]*(?:(?:the )?(?:final )?answer(?: is)?[*_]*:)?(.+)\Z", re.IGNORECASE)
_QUOTES = " \"'`*."
_QUOTED = 2_000  # characters of a bad reply that go back with the question for a better one
_SHOWN = 12  # options or faults that an error's sentence lists


class Unrepaired(BadReply):
    """A reply that was bad twice; `usage` says what both cost."""

    def __init__(self, message: str, usage: Usage) -> None:
        super().__init__(message)
        self.usage = usage


def find_json(text: str) -> JsonValue:
    """The JSON value that is the whole text, or its one fenced block. Raises BadReply."""
    return _load(_json_text(text))


def read_json(text: str, adapter: TypeAdapter[T]) -> T:
    """The value of the reply's JSON, validated. Raises BadReply, saying what is wrong and where."""
    raw = _json_text(text)
    _load(raw)
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the value'}: {fault['msg']}" for fault in error.errors()
        ]
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadReply(f"the JSON does not fit: {'; '.join(faults[:_SHOWN])}{more}") from None


def read_choice(text: str, choices: Choices) -> str:
    """The option that the reply names: bare, quoted, or as JSON {"choice": ...}. Raises BadReply."""
    known = {option.value for option in choices.options}
    folded = {_fold(value): value for value in sorted(known)}
    for said in _named(text):
        if said in known:
            return said
        if _fold(said) in folded:
            return folded[_fold(said)]
    options = [option.value for option in choices.options[:_SHOWN]]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    raise BadReply(
        f"the reply names none of the options ({', '.join(options)}{more}): {text.strip()[:200]!r}"
    )


def parse(text: str, want: Want) -> JsonValue:
    """What was asked for, read from the reply; None for free text. Raises BadReply."""
    match want:
        case Choices():
            return read_choice(text, want)
        case Schema():
            value = find_json(text)
            if fault := misfit(value, want.json_schema):
                raise BadReply(f"the JSON does not fit: {fault}")
            return value
        case FreeText():
            return None


def parsed_or_none(text: str, want: Want) -> JsonValue:
    """The same for `Answer.parsed`: None where the text has another form, for the caller to judge."""
    try:
        return parse(text, want)
    except BadReply:
        return None


def choice_schema(choices: Choices) -> dict[str, JsonValue]:
    """The JSON Schema of an object that names one option."""
    values: list[JsonValue] = [option.value for option in choices.options]
    return {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": values}},
        "required": ["choice"],
        "additionalProperties": False,
    }


def instruction(want: Want) -> str:
    """What a model is told about the form of its reply; empty for free text."""
    match want:
        case Choices():
            lines = [
                f"- {option.value}: {option.about}" if option.about else f"- {option.value}"
                for option in want.options
            ]
            return "\n".join(
                ['Reply with JSON only: {"choice": "<one of the options, verbatim>"}. The options:', *lines]
            )
        case Schema():
            return f"Reply with JSON only, of this schema: {json.dumps(want.json_schema, ensure_ascii=False)}"
        case FreeText():
            return ""


def ask_json(
    model: Model, context: Context, ask: Ask, adapter: TypeAdapter[T], role: str = "answer"
) -> tuple[T, Usage]:
    """The model's reply as a validated value, and what it cost; a bad reply is sent back once to be mended.

    Raises Unrepaired, a BadReply, after that one round. `role` names the model's part in messages.
    """
    wanted = ask.model_copy(update={"want": Schema(json_schema=adapter.json_schema())})
    first = model.answer(context, wanted)
    usage = billed(first)
    try:
        return read_json(first.text, adapter), usage
    except BadReply as error:
        fault = str(error)
    repair = _repair(model, context, wanted, first.text, fault)
    if repair is None:
        raise Unrepaired(f"{role}: {fault}; there is no room in the window to ask again", usage)
    second = model.answer(repair, wanted)
    usage += billed(second)
    try:
        return read_json(second.text, adapter), usage
    except BadReply as error:
        raise Unrepaired(f"{role}: {error} (asked twice; the first reply: {fault})", usage) from None


def ask_clipped(model: Model, text: str, reply: int, adapter: TypeAdapter[T], role: str) -> tuple[T, Usage]:
    """The same for one text, cut in its middle where it does not fit; `reply` is in tokens.

    The reply gets at most half of the window. Raises Unrepaired.
    """
    ask = Ask(max_tokens=min(reply, model.window // 2), temperature=0.0)

    def context(body: str) -> Context:
        return Context(sections=(Section(kind="query", source=role, body=user_message(body)),))

    def fits(body: str) -> bool:
        return model.price_context(context(body)) <= model.window - ask.max_tokens

    return ask_json(model, context(clip_middle(text, fits)), ask, adapter, role)


def billed(answer: Answer) -> Usage:
    """What an answer cost, all roles together."""
    return sum(answer.usage.values(), Usage())


def _repair(model: Model, context: Context, ask: Ask, reply: str, fault: str) -> Context | None:
    """The context with the bad reply and what was wrong appended, or None where that does not fit."""

    def step(message: Message) -> Section:
        section = Section(kind="step", source="repair", body=message, trust="untrusted")
        return section.model_copy(update={"tokens": model.price(section)})

    sections = (
        step(assistant_message(reply[:_QUOTED] or "(nothing)")),
        step(user_message(f"That reply cannot be used: {fault}\nReply again, with the JSON only.")),
    )
    cost = sum(section.tokens for section in sections)
    longer = context.model_copy(
        update={
            "sections": (*context.sections, *sections),
            "spent": {**context.spent, "repair": cost},
        }
    )
    return longer if model.price_context(longer) + ask.max_tokens <= model.window else None


def _json_text(text: str) -> str:
    blocks: list[str] = _FENCED.findall(text)
    match blocks:
        case []:
            return text.strip()
        case [block]:
            return block.strip()
        case _:
            raise BadReply(f"the reply has {len(blocks)} fenced blocks; exactly one JSON value is wanted")


def _load(raw: str) -> JsonValue:
    if not raw:
        raise BadReply("the reply is empty")
    try:
        value: JsonValue = json.loads(raw, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadReply(
            f"not JSON: {error.msg} at line {error.lineno} column {error.colno}: {raw[:80]!r}"
        ) from None
    except (ValueError, RecursionError) as error:  # numbers with thousands of digits, endless brackets
        raise BadReply(f"not usable JSON: {error}") from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise BadReply(f"{name} is not JSON")


def _named(text: str) -> list[str]:
    """What a reply may be naming, most literal first."""
    bare = text.strip()
    said = [bare, bare.strip(_QUOTES).strip()]
    if last := _LAST_LINE.search(bare):
        said.append(last[1].strip(_QUOTES).strip())
    try:
        match find_json(text):
            case {"choice": str(choice)} | str(choice):
                said.append(choice)
    except BadReply:
        pass
    return said


def _fold(value: str) -> str:
    return " ".join(value.casefold().split())
