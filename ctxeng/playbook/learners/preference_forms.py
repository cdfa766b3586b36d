"""The form of what a model replies about a preference."""

from __future__ import annotations

from pydantic import TypeAdapter

from ctxeng.turn import Value


class Inference(Value):
    """A preference in a sentence or two; "" where the edit shows none."""

    preference: str = ""


INFERENCE: TypeAdapter[Inference] = TypeAdapter(Inference)
