"""Methods by name, with their options, as a settings file gives them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ctxeng.errors import BadInput, UnknownName
from ctxeng.kv.methods.adakv import adakv
from ctxeng.kv.methods.duo import Gates, duo
from ctxeng.kv.methods.h2o import h2o
from ctxeng.kv.methods.pyramidkv import pyramidkv
from ctxeng.kv.methods.quest import Quest
from ctxeng.kv.methods.snapkv import snapkv
from ctxeng.kv.methods.squeezed import Squeezed
from ctxeng.kv.methods.streaming import streaming_llm
from ctxeng.kv.methods.think import Think
from ctxeng.kv.methods.windowkv import WindowKV
from ctxeng.kv.policy import Policy

METHODS: Mapping[str, Callable[..., Policy]] = {
    "streaming": streaming_llm,
    "h2o": h2o,
    "snapkv": snapkv,
    "adakv": adakv,
    "pyramidkv": pyramidkv,
    "windowkv": WindowKV,
    "think": Think,
    "quest": Quest,
    "squeezed": Squeezed,
    "duo": duo,
}


def make(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """The method with these options, the rest at their defaults.

    Raises UnknownName for a method, and BadInput for an option, that there is none of; DuoAttention's `gates`
    are an object here.
    """
    if name not in METHODS:
        raise UnknownName("cache method", name, list(METHODS))
    known = [p for p in inspect.signature(METHODS[name]).parameters if p not in {"split", "index"}]
    for option in options or {}:
        if option not in known:
            raise BadInput(f"{name} has no option {option!r}; it has: {', '.join(known)}")
    given = dict(options or {})
    if name == "duo" and not isinstance(given.get("gates"), Gates):
        raise BadInput("duo needs the gates of this model's heads: ctxeng.runtime.heads measures them")
    return METHODS[name](**given)
