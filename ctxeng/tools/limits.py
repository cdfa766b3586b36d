"""What providers accept as tools: how many, under which names; and tools renamed to fit, reversibly."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctxeng.errors import BadInput, UnknownName
from ctxeng.tools.trim_text import fitted as fitted_text
from ctxeng.turn import Tool

_DIGITS = 8  # hex digits of the hash that tells names apart: a clash of 512 has odds of 1 in 30,000
_UNNAMED = "tool"


@dataclass(frozen=True)
class Limits:
    """What one provider takes. None: no such limit is known.

    `tools` is the most per request, `marks` the characters of names beside ASCII letters and digits, `length`
    that of names in characters, `description` that of a tool's own description. `letter_first` says that a
    name begins with a letter or an underscore.
    """

    provider: str
    tools: int | None
    length: int
    marks: str = "_-"
    letter_first: bool = False
    description: int | None = None

    def takes(self, name: str) -> bool:
        """Whether the provider takes the name."""
        start = "[A-Za-z_]" if self.letter_first else ""
        pattern = rf"(?={start})[A-Za-z0-9{re.escape(self.marks)}]{{1,{self.length}}}"
        return re.fullmatch(pattern, name) is not None


# Chat completions: the API's own errors, "array too long ... maximum length 128" (many reports, as
# zed-industries/zed#32946) and "string too long ... maximum length 1024" (getsentry/sentry-mcp#106)
OPENAI = Limits("openai", 128, 64, description=1024)
# names of up to 128 since 2025 (aws/aws-sdk-js-v3#7287); no most per request is documented
ANTHROPIC = Limits("anthropic", None, 128)
# "At most 512 function declarations" (google-gemini/gemini-cli#19083); names (AstrBotDevs/AstrBot#5416)
GEMINI = Limits("gemini", 512, 64, "_.:-", letter_first=True)
# Converse: ToolSpecification in the API reference; reports as awslabs/mcp#3181
BEDROCK = Limits("bedrock", None, 64)
# fits all of the above, for tools whose model is not known yet
STRICTEST = Limits("any", 128, 64, letter_first=True, description=1024)

LIMITS: Mapping[str, Limits] = {
    each.provider: each for each in (OPENAI, ANTHROPIC, GEMINI, BEDROCK, STRICTEST)
}


def limits_for(model: str) -> Limits:
    """The limits for a model id (`anthropic/...`); the strictest for providers not known here."""
    aliases = {"azure": "openai", "vertex_ai": "gemini", "google": "gemini"}
    provider = model.partition("/")[0]
    return LIMITS.get(aliases.get(provider, provider), STRICTEST)


def limits_of(provider: str) -> Limits:
    """The limits of a provider by name. Raises UnknownName."""
    if provider not in LIMITS:
        raise UnknownName("provider", provider, list(LIMITS))
    return LIMITS[provider]


@dataclass(frozen=True)
class Fitted:
    """Tools as a provider takes them, in their order; `originals` maps each name to what it stands for."""

    tools: tuple[Tool, ...]
    originals: Mapping[str, Tool]


def fitted(tools: Sequence[Tool], limits: Limits) -> Fitted:
    """The tools under names that the provider takes, each name once; descriptions cut to whole sentences.

    A name that is taken and stands once stays. One that several servers have gets its server in front
    (`github__search`). Others get `_` for what is not taken, and where that is not unique or too long, a hash
    of server and name at the end: it does not depend on the other tools' order. Raises BadInput for more
    tools than the provider takes, and for two of one server with one name.
    """
    if limits.tools is not None and len(tools) > limits.tools:
        raise BadInput(
            f"{len(tools)} tools are more than the {limits.tools} that {limits.provider} takes in a request; "
            "choose fewer (a cap), or offer them through a search tool"
        )
    twice = [key for key, count in Counter((tool.server, tool.name) for tool in tools).items() if count > 1]
    if twice:
        server, name = twice[0]
        raise BadInput(f"server {server!r} has two tools named {name!r}; give them different names")
    names = _names(tools, limits)
    renamed = tuple(_renamed(tool, name, limits) for tool, name in zip(tools, names, strict=True))
    return Fitted(renamed, dict(zip(names, tools, strict=True)))


def _names(tools: Sequence[Tool], limits: Limits) -> list[str]:
    own = Counter(tool.name for tool in tools)
    wanted = [tool.name if own[tool.name] == 1 or not tool.server else _joined(tool) for tool in tools]
    clean = [_clean(name, limits) for name in wanted]
    count = Counter(clean)
    # a name that needs no change has the first right to it
    rightful = {tool.name for tool, want in zip(tools, wanted, strict=True) if limits.takes(want)}
    return [
        name
        if name == tool.name
        or (count[name] == 1 and name not in rightful - {tool.name} and len(want) <= limits.length)
        else _hashed(name, tool, limits)
        for name, want, tool in zip(clean, wanted, tools, strict=True)
    ]


def _joined(tool: Tool) -> str:
    return f"{tool.server}__{tool.name}"


def _clean(name: str, limits: Limits) -> str:
    found = re.sub(rf"[^A-Za-z0-9{re.escape(limits.marks)}]+", "_", name) or _UNNAMED
    first = "_" if limits.letter_first and not re.match("[A-Za-z_]", found) else ""
    return (first + found)[: limits.length]


def _hashed(name: str, tool: Tool, limits: Limits) -> str:
    digest = hashlib.sha256(f"{tool.server}\0{tool.name}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[: limits.length - _DIGITS - 1]}_{digest[:_DIGITS]}"


def _renamed(tool: Tool, name: str, limits: Limits) -> Tool:
    about = tool.description
    if limits.description is not None and len(about) > limits.description:
        about = fitted_text(about, limits.description)
    if name == tool.name and about == tool.description:
        return tool
    return tool.model_copy(update={"name": name, "description": about})
