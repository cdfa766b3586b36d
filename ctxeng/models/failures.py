"""What a provider's failure means: which of our errors it is, and whether to try again and when."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

from ctxeng.errors import BadInput, ContextOverflow, MissingKey, ModelError, RateLimited
from ctxeng.models.scrub import scrub

_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|(prompt|input|request) is too long|too many (input |prompt )?tokens",
    re.IGNORECASE,
)
_AGAIN = {408, 409, 425, 429}  # and everything from 500
_LONGEST = 500  # characters of a provider's message that are passed on

_KEY_NAMES = {
    "together_ai": "TOGETHERAI_API_KEY",
    "fireworks_ai": "FIREWORKS_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "bedrock": "AWS_ACCESS_KEY_ID",
    "vertex_ai": "GOOGLE_APPLICATION_CREDENTIALS",
    "nvidia_nim": "NVIDIA_NIM_API_KEY",
}


@dataclass(frozen=True)
class Failure:
    """Our error; `again` whether another attempt may help, `after` the seconds the provider asks for."""

    error: ModelError | BadInput
    again: bool = False
    after: float | None = None


def key_name(provider: str) -> str:
    """The environment variable that holds a provider's key."""
    return _KEY_NAMES.get(provider, f"{provider.upper().replace('-', '_')}_API_KEY")


def read_failure(error: Exception, model: str, provider: str, secrets: Sequence[str]) -> Failure:
    """What an exception of litellm means. No secret is in the error's text."""
    said = scrub(str(error), secrets)
    said = said if len(said) <= _LONGEST else said[:_LONGEST] + "..."
    status = getattr(error, "status_code", None)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "AuthenticationError" in kinds:
        return Failure(
            MissingKey(
                f"{model}: the provider takes no request without valid credentials; "
                f"set {key_name(provider)} or pass api_key ({said})"
            )
        )
    if "ContextWindowExceededError" in kinds or ("BadRequestError" in kinds and _OVERFLOW.search(said)):
        return Failure(ContextOverflow(f"{model}: {said}"))
    if "RateLimitError" in kinds:
        return Failure(RateLimited(f"{model}: {said}"), again=True, after=_retry_after(error))
    # no status: the connection failed, or what came over it made no sense
    again = not isinstance(status, int) or status in _AGAIN or status >= 500  # noqa: PLR2004
    return Failure(ModelError(f"{model}: {said}"), again=again, after=_retry_after(error))
