"""How one request's cache is kept: the codec of full blocks, the policy that thins them, what is reused."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.errors import BadInput, UnknownName
from ctxeng.kv.policy import Policy
from ctxeng_kernels.pack import CODECS, Codec


@dataclass(frozen=True)
class CachePlan:
    """How one request's cache is kept.

    `codec`: dense, int8 or int4. `policy`: a published method, or None. `reuse`: look in the stores, and put
    there what was read. `moved`: a parallel part read behind another head serves too, at its new place; that
    is an approximation, and the report says so. `temperature` and `scale` are those of attention to parallel
    parts (APE, Yang et al. 2025, section 3.3). Raises UnknownName or BadInput.
    """

    codec: Codec = "dense"
    policy: Policy | None = None
    reuse: bool = True
    moved: bool = False
    temperature: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UnknownName("codec", self.codec, CODECS)
        for name in ("temperature", "scale"):
            if not 0 < getattr(self, name) <= 10:  # noqa: PLR2004 - beyond it nothing is attention any more
                raise BadInput(f"{name} must be above 0 and at most 10, not {getattr(self, name)!r}")
