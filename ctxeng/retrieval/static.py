"""Static token vectors distilled from a sentence transformer: a look-up and a mean instead of a model."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.retrieval.embed import Embedder, default_cache
from ctxeng.storage.atomic import write_atomic

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

_RECIPE = "1"  # raised with every change of what distillation gives
_SIF = 1e-4  # Model2Vec's coefficient
_BATCH = 256
_EVERY = 20  # batches between two lines in the log
_TEXTS = 256  # read at once: bounds memory
_UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class StaticEmbedder:
    """Vectors of texts as means of token vectors, hundreds of times faster than the model they come from.

    Distilled from `teacher` once a machine (half a minute) and kept under `folder` by the teacher's
    fingerprint. It knows words, not their order. `dim` is at most the teacher's; a text without a known
    token is the zero vector. Safe with several threads. Raises MissingExtra where the tokenizers library is
    not installed, or the teacher where it is needed.
    """

    teacher: Embedder = field(default_factory=Embedder)
    dim: int = 256
    folder: Path = field(default_factory=lambda: default_cache().parent / "static")

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim is {self.dim}, it must be at least 1")

    @property
    def name(self) -> str:
        """The recipe, the length of a vector and the teacher."""
        return f"static{_RECIPE}-{self.dim}-{self.teacher.name}"

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit row a text: (N, D)."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS):
            ids = self._ids(texts[start : start + _TEXTS])
            filled = np.flatnonzero([len(some) > 0 for some in ids])
            if len(filled):
                flat = np.concatenate([ids[place] for place in filled])
                sizes = [len(ids[place]) for place in filled]
                starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
                rows[start + filled] = np.add.reduceat(self._vectors[flat], starts, axis=0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        rows /= lengths
        return rows

    def tokens(self, text: str) -> Floats:
        """The token vectors that `embed` takes the mean of: (T, D); a longer one counts more."""
        vectors: Floats = self._vectors[self._ids([text])[0]]
        return vectors

    def _ids(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        valid = [text.encode("utf-8", "replace").decode() for text in texts]
        read = self._tokenizer.encode_batch_fast(valid, add_special_tokens=False)
        found = [np.asarray(each.ids, dtype=np.int64) for each in read]
        return [ids[self._known[ids]] for ids in found]

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        """Which tokens mean anything: not the unknown one, nor those that are no text."""
        known: NDArray[np.bool_] = np.linalg.norm(self._vectors, axis=1) > 0
        return known

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtra("onbox", "tokenizers") from error
        found = Tokenizer.from_file(str(self.teacher.tokenizer_path))
        found.no_truncation()
        found.no_padding()
        return found

    @cached_property
    def _vectors(self) -> Floats:
        if self.dim > self.teacher.dim:
            raise BadInput(f"dim is {self.dim}, the teacher's vectors have {self.teacher.dim}")
        file = self.folder / f"{_RECIPE}-{self.teacher.name}.npy"
        try:
            found = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there yet, or damaged
            found = distilled(self.teacher).astype(np.float16)
            _keep(file, found)
        vectors: Floats = found[:, : self.dim].astype(np.float32)
        return vectors


def distilled(teacher: Embedder) -> NDArray[np.float64]:
    """A vector for each token of the teacher's vocabulary: (V, D); zeros for special and unused tokens.

    Model2Vec's recipe (Tulkens, van Dongen 2024): each token alone through the teacher, mean of its token
    vectors, principal components (the first ones alone make shorter vectors), weights by smooth inverse
    frequency (Arora et al. 2017), where a token's rank in the vocabulary stands for its frequency (Zipf).
    """
    known = _words(teacher)
    logger.info("distilling %d static token vectors from %s, once on this machine", len(known), teacher.name)
    frequency = 1 / np.arange(2, len(known) + 2)
    frequency /= frequency.sum()
    vectors = np.zeros((known[-1] + 1, teacher.dim))
    vectors[known] = _principal(_pooled(teacher, known)) * (_SIF / (_SIF + frequency))[:, None]
    return vectors


def _words(teacher: Embedder) -> NDArray[np.int64]:
    """The ids of all tokens that text can have, rising."""
    tokenizer = teacher.model.tokenizer
    special = set(tokenizer.all_special_ids)
    listed = tokenizer.get_vocab().items()
    words = [index for token, index in listed if index not in special and not _UNUSED.fullmatch(token)]
    return np.array(sorted(words), dtype=np.int64)


def _pooled(teacher: Embedder, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the teacher makes of each token alone, between its special tokens: (N, D)."""
    import torch  # noqa: PLC0415 - takes seconds

    model = teacher.model
    before, after = _frame(model.tokenizer)
    found = []
    for start in range(0, len(tokens), _BATCH):
        some = tokens[start : start + _BATCH]
        rows = [[*before, int(token), *after] for token in some]
        ids = torch.tensor(rows, device=model.device)
        with torch.inference_mode():
            vectors = model[0]({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["token_embeddings"]
        found.append(vectors.float().mean(dim=1).cpu().numpy().astype(np.float64))
        if start // _BATCH % _EVERY == 0:
            logger.info("%d of %d tokens", start + len(some), len(tokens))
    return np.concatenate(found)


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens in front of a text and behind it."""
    read = tokenizer("x", return_special_tokens_mask=True)
    text = [place for place, special in enumerate(read["special_tokens_mask"]) if not special]
    return read["input_ids"][: text[0]], read["input_ids"][text[-1] + 1 :]


def _principal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows' principal components, largest first, with signs that do not depend on the solver."""
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found: NDArray[np.float64] = centred @ axes[:, ::-1]
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])
    return found


def _keep(file: Path, vectors: NDArray[np.float16]) -> None:
    out = io.BytesIO()
    np.save(out, vectors)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, out.getvalue())
    except OSError as error:
        logger.warning("the static vectors are not kept, the next process distils them again: %s", error)
