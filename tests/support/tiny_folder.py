"""A model's folder as Hugging Face lays it out: random weights, a byte-level tokenizer, a chat template."""

import json

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ctxeng.runtime.build import names
from ctxeng.runtime.chat import CHATML
from ctxeng.runtime.config import parse_config

SPECIAL = ["<|end|>", "<|im_start|>", "<|im_end|>"]
TOOLS = """{%- if tools -%}{{- '<|im_start|>system\\n<tool_call>' -}}
{%- for tool in tools -%}{{- tool | tojson -}}
{%- endfor -%}{{- '<|im_end|>\\n' -}}{%- endif -%}"""


def tiny_folder(folder, seed=0, template=TOOLS + CHATML, **overrides):
    """Write it, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["user assistant system document ref the"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    raw = {
        "model_type": "qwen3",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "intermediate_size": 48,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "eos_token_id": 0,
        **overrides,
    }
    (folder / "config.json").write_text(json.dumps(raw))
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator) * 0.3 if len(shape) > 1 else torch.ones(shape)
        for name, shape in names(parse_config(raw)).items()
    }
    save_file(weights, folder / "model.safetensors")
    facts = {"eos_token": "<|im_end|>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    return folder
