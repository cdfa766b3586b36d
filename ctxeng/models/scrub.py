"""Keys, bearer tokens and authorization headers out of texts, before those are written or raised."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import JsonValue

MARK = "[secret]"

# a digit, an equals sign or great length tell a token from a word after "basic"
_TOKEN = re.compile(
    r"(?i)\b(bearer|basic)(\s+)(?:(?=[A-Z._~+/-]*[0-9=])[A-Z0-9._~+/=-]{8,}|[A-Z0-9._~+/=-]{20,})"
)
_KEY = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|pplx|xai|fw|nvapi|r8|hf|ghp|gho|ghs|github_pat|xox[abeoprs])[-_]|AIza|AKIA|ya29\.)"
    r"[A-Za-z0-9_.-]{8,}"
)
_NAMES = r"(?:x-)?api[-_]?key|(?:proxy-)?authorization|access[-_]token"
_NAMED = re.compile(
    rf"(?i)\b({_NAMES})(\\?[\"']?\s*[:=]\s*\\?[\"']?)(?!\[secret\])(?!bearer|basic)[^\s\"'\\,;}}]{{6,}}"
)
_FIELD = re.compile(rf"(?i)(?:{_NAMES})\Z")


def scrub(text: str, secrets: Sequence[str] = ()) -> str:
    """The text with `secrets` and everything that looks like one replaced by a mark."""
    for secret in filter(None, secrets):
        text = text.replace(secret, MARK)
    text = _TOKEN.sub(rf"\1\2{MARK}", text)
    text = _KEY.sub(MARK, text)
    return _NAMED.sub(rf"\1\2{MARK}", text)


def scrub_json(value: JsonValue, secrets: Sequence[str] = ()) -> JsonValue:
    """The same for every text of a JSON value; fields named like a secret lose their value whole."""
    match value:
        case str():
            return scrub(value, secrets)
        case list():
            return [scrub_json(item, secrets) for item in value]
        case dict():
            return {
                key: MARK if _FIELD.match(key) and isinstance(item, str) else scrub_json(item, secrets)
                for key, item in value.items()
            }
        case _:
            return value
