"""Small GGUF files of random weights, written by the gguf package as llama.cpp's converter would."""

import gguf
import numpy as np
import torch

from ctxeng.runtime.build import names
from ctxeng.runtime.config import parse_config

KINDS = gguf.GGMLQuantizationType


def raw(arch, **changes):
    return {
        "model_type": arch,
        "vocab_size": 131,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 96,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 50000.0,
        **changes,
    }


def random_weights(config, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in names(config).items()}


def neighbours(rows, heads):
    """As llama.cpp's converter orders the rows of q and k: the two halves of a head take turns."""
    return np.concatenate(
        [np.stack(np.split(head, 2), axis=1).reshape(head.shape) for head in np.split(rows, heads)]
    )


def facts_of(writer, arch, config):
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope.theta)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_eos_token_id(7)
    writer.add_token_list(["a", "b"])
    if config.windows[0] is not None:
        writer.add_sliding_window(config.windows[0])


def write(path, arch, config, weights, kind=KINDS.F32, *, more=lambda writer: None, stated=facts_of):
    """The file, and the weights it decodes to by the gguf package, under their Hugging Face names."""
    writer = gguf.GGUFWriter(path, arch)
    stated(writer, arch, config)
    more(writer)
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.layers)
    decoded = {}
    for name, weight in weights.items():
        array, used = weight.numpy(), kind if weight.dim() > 1 else KINDS.F32
        heads = {"q_proj": config.heads, "k_proj": config.kv_heads}.get(name.split(".")[-2])
        stored = neighbours(array, heads) if heads and arch == "llama" else array
        coded = gguf.quants.quantize(stored, used)
        known = table.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(known, coded, raw_dtype=used)
        decoded[name] = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(array, used), used))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return decoded


def saved(path, **changes):
    """A plain llama in one file."""
    config = parse_config(raw("llama"))
    write(path, "llama", config, random_weights(config), **changes)
    return path
