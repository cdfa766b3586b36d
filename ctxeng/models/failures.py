"""What a provider's failure means: which of our errors it is, and whether to try again and when."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ctxeng.errors import BadInput, ContextOverflow, MissingKey, ModelError, RateLimited
from ctxeng.models.scrub import scrub

_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|ContextWindowExceeded"
    r"|(prompt|input|request) is too long|too many (input |prompt )?tokens",
    re.IGNORECASE,
)
_NO_KEY = re.compile(r"missing (api.?key|credentials)|api_key client option must be set", re.IGNORECASE)
_UNAUTHORIZED, _LIMITED, _SERVER = 401, 429, 500
_TOO_LONG = {400, 413}
_AGAIN = {408, 409, 425}  # and everything from 500
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
    if status == _UNAUTHORIZED or _NO_KEY.search(said):
        return Failure(
            MissingKey(f"{model}: no valid credentials; set {key_name(provider)} or pass api_key ({said})")
        )
    if status in _TOO_LONG and _OVERFLOW.search(said):
        return Failure(ContextOverflow(f"{model}: {said}"))
    after = _retry_after(error)
    if status == _LIMITED:
        return Failure(RateLimited(f"{model}: {said}"), again=True, after=after)
    # no status: the connection failed, or what came over it made no sense
    again = not isinstance(status, int) or status in _AGAIN or status >= _SERVER
    return Failure(ModelError(f"{model}: {said}"), again=again, after=after)


def _retry_after(error: Exception) -> float | None:
    """Seconds until the provider wants to hear from us again, by its header; None where it does not say."""
    headers = _headers(error)
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        said = headers.get("retry-after", "")
        return max(0.0, float(said)) if said else None
    except ValueError:
        return _until(said)


def _until(date: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return None


def _headers(error: Exception) -> dict[str, str]:
    response = getattr(error, "response", None)
    for headers in (getattr(error, "litellm_response_headers", None), getattr(response, "headers", None)):
        if headers:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}
