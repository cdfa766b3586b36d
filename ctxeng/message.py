"""Messages and their parts, and how far a text is trusted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


class Value(BaseModel):
    """A frozen value that crosses borders (YAML, JSON, graph state, journal); unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Trust = Literal["untrusted", "user", "trusted"]
TRUST_ORDER: tuple[Trust, ...] = ("untrusted", "user", "trusted")
Role = Literal["system", "user", "assistant", "tool"]


def least_trust(*levels: Trust) -> Trust:
    """The trust of something derived from parts: the minimum over its lineage."""
    return min(levels, key=TRUST_ORDER.index, default="trusted")


# -- parts of a message --------------------------------------------------------------------------------


def well_formed(text: str) -> str:
    """The text with halves of surrogate pairs replaced: no tokenizer, log or provider could take them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


WellFormed = Annotated[str, AfterValidator(well_formed)]


class Text(Value):
    """Plain text."""

    type: Literal["text"] = "text"
    text: WellFormed


class Image(Value):
    """An image, by URL or as base64 data; `tokens` is what the provider bills for it."""

    type: Literal["image"] = "image"
    url: str
    tokens: int = Field(default=1105, ge=0)


class Call(Value):
    """A tool call by the model. `malformed` holds the raw arguments where they are not valid JSON."""

    type: Literal["call"] = "call"
    id: str
    name: str
    arguments: dict[str, JsonValue] = {}
    malformed: str = ""


class Result(Value):
    """What a tool call returned."""

    type: Literal["result"] = "result"
    call_id: str
    text: WellFormed
    is_error: bool = False


class Opaque(Value):
    """Provider data that goes back verbatim with its call, for example signed thinking."""

    type: Literal["opaque"] = "opaque"
    provider: str
    payload: JsonValue


Part = Annotated[Text | Image | Call | Result | Opaque, Field(discriminator="type")]


class Message(Value):
    """One message of a dialogue."""

    role: Role
    parts: tuple[Part, ...]
    id: str = ""

    @property
    def text(self) -> str:
        """All text parts and results, joined."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text | Result))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tool calls it makes."""
        return tuple(part for part in self.parts if isinstance(part, Call))


def user(text: str) -> Message:
    """A user message of plain text."""
    return Message(role="user", parts=(Text(text=text),))


def assistant(text: str) -> Message:
    """An assistant message of plain text."""
    return Message(role="assistant", parts=(Text(text=text),))
