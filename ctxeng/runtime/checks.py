"""What makes no sense is refused when it is submitted, not in the middle of a pass."""

from __future__ import annotations

from collections.abc import Sequence

from ctxeng.errors import BadInput
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt


def check(prompt: Prompt, ids: Sequence[int], options: Generate, plan: CachePlan, vocabulary: int) -> None:
    """Raises BadInput for tokens the model does not know, and for what cannot go together."""
    odd = next((i for i in ids if not 0 <= i < vocabulary), None)
    if odd is not None:
        raise BadInput(f"token {odd} is none of the {vocabulary} the model knows")
    if options.max_tokens < 0:
        raise BadInput(f"max_tokens must be 0 or more, not {options.max_tokens}")
    if options.drafter is not None and plan.selects:
        raise BadInput("a drafter needs a cache that is read whole: no policy may choose what a step reads")
    if prompt.parallel and plan.policy is not None and plan.policy.destroys:
        raise BadInput("a policy that drops rows needs all of the prompt in order: no parallel parts")
