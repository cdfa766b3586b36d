"""A model by its id: `onbox`, `onbox:hashing` (no weights), `cassette:<file>`, or anything litellm knows."""

from __future__ import annotations

from pathlib import Path

from ctxeng.errors import UnknownName
from ctxeng.models.cassette import Cassette
from ctxeng.models.litellm import LiteLLMModel
from ctxeng.models.onbox import OnboxModel, onbox_counter
from ctxeng.protocols import Model
from ctxeng.retrieval.embed import HashingEmbedder, TextEncoder
from ctxeng.settings_schema import ModelSettings


def build_model(given: ModelSettings, folder: Path, encoder: TextEncoder, key: str | None) -> Model:
    """The model; files are relative to `folder`, `key` is its API key. Raises UnknownName, MissingExtra."""
    if given.id.startswith("cassette:"):
        return Cassette(folder / given.id.removeprefix("cassette:"), mode="replay")
    model = _bare(given, encoder, key)
    return Cassette(folder / given.cassette, model) if given.cassette else model


def _bare(given: ModelSettings, encoder: TextEncoder, key: str | None) -> Model:
    if given.id in {"onbox", "onbox:hashing"}:
        encoder = encoder if given.id == "onbox" else HashingEmbedder()
        model = OnboxModel(encoder, onbox_counter(encoder))
        return model if given.window is None else OnboxModel(encoder, model.counter, given.window)
    if "/" not in given.id or given.id.startswith("local:"):
        raise UnknownName(
            "model", given.id, ["onbox", "onbox:hashing", "cassette:<file>", "<provider>/<model>"]
        )
    return LiteLLMModel(
        given.id,
        base_url=given.base_url,
        api_key=key,
        window=given.window or 0,
        timeout=given.timeout,
        retries=given.retries,
    )
