"""The evidence model: pick one of the choices offered, from embeddings and the cases learned so far."""

from ctxeng.models.evidence.evidence import Evidence
from ctxeng.models.evidence.text import cue
from ctxeng.models.evidence.types import Case, Choice, Embed

__all__ = ["Case", "Choice", "Embed", "Evidence", "cue"]
