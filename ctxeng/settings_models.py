"""A model by its id: `onbox`, `onbox:hashing`, `local:<folder>`, `cassette:<file>`, or what litellm knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctxeng.errors import MissingKey, UnknownName
from ctxeng.models.cassette import Cassette
from ctxeng.models.litellm import LiteLLMModel
from ctxeng.models.onbox import OnboxModel, onbox_counter
from ctxeng.models.roles import Fallback
from ctxeng.protocols import Model
from ctxeng.retrieval.embed import HashingEmbedder, TextEncoder
from ctxeng.settings_checks import flattened
from ctxeng.settings_local import Boxes
from ctxeng.settings_schema import ModelSettings

logger = logging.getLogger(__name__)
_KNOWN = ["onbox", "onbox:hashing", "local:<folder>", "cassette:<file>", "<provider>/<model>"]


@dataclass(frozen=True)
class Makers:
    """What models are made with: the folder that files are relative to, an encoder, open local models."""

    folder: Path
    encoder: TextEncoder
    boxes: Boxes

    def reachable(self, given: ModelSettings, environment: Mapping[str, str]) -> Model:
        """The model, or those of it and its fallbacks whose keys are here. Raises MissingKey."""
        models: list[Model] = []
        missing: list[str] = []
        for each in flattened(given):
            key = environment.get(each.key_env) if each.key_env else None
            if each.key_env and not key:
                missing.append(f"model {each.id}: the environment variable {each.key_env} is not set")
            else:
                models.append(self.build(each, key))
        if not models:
            raise MissingKey("; ".join(missing))
        for sentence in missing:
            logger.warning("%s; %s answers instead", sentence, models[0].name)
        return models[0] if len(models) == 1 else Fallback(models)

    def build(self, given: ModelSettings, key: str | None) -> Model:
        """The model; `key` is its API key. Raises UnknownName, MissingExtra."""
        if given.id.startswith("cassette:"):
            return Cassette(self.folder / given.id.removeprefix("cassette:"), mode="replay")
        model = self._bare(given, key)
        return Cassette(self.folder / given.cassette, model) if given.cassette else model

    def _bare(self, given: ModelSettings, key: str | None) -> Model:
        if given.id in {"onbox", "onbox:hashing"}:
            encoder = self.encoder if given.id == "onbox" else HashingEmbedder()
            model = OnboxModel(encoder, onbox_counter(encoder))
            return model if given.window is None else OnboxModel(encoder, model.counter, given.window)
        if given.id.startswith("local:"):
            weights = self.folder / given.id.removeprefix("local:")
            return self.boxes.model(weights, given.local, given.window or 0, self.folder)
        if "/" not in given.id:
            raise UnknownName("model", given.id, _KNOWN)
        return LiteLLMModel(
            given.id,
            base_url=given.base_url,
            api_key=key,
            window=given.window or 0,
            timeout=given.timeout,
            retries=given.retries,
        )
