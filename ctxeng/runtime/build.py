"""A decoder from tensors under their Hugging Face names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctxeng.runtime.config import ModelConfig
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.layers import Dense, Layer, Linear, Norm

Get = Callable[[str], Tensor]
Pack = Callable[[Tensor, Tensor | None], Linear]


def build(config: ModelConfig, get: Get, pack: Pack = Dense) -> Decoder:
    """Assemble a decoder. `get` returns a tensor by name; `pack` stores a matrix (dense, int8, int4).

    Raises what `get` raises for a missing name, and ValueError with both shapes for one that does not fit.
    """
    embedding = shaped(get, "model.embed_tokens.weight", config.vocab, config.hidden)
    head: Linear = Dense(embedding)
    if not config.tied:
        head = pack(shaped(get, "lm_head.weight", config.vocab, config.hidden), None)
    layers = tuple(_layer(config, get, pack, index) for index in range(config.layers))
    norm = Norm(shaped(get, "model.norm.weight", config.hidden), config.norm_eps)
    return Decoder(config, embedding, layers, norm, head)


def shaped(get: Get, name: str, *shape: int) -> Tensor:
    """The tensor of that name. Raises ValueError where its shape is another."""
    tensor = get(name)
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, and config.json asks for {shape}")
    return tensor


def names(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor a model of this shape has, and its shape."""
    found: dict[str, tuple[int, ...]] = {}

    class Probe:
        """Writes down what `build` asks for."""

        def __call__(self, name: str) -> Tensor:
            return torch.empty(expected(config, name), device="meta")

    def note(name: str) -> Tensor:
        tensor = Probe()(name)
        found[name] = tuple(tensor.shape)
        return tensor

    build(config, note)
    return found


def expected(config: ModelConfig, name: str) -> tuple[int, ...]:
    """The shape of the tensor of that name."""
    wide, narrow = config.heads * config.head_dim, config.kv_heads * config.head_dim
    part = name.removesuffix(".weight").removesuffix(".bias").rsplit(".", 1)[-1]
    matrix = {
        "embed_tokens": (config.vocab, config.hidden),
        "lm_head": (config.vocab, config.hidden),
        "q_proj": (wide, config.hidden),
        "k_proj": (narrow, config.hidden),
        "v_proj": (narrow, config.hidden),
        "o_proj": (config.hidden, wide),
        "gate_proj": (config.ffn, config.hidden),
        "up_proj": (config.ffn, config.hidden),
        "down_proj": (config.hidden, config.ffn),
    }.get(part)
    if matrix is None:
        return (config.head_dim,) if part in {"q_norm", "k_norm"} else (config.hidden,)
    return matrix[:1] if name.endswith(".bias") else matrix


def _layer(config: ModelConfig, get: Get, pack: Pack, index: int) -> Layer:
    at = f"model.layers.{index}."

    def matrix(names: tuple[str, ...], *, biased: bool) -> Linear:
        weights = [shaped(get, f"{at}{n}.weight", *expected(config, f"{n}.weight")) for n in names]
        biases = [shaped(get, f"{at}{n}.bias", *expected(config, f"{n}.bias")) for n in names if biased]
        weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        return pack(weight, torch.cat(biases) if biases else None)

    def norm(name: str, size: int) -> Norm:
        return Norm(shaped(get, f"{at}{name}.weight", size), config.norm_eps)

    attention = tuple(f"self_attn.{n}_proj" for n in "qkv")
    return Layer(
        before=norm("input_layernorm", config.hidden),
        qkv=matrix(attention, biased=config.qkv_bias),
        out=matrix(("self_attn.o_proj",), biased=config.out_bias),
        between=norm("post_attention_layernorm", config.hidden),
        gate_up=matrix(("mlp.gate_proj", "mlp.up_proj"), biased=config.mlp_bias),
        down=matrix(("mlp.down_proj",), biased=config.mlp_bias),
        q_norm=norm("self_attn.q_norm", config.head_dim) if config.qk_norm else None,
        k_norm=norm("self_attn.k_norm", config.head_dim) if config.qk_norm else None,
    )
