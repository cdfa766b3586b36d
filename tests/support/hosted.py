"""Asking a model behind the local server, blocking or awaited."""

import asyncio
import importlib.util

import pytest

from ctxeng.models.litellm import LiteLLMModel
from ctxeng.turn import (
    Ask,
    Tool,
)

MARKS = [
    pytest.mark.skipif(not importlib.util.find_spec("litellm"), reason="extra models is not installed"),
    # litellm's own types and habits, as pydantic 2.14 sees them
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_.*' attribute on the instance:DeprecationWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:Item .* on TypedDict class .* is using the `ReadOnly` qualifier:UserWarning"
    ),
]


KEY = "sk-thisisaverysecretkey123"


ADD = Tool(name="add", description="adds", parameters={"type": "object", "properties": {"a": {}, "b": {}}})


ANSWERERS = ["answer", "aanswer"]


def model(wire, **options):
    return LiteLLMModel("openai/tiny", base_url=wire.url, api_key=KEY, backoff=0.01, **options)


def ask_by(how, target, context, ask=None, on_event=None):
    if how == "answer":
        return target.answer(context, ask or Ask(), on_event)
    return asyncio.run(target.aanswer(context, ask or Ask(), on_event))
