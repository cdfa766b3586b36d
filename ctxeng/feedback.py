"""The right answer, and what is said of an answer that was given."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ctxeng.message import Value


class Truth(Value):
    """The right answer. It lives in a Task only, so that a label cannot leak into a label-free run."""

    target: JsonValue


class Labelled(Value):
    """Feedback from comparing with the truth."""

    type: Literal["labelled"] = "labelled"
    score: float = Field(ge=0, le=1)
    truth: Truth


class Observed(Value):
    """Feedback from the world (a test run, an exit code, a reward) or from a person, without the truth."""

    type: Literal["observed"] = "observed"
    score: float = Field(ge=0, le=1)
    evidence: str = ""


class Unlabelled(Value):
    """No score at all; a comment at most."""

    type: Literal["unlabelled"] = "unlabelled"
    comment: str = ""


Feedback = Annotated[Labelled | Observed | Unlabelled, Field(discriminator="type")]
