"""How one request's cache is kept: the codec of full blocks, the policy that thins them, what is reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctxeng.errors import BadInput, UnknownName
from ctxeng.kv.policy import Policy
from ctxeng_kernels.pack import CODECS, Codec


@dataclass(frozen=True)
class KindPlan:
    """How parts of one kind are kept: their codec (None: the request's) and a method of their own.

    A method that drops rows does so when the part was read, before anything is asked about it; one that
    chooses does so at every step, from that part alone. Raises UnknownName.
    """

    codec: Codec | None = None
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            raise UnknownName("codec", self.codec, CODECS)


@dataclass(frozen=True)
class CachePlan:
    """How one request's cache is kept.

    `codec`: dense, int8 or int4. `policy`: a published method, or None. `reuse`: look in the stores, and put
    there what was read. `moved`: a parallel part read behind another head serves too, at its new place; that
    is an approximation, and the report says so. `temperature` and `scale` are those of attention to parallel
    parts (APE, Yang et al. 2025, section 3.3). Parts of a kind in `kinds` are read and stored as pieces of
    their own, each kept as its kind says. Raises UnknownName or BadInput.
    """

    codec: Codec = "dense"
    policy: Policy | None = None
    reuse: bool = True
    moved: bool = False
    temperature: float = 1.0
    scale: float = 1.0
    kinds: Mapping[str, KindPlan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UnknownName("codec", self.codec, CODECS)
        if self.kinds and self.policy is not None and self.policy.destroys:
            raise BadInput(
                "a policy that drops rows of all there is leaves nothing to kinds: name one of them"
            )
        for name in ("temperature", "scale"):
            if not 0 < getattr(self, name) <= 10:  # noqa: PLR2004 - beyond it nothing is attention any more
                raise BadInput(f"{name} must be above 0 and at most 10, not {getattr(self, name)!r}")

    @property
    def selects(self) -> bool:
        """Whether a step may read less than the cache holds, or a policy is still to thin it."""
        own = (kind.policy for kind in self.kinds.values())
        return self.policy is not None or any(p is not None and not p.destroys for p in own)
