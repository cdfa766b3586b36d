"""What a session keeps between two generations."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.kv.policy import Watch
from ctxeng.kv.sequence import Sequence


@dataclass
class Kept:
    """What a session keeps between generations: tokens, their cache, the policy at work on it."""

    cache: Sequence
    tokens: list[int] = field(default_factory=list)
    watcher: Watch | None = None
    busy: bool = False
