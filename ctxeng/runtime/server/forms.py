"""Requests in OpenAI's form: what is asked for, checked; what is unknown is passed over, as OpenAI does."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ctxeng.runtime.sampling import Sampling


class Form(BaseModel):
    """Common to all requests."""

    model_config = ConfigDict(extra="ignore")
    model: str = ""


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
    logit_bias: dict[int, float] = Field(default_factory=dict)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: dict[str, Any] = Field(default_factory=dict)
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

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options.get("include_usage"))


class Chat(Sampled):
    """`POST /v1/chat/completions`."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[dict[str, Any]] = Field(default_factory=list)
    tool_choice: str | dict[str, Any] = "auto"
    response_format: dict[str, Any] = Field(default_factory=dict)

    @property
    def schema_wanted(self) -> dict[str, JsonValue] | None:
        """The JSON Schema that the answer has to fit; None: any text."""
        kind = self.response_format.get("type")
        if kind == "json_schema":
            found = self.response_format.get("json_schema", {}).get("schema")
            return dict(found) if isinstance(found, dict) else {"type": "object"}
        return {"type": "object"} if kind == "json_object" else None


class Completion(Sampled):
    """`POST /v1/completions`."""

    prompt: str | list[int]


class Embedding(Form):
    """`POST /v1/embeddings`."""

    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
