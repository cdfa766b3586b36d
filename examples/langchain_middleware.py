"""A LangChain agent that reads its playbook before each answer and learns from feedback afterwards.

    python examples/langchain_middleware.py

The chat model is LangChain's own fake one, so this runs offline; put any LangChain model in its place.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng_integrations.langchain import TURN, PlaybookMiddleware

PLAYBOOK = """\
ctxeng: 1
playbook: shop
entries:
  - id: refunds-t6xk3
    when: a refund is asked for
    text: Find the purchase date first; after 30 days it is for Retention to decide.
"""


class FakeModel(FakeMessagesListChatModel):
    """Plays its replies, calls tools where a reply says so, and prints what it was told."""

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        print("\n".join(f"    {line}" for message in messages for line in str(message.text).splitlines()))
        print("    ----")
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools: Any, **_: Any) -> FakeModel:
        """The same model; what is offered is printed."""
        print("tools offered:", ", ".join(each.name for each in tools))
        return self


@tool
def purchase_date(order: int) -> str:
    """When an order was placed."""
    return f"order {order} was placed on 3 February"


def main() -> None:
    """One turn with a tool call, feedback on it, and a second turn that knows better."""
    call = {"id": "call-1", "name": "purchase_date", "args": {"order": 88214}}
    replies = [AIMessage("", tool_calls=[call]), AIMessage("I refund it."), AIMessage("Retention decides.")]
    model = FakeModel(responses=replies)
    question = {"messages": [("user", "It's June. Can I have my money back for order 88214?")]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shop.yaml"
        path.write_text(PLAYBOOK, encoding="utf-8")
        playbook = PlaybookMiddleware(open_app(path, encoder=HashingEmbedder()), tokens=1_000)
        agent = create_agent(
            model, tools=[purchase_date], middleware=[playbook], system_prompt="You answer for a shop."
        )
        state = agent.invoke(question)
        print("answer:", state["messages"][-1].text)
        learned = playbook.feedback(state[TURN], truth="Retention decides: the order is over 30 days old.")
        print("learned:", ", ".join(delta.op for delta in learned.applied))
        print("answer:", agent.invoke(question)["messages"][-1].text)
        playbook.close()
        print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
