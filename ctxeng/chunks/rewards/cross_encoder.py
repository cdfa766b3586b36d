"""A cross-encoder on this machine, as the score of a `Reranked` reward."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.extras import installed

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder as Model

_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_folder(name: str, beside: Path) -> Path:
    """Where the cross-encoder is: a folder, seen from `beside`, or an id in the local Hugging Face cache.

    Nothing is downloaded. Raises BadInput where it is neither.
    """
    folder = beside / name
    if (folder / "config.json").is_file():
        return folder
    if installed("huggingface_hub") and not folder.is_dir() and _ID.fullmatch(name):
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - only for an id

        found = try_to_load_from_cache(name, "config.json")
        if isinstance(found, str):
            return Path(found).parent
    raise BadInput(
        f"no cross-encoder {name!r}: {folder} has no config.json, and no model of this id is in the local "
        "Hugging Face cache; name a folder, or download the model first"
    )


@dataclass(frozen=True)
class CrossEncoder:
    """Scores texts against a query with a sentence-transformers cross-encoder, never from the network.

    Scores are put through a sigmoid, 0 to 1, so that a text without worth is worth 0 and not less than
    nothing. The model loads (seconds) at the first call. Safe with several threads.
    """

    folder: Path
    device: str = "cpu"
    batch: int = 32
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text. Raises MissingExtra without the library, BadInput for a wrong folder."""
        pairs = [(query, text) for text in texts]
        with self._lock:  # the tokenizer's padding is state of its own
            found = self._model.predict(pairs, batch_size=self.batch, show_progress_bar=False)
        return [float(score) for score in found]

    @cached_property
    def _model(self) -> Model:
        if not (self.folder / "config.json").is_file():
            raise BadInput(f"{self.folder}: no cross-encoder (config.json, weights) in this folder")
        try:
            from sentence_transformers import CrossEncoder as Model  # noqa: PLC0415 - takes seconds
            from torch.nn import Sigmoid  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtra("onbox", "sentence-transformers") from error
        model = Model(str(self.folder), device=self.device, local_files_only=True, activation_fn=Sigmoid())
        if model.num_labels != 1:
            raise BadInput(
                f"{self.folder}: a model of {model.num_labels} labels; a reranker has one, the relevance"
            )
        return model
