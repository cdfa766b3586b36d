"""LangChain's SummarizationMiddleware replaces the older part of a history by a model's summary of it.

LangChain 1.4 (MIT). Compared is what is left of a session that is played message by message, the middleware
running before each model call with its trigger at the budget and our token counter. The summaries are
written by a stand-in that quotes the newest sentences it is shown (`Quoter`), so what is measured is when it
summarises, what it shows the model and what it keeps, not how well a model writes. `keep` and `summary` are
shares of the budget; `trim` is the library's own cut of what the model gets to see, 0 for none.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime

from ctxeng_evals.case import Dataset, Solver

FOLDER = Path(__file__).parent
common, messages = ModuleType("ctxeng_peers_common"), ModuleType("ctxeng_peers_messages")
SourceFileLoader(common.__name__, str(FOLDER / "_common.py")).exec_module(common)
SourceFileLoader(messages.__name__, str(FOLDER / "_messages.py")).exec_module(messages)


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int = 4000,
    counter: str = "cl100k_base",
    keep: float = 0.5,
    summary: float = 0.25,
    trim: int = 4000,
) -> Solver:
    """A solver whose window is the summary so far and the messages after it."""
    count = common.counter_of(counter)

    def compact(quoter: messages.Quoter) -> messages.Compact:
        middleware = SummarizationMiddleware(
            model=FakeListChatModel(responses=[""]),  # for its profile only: the summarizer is the quoter
            trigger=("tokens", budget),
            keep=("tokens", max(1, int(budget * keep))),
            token_counter=lambda given: messages.tokens_of(count, given),
            trim_tokens_to_summarize=trim or None,
            summarizer=quoter.summary,
        )

        def played(history: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
            state: list[BaseMessage] = []
            seen = 0
            for length in messages.asked_at(history):
                state.extend(history[seen:length])
                seen = length
                update = middleware.before_model({"messages": state}, Runtime())
                if update is not None:
                    state = list(add_messages(state, update["messages"]))
            return state

        return played

    return messages.compacting(
        "langchain_summarization", dataset, compact, budget=budget, counter=count, summary=summary
    )
