"""The OpenAI chat format, as sent and as received: request bodies, and answers put together from pieces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from ctxeng.protocols import Event
from ctxeng.render import Prompt
from ctxeng.turn import Ask, Call, Finish, Message, Opaque, Part, Schema, Text, Usage

_FINISHES: Mapping[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "filtered",
}


def body(prompt: Prompt, ask: Ask, provider: str, *, schema: bool) -> dict[str, Any]:
    """The request's messages, tools and sampling options.

    Opaque parts of this `provider` go back as they came, those of others stay out. `schema` says whether
    the provider takes a JSON Schema; where it does not, the prompt alone has to ask for the form.
    """
    made: dict[str, Any] = {
        "messages": [_message(message, provider) for message in prompt.messages],
        "max_tokens": ask.max_tokens,
    }
    if prompt.tools:
        made |= {"tools": prompt.tools, "tool_choice": ask.tool_choice}
    if ask.temperature is not None:
        made["temperature"] = ask.temperature
    if ask.seed is not None:
        made["seed"] = ask.seed
    if ask.stop:
        made["stop"] = list(ask.stop)
    # providers demand an object at the top; other schemas are left to the prompt
    if schema and isinstance(ask.want, Schema) and ask.want.json_schema.get("type") == "object":
        form = {"name": "reply", "schema": ask.want.json_schema, "strict": False}
        made["response_format"] = {"type": "json_schema", "json_schema": form}
    return made


def _message(message: Mapping[str, Any], provider: str) -> dict[str, Any]:
    sent = {key: value for key, value in message.items() if key != "opaque"}
    if isinstance(sent.get("content"), list):
        sent["content"] = [
            {key: value for key, value in part.items() if key != "image_tokens"} for part in sent["content"]
        ]
    for part in message.get("opaque", ()):
        if part["provider"] != provider:
            continue
        if blocks := part["payload"].get("thinking_blocks"):
            sent["thinking_blocks"] = blocks
        fields = part["payload"].get("calls", {})
        sent["tool_calls"] = [
            {**call, "provider_specific_fields": fields[call["id"]]} if call["id"] in fields else call
            for call in sent.get("tool_calls", ())
        ]
    if sent.get("tool_calls") == []:
        del sent["tool_calls"]
    return sent


@dataclass
class _PartialCall:
    id: str
    name: str = ""
    arguments: str = ""
    fields: dict[str, JsonValue] = field(default_factory=dict)

    def done(self, position: int) -> Call:
        made = Call(id=self.id or f"call_{position}", name=self.name)
        malformed = made.model_copy(update={"malformed": _well_formed(self.arguments)})
        try:
            arguments = json.loads(self.arguments or "{}")
            json.dumps(arguments, ensure_ascii=False).encode()  # half a surrogate pair could not be sent on
        except (ValueError, RecursionError):
            return malformed
        return made.model_copy(update={"arguments": arguments}) if isinstance(arguments, dict) else malformed


@dataclass
class Assembly:
    """An answer in the making. Feed it the pieces of a stream, or a whole response as the only piece."""

    provider: str
    finish: str = ""
    usage: Usage | None = None
    cancelled: bool = False
    began: bool = False  # something that a caller may have seen has arrived
    _text: list[str] = field(default_factory=list)
    _blocks: list[dict[str, JsonValue]] = field(default_factory=list)
    _calls: list[_PartialCall] = field(default_factory=list)
    _at: dict[int, _PartialCall] = field(default_factory=dict)

    def feed(self, piece: Mapping[str, Any]) -> list[Event]:
        """Take the next piece; what of it streams out."""
        if piece.get("usage"):
            self.usage = _usage(piece["usage"])
        events: list[Event] = []
        for choice in (piece.get("choices") or ())[:1]:
            delta = choice.get("delta") or choice.get("message") or {}
            self.finish = choice.get("finish_reason") or self.finish
            if thinking := delta.get("reasoning_content"):
                events.append(Event(type="thinking", text=thinking))
            for block in delta.get("thinking_blocks") or ():
                self._think(block)
            if text := delta.get("content"):
                self._text.append(text)
                events.append(Event(type="text", text=text))
            for position, call in enumerate(delta.get("tool_calls") or ()):
                self._call(call, position)
        self.began = self.began or bool(events or self._calls)
        return events

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text)

    def message(self) -> Message:
        """The assistant's message: opaque thinking, text, calls."""
        parts: list[Part] = []
        fields: dict[str, JsonValue] = {call.id: call.fields for call in self._calls if call.fields}
        if self._blocks or fields:
            payload: dict[str, JsonValue] = {"thinking_blocks": [*self._blocks], "calls": fields}
            payload = {key: value for key, value in payload.items() if value}
            parts.append(Opaque(provider=self.provider, payload=payload))
        if self.text or not self._calls:
            parts.append(Text(text=self.text))
        parts += [call.done(position) for position, call in enumerate(self._calls)]
        return Message(role="assistant", parts=tuple(parts))

    def ended(self) -> Finish:
        """Why it ended; providers that say "stop" where they call tools are corrected."""
        finish = _FINISHES.get(self.finish, "stop")
        return "calls" if finish == "stop" and self._calls else finish

    def _think(self, block: Mapping[str, Any]) -> None:
        """Fragments of a block grow together until its signature has come."""
        last = self._blocks[-1] if self._blocks else {}
        if block.get("type") != "thinking" or last.get("type") != "thinking" or last.get("signature"):
            self._blocks.append({key: value for key, value in block.items() if value is not None})
            return
        last["thinking"] = str(last.get("thinking") or "") + (block.get("thinking") or "")
        if block.get("signature"):
            last["signature"] = block["signature"]

    def _call(self, fragment: Mapping[str, Any], position: int) -> None:
        index = fragment.get("index")
        index = position if index is None else index
        call = self._at.get(index)
        # some providers number all calls 0: another id is another call
        if call is None or (fragment.get("id") and call.id and fragment["id"] != call.id):
            call = self._at[index] = _PartialCall(fragment.get("id") or "")
            self._calls.append(call)
        function = fragment.get("function") or {}
        call.id = call.id or fragment.get("id") or ""
        call.name += function.get("name") or ""
        call.arguments += function.get("arguments") or ""
        call.fields.update(fragment.get("provider_specific_fields") or {})


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _usage(reported: Mapping[str, Any]) -> Usage | None:
    details = reported.get("prompt_tokens_details") or {}
    if not reported.get("prompt_tokens"):
        return None  # zeros stand for a provider that reports nothing
    return Usage(
        calls=1,
        input=reported["prompt_tokens"],
        output=reported.get("completion_tokens") or 0,
        cached=details.get("cached_tokens") or reported.get("cache_read_input_tokens") or 0,
    )
