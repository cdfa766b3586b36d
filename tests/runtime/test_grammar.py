"""Constrained output: whatever the weights, what comes out fits the form."""

import json
import re

import jsonschema
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ctxeng.errors import BadInput, BadReply
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.grammar import Grammars
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.sampling import Sampling
from ctxeng.runtime.tokenizer import ByteTokenizer, HfTokenizer
from tiny_model import tiny, tokens

BYTES = ByteTokenizer()
STOP = 257
WORD = {"type": "string", "maxLength": 8}
SCHEMAS = {
    "entry": {
        "type": "object",
        "properties": {
            "op": {"enum": ["add", "remove"]},
            "text": WORD,
            "votes": {"type": "integer", "maximum": 99, "minimum": 0},
        },
        "required": ["op", "text", "votes"],
        "additionalProperties": False,
    },
    "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    "choice": {
        "anyOf": [
            {"const": None},
            {"type": "object", "properties": {"a": WORD}, "required": ["a"], "additionalProperties": False},
        ]
    },
}


@pytest.fixture(scope="module")
def engine():
    with Engine(tiny(), BYTES, memory=1 << 24) as engine:
        yield engine


@pytest.fixture(scope="module")
def grammars():
    return Grammars(BYTES, 258, (STOP,))


@pytest.mark.parametrize("name", SCHEMAS)
def test_random_weights_write_json_that_fits_its_schema(engine, grammars, name):
    form = grammars.json_schema(SCHEMAS[name])
    plan = CachePlan(reuse=False)
    handles = [
        engine.submit(
            tokens(8, seed),
            Generate(200, Sampling(temperature=1.0, seed=seed), stop=(STOP,), constraint=form),
            plan,
        )
        for seed in range(60)
    ]
    for handle in handles:
        text = handle.text()
        assert handle.report.ended == "stop"
        jsonschema.validate(json.loads(text), SCHEMAS[name])


def test_greedy_output_fits_too(engine, grammars):
    form = grammars.json_schema(SCHEMAS["list"])
    text = engine.submit(tokens(8), Generate(200, stop=(STOP,), constraint=form)).text()
    jsonschema.validate(json.loads(text), SCHEMAS["list"])


def test_one_of_the_choices_comes_out_word_for_word(engine, grammars):
    answers = ["yes", 'no "never"', "no\nway", "ünsure", "a|b*", "\b\x7f\u2028", ""]
    form = grammars.choices(answers)
    found = {
        engine.submit(
            tokens(8), Generate(50, Sampling(temperature=2.0, seed=seed), stop=(STOP,), constraint=form)
        ).text()
        for seed in range(30)
    }
    assert found <= set(answers)
    assert len(found) > 1


def test_a_regular_expression_is_kept_to(engine, grammars):
    form = grammars.regex(r"[A-Z]{2}-\d{3}")
    text = engine.submit(tokens(8), Generate(50, stop=(STOP,), constraint=form)).text()
    assert re.fullmatch(r"[A-Z]{2}-\d{3}", text)


def test_the_end_is_allowed_exactly_where_the_form_is_complete(grammars):
    constraint = grammars.choices(["ab", "abc"])()
    allowed = []
    for letter in "abc":
        allowed.append(bool(constraint.mask()[STOP]))
        constraint.accept(ord(letter))
    assert [*allowed, bool(constraint.mask()[STOP])] == [False, False, True, True]


def test_a_form_that_cannot_be_enforced_is_refused_by_its_keyword(grammars):
    with pytest.raises(BadInput, match="uniqueItems"):
        grammars.json_schema({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    with pytest.raises(BadInput, match="cannot be enforced"):
        grammars.regex("(")
    with pytest.raises(BadInput, match="at least one answer"):
        grammars.choices([])
    with pytest.raises(BadInput, match="UTF-8"):
        grammars.choices(["\ud800"])
    with pytest.raises(BadInput, match="object"):
        grammars.json_schema([])
    with pytest.raises(BadInput, match="has to be JSON"):
        grammars.json_schema({"enum": {1}})


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("not", {"not": {"type": "string"}}),
        ("if", {"if": {}, "then": {}}),
        ("contains", {"type": "array", "contains": {}}),
        ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
        ("propertyNames", {"type": "object", "propertyNames": {"maxLength": 3}}),
        ("oneOf", {"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        ("weird", {"type": "string", "format": "weird"}),
    ],
)
def test_keywords_that_are_not_enforced_are_refused_by_name(grammars, keyword, schema):
    with pytest.raises(BadInput, match=keyword):
        grammars.json_schema(schema)


def test_a_grammar_needs_a_token_that_ends_it():
    with pytest.raises(BadInput, match="eos_token_id"):
        Grammars(BYTES, 258, ()).choices(["a"])
    with pytest.raises(BadInput, match="300"):
        Grammars(BYTES, 258, (300,))


def test_every_stop_token_may_end_an_answer_and_none_may_stand_in_it():
    constraint = Grammars(BYTES, 300, (256, 257)).json_schema({"type": "string"})()
    ends = []
    for letter in b'"<|begin|>"':
        ends.append(constraint.mask()[256:].any())
        constraint.accept(letter)
    assert not any(ends)
    assert constraint.mask().nonzero().ravel().tolist() == [256, 257]


def test_a_token_that_does_not_fit_is_refused(grammars):
    with pytest.raises(BadReply, match="does not fit"):
        grammars.choices(["ab"])().accept(ord("b"))


def test_tokens_of_more_than_a_byte_work_and_padding_of_the_vocabulary_never_comes(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(['{"name": "value", "list": [1, 2, 3]}'] * 50, trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    read = HfTokenizer(tmp_path / "tokenizer.json")
    form = Grammars(read, 512, (0,)).json_schema(SCHEMAS["entry"])
    with Engine(tiny(vocab_size=512), read, memory=1 << 24) as engine:
        for seed in range(20):
            sampling = Sampling(temperature=1.5, seed=seed)
            handle = engine.submit([1, 2, 3], Generate(200, sampling, stop=(0,), constraint=form))
            text = handle.text()
            assert handle.report.ended == "stop"
            jsonschema.validate(json.loads(text), SCHEMAS["entry"])
    anything = Grammars(read, 512, (0,)).regex("(?s:.*)")().mask()
    assert anything[: read.size].any()
    assert not anything[read.size :].any()


def test_a_tokenizer_whose_bytes_cannot_be_told_is_refused(tmp_path):
    words = Tokenizer(models.WordLevel({"<end>": 0, "yes": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BadInput, match="cannot read this tokenizer"):
        Grammars(HfTokenizer(tmp_path / "tokenizer.json"), 3, (0,)).choices(["yes"])
