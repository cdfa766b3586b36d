"""The instrument's 1,024 tokens: marks of the task grammar, keys, values, and text by byte pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SIZE = 1024
KEYS = 128
VALUES = 128
MARKS = (
    "<pad>",
    "<bos>",
    "<end>",
    "<system>",
    "<playbook>",
    "<tools>",
    "<doc>",
    "<turn>",
    "<record>",  # <record> key value <end>
    "<same>",  # <record> key <same> key <end>: the value of the other key
    "<rule>",  # <rule> value value <end>
    "<ask>",  # <ask> key value
    "<apply>",  # <apply> key value: the value after its rule
    "<copy>",  # <copy> any tokens <again> the same tokens
    "<again>",
)
FIRST_KEY = len(MARKS)
FIRST_VALUE = FIRST_KEY + KEYS
FIRST_TEXT = FIRST_VALUE + VALUES


def mark(name: str) -> int:
    """The id of a mark: `mark("ask")`."""
    return MARKS.index(f"<{name}>")


def train_tokenizer(texts: Iterable[str]) -> Any:
    """A byte-level BPE tokenizer (Sennrich et al. 2016) whose first ids are the marks, keys and values."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415 - training only

    special = [*MARKS, *(f"<k{i}>" for i in range(KEYS)), *(f"<v{i}>" for i in range(VALUES))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
