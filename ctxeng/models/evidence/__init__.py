"""The evidence model: pick one of the choices offered, from embeddings and the cases learned so far."""

from ctxeng.models.evidence.evidence import Evidence
from ctxeng.models.evidence.text import cue, kin
from ctxeng.models.evidence.types import Case, Embed
from ctxeng.turn import Choice

__all__ = ["Case", "Choice", "Embed", "Evidence", "cue", "kin"]
