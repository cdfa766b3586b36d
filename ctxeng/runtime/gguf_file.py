"""A model from a GGUF file: metadata as a configuration, tensors under their Hugging Face names.

Weights only: the tokenizer inside the file is not read, so tokenizer.json must stand beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFEndian, GGUFReader, GGUFValueType
from torch import Tensor

from ctxeng.errors import BadInput, UnknownName
from ctxeng.runtime.config import ModelConfig, parse_config
from ctxeng.runtime.gguf_blocks import DECODERS
from ctxeng.runtime.rope import Rope

ARCHITECTURES = ("llama", "qwen2", "qwen3")  # Mistral's files call themselves llama
_ENDS = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
_PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

_SCALING = {
    "rope.scaling.type": "",
    "rope.scaling.factor": "",
    "rope.scaling.finetuned": "",
    "rope.scaling.original_context_length": "original_max_position_embeddings",
    "rope.scaling.yarn_beta_fast": "beta_fast",
    "rope.scaling.yarn_beta_slow": "beta_slow",
}


def open_gguf(path: Path) -> GgufFile:
    """The file, mapped. Raises BadInput, which names the file, for what cannot be read or run here."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    try:
        reader = _Reader(path, "c")  # copy on write: torch takes no read-only memory
        facts = {name: field.contents() for name, field in reader.fields.items() if not _vocabulary(name)}
    except (ValueError, LookupError, OSError, ArithmeticError, struct.error) as error:
        raise BadInput(f"{path}: not a GGUF file, or cut short ({error})") from None
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    if reader.endianess != GGUFEndian.LITTLE:
        raise BadInput(f"{path}: its bytes stand in big-endian order; convert it with gguf_convert_endian.py")
    if facts.get("split.count", 1) not in {0, 1}:
        raise BadInput(f"{path}: one part of {facts['split.count']}; join them with llama-gguf-split --merge")
    odd = next((t for t in reader.tensors if t.tensor_type.name not in DECODERS), None)
    if odd is not None:
        raise BadInput(
            f"{path}: {odd.name} is stored as {odd.tensor_type.name}, and {', '.join(DECODERS)} can be read; "
            "take a Q8_0 file, or make one with llama-quantize --allow-requantize"
        )
    try:
        config = parse_config(_raw(facts, tensors))
    except KeyError as error:
        raise BadInput(f"{path}: {error} is missing") from None
    except (TypeError, ValueError, ArithmeticError, BadInput) as error:
        raise BadInput(f"{path}: {error}") from None
    return GgufFile(path, facts["general.architecture"], config, tensors)


