"""The trained instrument that ships with the package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctxeng.errors import BadInput
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.tokenizer import HfTokenizer
from ctxeng.runtime.weights import load
from ctxeng_evals.instrument.tasks import Filler

FOLDER = Path(__file__).parent / "recall-s"
SHA256 = "40bc61c0f4e3ced611d931d1489b54ee714e8dd1e3afef09871aaceb320c9aaf"  # of model.safetensors


@dataclass(frozen=True)
class Instrument:
    """A decoder that answers the task grammar, with text for filler in its own tokens."""

    decoder: Decoder
    tokenizer: HfTokenizer
    filler: Filler


def instrument(folder: Path = FOLDER, text: str = "") -> Instrument:
    """The shipped model, or one in another folder. `text` is for filler; without any, ours about it.

    Raises BadInput where the shipped weights are not those that were shipped.
    """
    weights = folder / "model.safetensors"
    if folder == FOLDER and hashlib.sha256(weights.read_bytes()).hexdigest() != SHA256:
        raise BadInput(f"{weights}: not the weights that were shipped; install the package anew")
    tokenizer = HfTokenizer(folder / "tokenizer.json")
    text = text or (Path(__file__).parent / "filler.txt").read_text(encoding="utf-8")
    return Instrument(load(folder), tokenizer, Filler(np.array(tokenizer.encode(text))))
