"""What a decoder looks like, read from a Hugging Face `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ctxeng.errors import BadInput, UnknownName
from ctxeng.runtime.rope import Rope

Family = Literal["llama", "qwen2", "qwen3", "mistral"]
FAMILIES: tuple[Family, ...] = ("llama", "qwen2", "qwen3", "mistral")


_LAYERS, _MOST = 1000, 1 << 26  # more than any model has, and few enough to count to


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder: pre-norm, RoPE, grouped-query attention, SwiGLU.

    `windows` has one entry a layer: how many tokens back it may look (itself included), or None for all.
    """

    family: Family
    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    rope: Rope
    windows: tuple[int | None, ...]
    norm_eps: float = 1e-6
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    tied: bool = False
    max_positions: int = 4096
    stop: tuple[int, ...] = ()

    @property
    def group(self) -> int:
        """Query heads that share one KV head."""
        return self.heads // self.kv_heads

    @property
    def parameters(self) -> int:
        """Weights in all, biases and norms included."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = self.hidden * (wide + 2 * narrow) + wide * self.hidden
        biases = self.qkv_bias * (wide + 2 * narrow) + self.out_bias * self.hidden
        mlp = 3 * self.hidden * self.ffn + self.mlp_bias * (2 * self.ffn + self.hidden)
        norms = 2 * self.hidden + self.qk_norm * 2 * self.head_dim
        ends = self.vocab * self.hidden * (1 if self.tied else 2) + self.hidden
        return self.layers * (attention + biases + mlp + norms) + ends

    def kv_bytes(self, tokens: int, width: int = 4) -> int:
        """Bytes of a dense cache of so many tokens, `width` bytes a number."""
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens * width


def read_config(folder: str | Path) -> ModelConfig:
    """The configuration in a model's folder. Raises BadInput where there is none we can run."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise BadInput(f"{folder}: no config.json; local: takes a folder of Hugging Face weights")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not JSON ({error})") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: a JSON object is needed, not {type(raw).__name__}")
    try:
        return parse_config(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: {_said(error)}") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """The same from the parsed JSON. Raises UnknownName for an unknown family, BadInput for odd layers."""
    family = raw.get("model_type", "")
    kinds = raw.get("layer_types") or ()
    odd = sorted({kind for kind in kinds if kind not in {"full_attention", "sliding_attention"}})
    if odd:
        raise BadInput(
            f"layers of kind {', '.join(odd)} are not attention over a KV cache; "
            "run this model through ctxeng_integrations.transformers"
        )
    if family not in FAMILIES:
        raise UnknownName("model family", family, FAMILIES)
    if raw.get("hidden_act", "silu") != "silu":
        raise BadInput(f"hidden_act {raw['hidden_act']!r} is not SwiGLU's silu")
    heads = _count(raw, "num_attention_heads")
    hidden = _count(raw, "hidden_size")
    head_dim = _count(raw, "head_dim", hidden // heads)
    config = ModelConfig(
        family=cast("Family", family),
        vocab=_count(raw, "vocab_size"),
        hidden=hidden,
        layers=_count(raw, "num_hidden_layers"),
        heads=heads,
        kv_heads=_count(raw, "num_key_value_heads", heads),
        head_dim=head_dim,
        ffn=_count(raw, "intermediate_size"),
        rope=Rope.parse(raw, head_dim),
        windows=_windows(raw, family),
        norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        qkv_bias=family == "qwen2" or bool(raw.get("attention_bias")),
        out_bias=family != "qwen2" and bool(raw.get("attention_bias")),
        mlp_bias=bool(raw.get("mlp_bias")),
        qk_norm=family == "qwen3",
        tied=bool(raw.get("tie_word_embeddings", False)),
        max_positions=_count(raw, "max_position_embeddings", 4096),
        stop=_stops(raw.get("eos_token_id")),
    )
    if config.heads % config.kv_heads:
        raise BadInput(f"{config.heads} query heads cannot share {config.kv_heads} KV heads evenly")
    return config


def _windows(raw: Mapping[str, Any], family: str) -> tuple[int | None, ...]:
    """Sliding windows by layer: named layer by layer where the file does, else by the family's older rule."""
    layers, size = _count(raw, "num_hidden_layers"), raw.get("sliding_window")
    kinds = raw.get("layer_types")
    if family == "llama" or size is None or (family != "mistral" and not raw.get("use_sliding_window")):
        return (None,) * layers
    if kinds and family != "mistral":
        if len(kinds) != layers:
            raise BadInput(f"layer_types names {len(kinds)} layers of {layers}")
        return tuple(int(size) if kind == "sliding_attention" else None for kind in kinds)
    dense = raw.get("max_window_layers", layers) if family != "mistral" else 0
    return tuple(None if layer < dense else int(size) for layer in range(layers))


def _stops(raw: Any) -> tuple[int, ...]:
    return () if raw is None else tuple(raw) if isinstance(raw, list) else (int(raw),)


def _count(raw: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number of a size that a model can have: a broken file must not ask for all of memory."""
    value = raw[name] if default is None else raw.get(name) or default
    most = _LAYERS if name == "num_hidden_layers" else _MOST
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise BadInput(f"{name} must be a whole number from 1 to {most:,}, not {value!r}")
    return value


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