class _Reader(GGUFReader):  # type: ignore[misc] # the package is not looked into by the type checker
    """The package's reader, which passes over lists of texts and takes lists of numbers whole.

    Item by item, as the package goes, a vocabulary of 150,000 takes many seconds, and a list that claims more
    items than the file has bytes never ends.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[Any]]:
        if raw_type != GGUFValueType.ARRAY:
            found: tuple[int, list[Any], list[int], list[Any]] = super()._get_field_parts(orig_offs, raw_type)
            return found
        code, count = struct.unpack_from("<IQ", self.data, orig_offs)
        kind, start = GGUFValueType(code), int(orig_offs) + 12
        if kind != GGUFValueType.STRING:
            values = np.frombuffer(self.data, self.gguf_scalar_to_np[kind], count, start)
            return 12 + values.nbytes, [values], [0], [GGUFValueType.ARRAY, kind]
        end = start
        for _ in range(count):
            end += 8 + struct.unpack_from("<Q", self.data, end)[0]
        return end - int(orig_offs), [], [], [GGUFValueType.ARRAY, kind]


@dataclass(frozen=True)
class GgufFile:
    """Tensors by their Hugging Face names, decoded one at a time; F32 and F16 stay in the mapped file."""

    path: Path
    architecture: str
    config: ModelConfig
    tensors: Mapping[str, Any]

    @property
    def stated(self) -> bytes:
        """The configuration that the metadata amounts to."""
        return repr(self.config).encode()

    def __call__(self, name: str) -> Tensor:
        """The tensor. Raises BadInput where there is none."""
        known = gguf_name(name)
        if known not in self.tensors:
            raise BadInput(f"{self.path}: the file has no {known} ({name})")
        found = self.tensors[known]
        raw = np.ascontiguousarray(found.data).reshape(-1).view(np.uint8)
        decoded = torch.from_numpy(DECODERS[found.tensor_type.name](raw))
        tensor = decoded.view(*(int(size) for size in reversed(found.shape)))
        if self.architecture == "llama" and ".self_attn.q_proj." in name:
            return _halves_apart(tensor, self.config.heads)
        if self.architecture == "llama" and ".self_attn.k_proj." in name:
            return _halves_apart(tensor, self.config.kv_heads)
        return tensor

    def places(self) -> Iterable[tuple[str, Path, int, int]]:
        """Every tensor: its name and type, the file, the first byte and the bytes there."""
        for name, found in self.tensors.items():
            yield f"{name}:{found.tensor_type.name}", self.path, int(found.data_offset), int(found.n_bytes)


def gguf_name(name: str) -> str:
    """The GGUF name of a tensor with that Hugging Face name. Raises KeyError."""
    stem, kind = name.rsplit(".", 1)
    if stem in _ENDS:
        return f"{_ENDS[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_PARTS[part]}.{kind}"


def _vocabulary(name: str) -> bool:
    """Long lists that nobody here reads."""
    return name.startswith("tokenizer.") and not name.endswith("_token_id")


def _halves_apart(rows: Tensor, heads: int) -> Tensor:
    """Rows [heads * d, ...] whose rotary pairs are neighbours, as llama.cpp turns them, in our order.

    Raises ValueError where the heads cannot share the rows.
    """
    if len(rows) % (2 * heads):
        raise ValueError(f"{len(rows)} rows of a query or key matrix cannot be shared by {heads} heads")
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(rows.shape)


def _raw(facts: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as config.json would say it. Raises KeyError (missing), UnknownName, BadInput."""
    arch = facts["general.architecture"]
    if arch not in ARCHITECTURES:
        raise UnknownName("GGUF architecture", str(arch), ARCHITECTURES)
    own = {
        name.removeprefix(f"{arch}."): value for name, value in facts.items() if name.startswith(f"{arch}.")
    }

    def needed(name: str) -> Any:
        if name not in own:
            raise KeyError(f"{arch}.{name}")
        return own[name]

    heads, hidden = _even(needed("attention.head_count")), needed("embedding_length")
    width = own.get("attention.key_length", hidden // heads)
    window = own.get("attention.sliding_window")
    _check(own, width, window, arch)
    return {
        "model_type": "mistral" if window and arch == "llama" else arch,
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "hidden_size": hidden,
        "num_hidden_layers": needed("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _even(own.get("attention.head_count_kv", heads)),
        "head_dim": width,
        "intermediate_size": needed("feed_forward_length"),
        "max_position_embeddings": needed("context_length"),
        "rms_norm_eps": needed("attention.layer_norm_rms_epsilon"),
        "sliding_window": window,
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in tensors,
        "tie_word_embeddings": "output.weight" not in tensors,
        "rope_parameters": _rope(own, width, tensors),
        "eos_token_id": [
            facts[f"tokenizer.ggml.{end}_token_id"]
            for end in ("eos", "eot")
            if f"tokenizer.ggml.{end}_token_id" in facts
        ],
    }


def _even(count: Any) -> Any:
    """One count of heads for all layers. Raises BadInput where they differ."""
    if not isinstance(count, list):
        return count
    if len(set(count)) != 1:
        raise BadInput("layers with different counts of heads cannot run here")
    return count[0]


def _check(own: Mapping[str, Any], width: int, window: int | None, arch: str) -> None:
    """Nothing, for what the decoder can run. Raises BadInput for the rest."""
    if own.get("expert_count", 0):
        raise BadInput(f"a mixture of {own['expert_count']} experts cannot run here")
    if own.get("attention.value_length", width) != width:
        raise BadInput(f"values of {own['attention.value_length']} numbers beside keys of {width}")
    if own.get("rope.dimension_count", width) != width:
        raise BadInput(f"only {own['rope.dimension_count']} of {width} numbers of a head are rotated")
    if window and arch != "llama":
        raise BadInput(f"a sliding window of {window}, and no word on which layers have it; take safetensors")


def _rope(own: Mapping[str, Any], width: int, tensors: Mapping[str, Any]) -> dict[str, Any]:
    theta = float(own.get("rope.freq_base", 10_000.0))
    kind = own.get("rope.scaling.type", "none")
    factor = own.get("rope.scaling.factor", own.get("rope.scale_linear", 1.0))
    made: dict[str, Any] = {"rope_theta": theta, "rope_type": "default"}
    if "rope_freqs.weight" in tensors:
        return {**made, **_bands(tensors["rope_freqs.weight"].data, theta, width)}
    if kind == "none" and "rope.scale_linear" not in own:
        return made
    if kind not in {"none", "linear", "yarn"}:
        raise UnknownName("rope scaling", str(kind), ("none", "linear", "yarn"))
    odd = sorted(name for name in own if name.startswith("rope.scaling.") and name not in _SCALING)
    if odd:
        raise BadInput(f"{', '.join(odd)}: scaling that the decoder does not have; take safetensors")
    made |= {"rope_type": "linear" if kind == "none" else kind, "factor": factor}
    return made | {name: own[key] for key, name in _SCALING.items() if name and key in own}


def _bands(stretch: Any, theta: float, width: int) -> dict[str, Any]:
    """The Llama 3 scaling that a table of stretched frequencies [dim / 2] came from.

    The file holds its result only; the factor is its longest stretch, the rest is as Meta published it.
    Raises BadInput for another table.
    """
    options = {
        "rope_type": "llama3",
        "factor": float(stretch.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    plain = Rope(width, theta).frequencies()[0]
    banded = Rope(width, theta, "llama3", 8192, options).frequencies()[0]
    table = torch.from_numpy(np.array(stretch, np.float32))
    if len(table) != len(plain) or not torch.allclose(plain / table, banded, rtol=1e-3, atol=0):
        raise BadInput("rope_freqs.weight is not the scaling of Llama 3; take safetensors")
    return options
