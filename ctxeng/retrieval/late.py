"""Late chunking: pieces of a text as vectors that have read the whole of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Span = tuple[int, int]  # characters of a text: from, up to
Floats = NDArray[np.float32]

_LIMIT = 512  # tokens of a window where a model states none


def span_vectors(
    model: SentenceTransformer, texts: Sequence[str], spans: Sequence[Sequence[Span]], batch: int
) -> list[Floats]:
    """For each text the vectors of its spans: (n, D) unit rows; a span without a token is the zero vector.

    Token vectors of the whole text, averaged over the tokens that a span touches (Guenther et al. 2024,
    arXiv:2409.04701, section 3). A text beyond the model's limit is read in windows that overlap by a
    quarter ("long late chunking" there); a token that two windows have is taken from the one in which it
    is farther from the edge. Raises BadInput for a span that is not inside its text.
    """
    for text, asked in zip(texts, spans, strict=True):
        for start, end in asked:
            if not 0 <= start <= end <= len(text):
                raise BadInput(f"span {start}:{end} is not inside its text of {len(text)} characters")
    size = model.get_embedding_dimension()
    sums = [np.zeros((len(asked), size), dtype=np.float32) for asked in spans]
    windows = sorted(_windows(model, texts), key=lambda window: len(window.ids))  # little padding
    for first in range(0, len(windows), batch):
        some = windows[first : first + batch]
        for window, vectors in zip(some, _token_vectors(model, some), strict=True):
            # sums, because the mean's divisor goes when the row is normalised
            sums[window.text] += window.touching(spans[window.text]) @ vectors
    return [_unit(rows) for rows in sums]


@dataclass(frozen=True)
class _Window:
    """Some tokens of a text: their ids, their characters, and which of them no other window speaks for."""

    text: int
    ids: list[int]
    offsets: NDArray[np.int64]  # (T, 2); special tokens have no characters
    own: NDArray[np.bool_]  # (T,)

    def touching(self, spans: Sequence[Span]) -> Floats:
        """(n, T): 1 where a token of ours lies in the span."""
        bounds = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
        starts, ends = self.offsets.T
        shared = np.minimum(ends, bounds[:, 1:]) - np.maximum(starts, bounds[:, :1])
        inside: Floats = ((shared > 0) & self.own).astype(np.float32)
        return inside


def _windows(model: SentenceTransformer, texts: Sequence[str]) -> Iterator[_Window]:
    limit = model.max_seq_length or _LIMIT
    overlap = limit // 4
    read: Any = model.tokenizer(
        list(texts),
        truncation=True,
        max_length=limit,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    owner = read["overflow_to_sample_mapping"]
    for place, text in enumerate(owner):
        content = 1 - np.asarray(read["special_tokens_mask"][place])
        position, count = np.cumsum(content) - 1, content.sum()
        first = place == 0 or owner[place - 1] != text
        last = place + 1 == len(owner) or owner[place + 1] != text
        least = 0 if first else overlap // 2
        most = count if last else count - (overlap - overlap // 2)
        own = (content == 1) & (position >= least) & (position < most)
        offsets = np.asarray(read["offset_mapping"][place], dtype=np.int64).reshape(-1, 2)
        yield _Window(text, read["input_ids"][place], offsets, own)


def _token_vectors(model: SentenceTransformer, windows: Sequence[_Window]) -> list[Floats]:
    """Each window's token vectors: (T, D)."""
    import torch  # noqa: PLC0415 - takes seconds

    longest = max(len(window.ids) for window in windows)
    ids = torch.full((len(windows), longest), model.tokenizer.pad_token_id or 0)
    mask = torch.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window.ids)] = torch.tensor(window.ids)
        mask[row, : len(window.ids)] = 1
    features = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}
    with torch.inference_mode():
        found = model[0](features)["token_embeddings"].float().cpu().numpy()
    return [rows[: len(window.ids)] for rows, window in zip(found, windows, strict=True)]


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    rows /= lengths
    return rows
