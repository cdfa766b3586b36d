"""How one request's cache is kept: the codec of full blocks, and the policy that thins them."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.errors import UnknownName
from ctxeng.kv.policy import Policy
from ctxeng_kernels.pack import CODECS, Codec


@dataclass(frozen=True)
class CachePlan:
    """`codec`: dense, int8 or int4. `policy`: a published method, or None. `reuse`: look in the prefix store.

    Raises UnknownName for a codec we do not have.
    """

    codec: Codec = "dense"
    policy: Policy | None = None
    reuse: bool = True

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UnknownName("codec", self.codec, CODECS)
