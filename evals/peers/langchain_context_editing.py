"""LangChain's ContextEditingMiddleware replaces old tool results by "[cleared]" once a history is too long.

LangChain 1.4 (MIT), ClearToolUsesEdit. Compared is which messages keep their text when the middleware wraps
the call that answers the question, with its trigger at the budget and our token counter. It clears tool
results only: in a dialogue without tools it does nothing, and what is left is the newest messages that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    ModelRequest,
    ModelResponse,
)
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage

from ctxeng_evals.case import Dataset, Solver

FOLDER = Path(__file__).parent
common, messages = ModuleType("ctxeng_peers_common"), ModuleType("ctxeng_peers_messages")
SourceFileLoader(common.__name__, str(FOLDER / "_common.py")).exec_module(common)
SourceFileLoader(messages.__name__, str(FOLDER / "_messages.py")).exec_module(messages)


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int = 4000,
    counter: str = "cl100k_base",
    keep: int = 3,
    clear_at_least: int = 0,
    clear_tool_inputs: bool = False,  # noqa: FBT001, FBT002 - given by name, from YAML
) -> Solver:
    """A solver whose window is the messages as the model would have been shown them."""
    count = common.counter_of(counter)
    edit = ClearToolUsesEdit(
        trigger=budget, keep=keep, clear_at_least=clear_at_least, clear_tool_inputs=clear_tool_inputs
    )
    middleware = ContextEditingMiddleware(
        edits=[edit], token_counter=lambda given: messages.tokens_of(count, given)
    )

    def edited(history: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
        shown: list[BaseMessage] = []

        def model(request: ModelRequest) -> ModelResponse:
            shown.extend(request.messages)
            return ModelResponse(result=[AIMessage("")])

        middleware.wrap_model_call(
            ModelRequest(model=FakeListChatModel(responses=[""]), messages=list(history)), model
        )
        return shown

    return messages.compacting(
        "langchain_context_editing", dataset, lambda _: edited, budget=budget, counter=count
    )
