"""langmem's summarize_messages folds the older part of a history into a running summary.

Version 0.0.30 (MIT). Compared is what is left of a session that is played message by message, the function
running before each model call with `max_tokens` at the budget and our token counter. By its default what came
since the last summary may fill that on its own, and the summary comes on top: the oldest messages that no
longer fit are then left out here. The summaries are written by a stand-in that quotes the newest sentences
it is shown (`Quoter`), so what is measured is when it summarises, what it shows the model and what it keeps,
not how well a model writes. `summary` is the share of the budget that a summary may take. Its prompts lose
their instructions, which the stand-in would quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langmem.short_term import SummarizationResult, summarize_messages

from ctxeng_evals.case import Dataset, Solver

FOLDER = Path(__file__).parent
common, messages = ModuleType("ctxeng_peers_common"), ModuleType("ctxeng_peers_messages")
SourceFileLoader(common.__name__, str(FOLDER / "_common.py")).exec_module(common)
SourceFileLoader(messages.__name__, str(FOLDER / "_messages.py")).exec_module(messages)

FIRST = ChatPromptTemplate.from_messages([("placeholder", "{messages}")])
LATER = ChatPromptTemplate.from_messages([("user", "{existing_summary}"), ("placeholder", "{messages}")])


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int = 4000,
    counter: str = "cl100k_base",
    summary: float = 0.25,
) -> Solver:
    """A solver whose window is the summary so far and the messages after it."""
    count = common.counter_of(counter)

    def compact(quoter: messages.Quoter) -> messages.Compact:
        def answer(prompt: PromptValue | Sequence[BaseMessage]) -> AIMessage:
            shown = prompt.to_messages() if isinstance(prompt, PromptValue) else prompt
            return AIMessage(quoter.summary(shown))

        def played(history: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
            result = SummarizationResult(messages=[])
            for length in messages.asked_at(history):
                result = summarize_messages(
                    list(history[:length]),
                    running_summary=result.running_summary,
                    model=RunnableLambda(answer),
                    max_tokens=budget,
                    max_summary_tokens=quoter.size,
                    token_counter=lambda given: messages.tokens_of(count, given),
                    initial_summary_prompt=FIRST,
                    existing_summary_prompt=LATER,
                )
            return result.messages

        return played

    return messages.compacting(
        "langmem_short_term", dataset, compact, budget=budget, counter=count, summary=summary
    )
