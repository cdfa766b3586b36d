"""Requests in OpenAI's form: what is asked for, checked; what we cannot do is refused, not passed over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictInt, StringConstraints, model_validator

from ctxeng.runtime.sampling import Sampling

_DEEPEST = 64  # of nested lists and objects
Bias = Annotated[float, Field(ge=-100, le=100)]
Stop = Annotated[str, StringConstraints(max_length=256)]


def sound(value: Any) -> Any:
    """The same. Raises ValueError for text that is no Unicode, and for what is nested beyond 64 levels."""
    level, depth = [value], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} levels deep")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                try:
                    one.encode()
                except UnicodeEncodeError:
                    raise ValueError("a text is not well-formed Unicode") from None
            elif isinstance(one, dict):
                inner += [*one, *one.values()]
            elif isinstance(one, list):
                inner += one
        level, depth = inner, depth + 1
    return value


class Form(BaseModel):
    """Common to all requests. A null is what is not given; names we do not know are passed over."""

    model_config = ConfigDict(extra="ignore")
    model: str = ""

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in sound(given).items() if value is not None}


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool = False


class Sampled(Form):
    """How text is generated: OpenAI's names; `min_p`, `top_k`, `repetition_penalty` as others have them."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0, le=100)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    logit_bias: dict[int, Bias] = Field(default_factory=dict)
    seed: int | None = Field(default=None, ge=-(1 << 63), lt=1 << 63)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Literal[1] = 1

    @property
    def sampling(self) -> Sampling:
        """The same for the engine. Raises BadInput for values it does not take."""
        return Sampling(
            self.temperature,
            self.top_p,
            self.top_k,
            self.min_p,
            self.repetition_penalty,
            self.frequency_penalty,
            self.presence_penalty,
            self.logit_bias,
            self.seed,
        )

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in found if text)


class Piece(BaseModel):
    """A part of a message's content."""

    type: str
    text: str = ""


class Function(BaseModel):
    """A tool's name, and what else it says of itself."""

    model_config = ConfigDict(extra="allow")
    name: str
    arguments: str | dict[str, JsonValue] = "{}"


class Called(BaseModel):
    """A tool call of an earlier turn, or a tool."""

    model_config = ConfigDict(extra="allow")
    type: Literal["function"] = "function"
    function: Function


class Turn(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Piece] | None = None
    tool_calls: list[Called] | None = None


class Schema(BaseModel):
    """A JSON Schema and its name."""

    name: str = ""
    json_schema: dict[str, JsonValue] = Field(alias="schema")


class Format(BaseModel):
    """The form an answer has to have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None

    @model_validator(mode="after")
    def _whole(self) -> Format:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing")
        return self


class Chat(Sampled):
    """`POST /v1/chat/completions`."""

    messages: list[Turn] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[Called] = Field(default_factory=list, max_length=1000)
    tool_choice: Literal["auto", "none"] = "auto"
    response_format: Format = Format(type="text")
    logprobs: Literal[False] = False

    @property
    def schema_wanted(self) -> dict[str, JsonValue] | None:
        """The JSON Schema that the answer has to fit; None: any text."""
        wanted = self.response_format
        if wanted.json_schema is not None and wanted.type == "json_schema":
            return wanted.json_schema.json_schema
        return {"type": "object"} if wanted.type == "json_object" else None


class Completion(Sampled):
    """`POST /v1/completions`: one text, or the tokens of one."""

    prompt: str | list[StrictInt] | Annotated[list[str], Field(max_length=1)]
    echo: Literal[False] = False
    best_of: Literal[1] = 1


class Embedding(Form):
    """`POST /v1/embeddings`."""

    input: (
        str
        | Annotated[list[str], Field(max_length=2048)]
        | list[StrictInt]
        | Annotated[list[list[StrictInt]], Field(max_length=2048)]
    )
    encoding_format: Literal["float", "base64"] = "float"
