"""A catalogue of tools: a model that sees few of many, searches for more, and results cut to an allowance.

    python examples/tool_catalogue.py

Runs offline: a scripted model stands in. Give `Catalogue` an `Embedder()` to search by meaning.
"""

from __future__ import annotations

from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.message import Call, Message
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.record import RecentTurns
from ctxeng.steps import Steps
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.clip.clipper import Clipper
from ctxeng.tools.functions import Functions
from ctxeng.tools.output import ClippedRunner
from ctxeng.tools.prepare import LoadTools
from ctxeng.tools.provider import FunctionProvider
from ctxeng.tools.providers import Providers
from ctxeng.tools.toolset import ToolSet
from ctxeng.turn import Answer, Turn


def refund(order: str) -> str:
    """Pay the price of an order back to the customer."""
    return f"{order} is paid back"


def track(parcel: str) -> list[dict[str, str]]:
    """Where a parcel is: every scan on its way."""
    return [{"parcel": parcel, "place": f"depot {number}", "state": "passed"} for number in range(400)]


def weather(city: str) -> str:
    """The weather of today in a city."""
    return f"rain in {city}"


def calls(name: str, **arguments: str) -> Answer:
    """What a model answers that calls a tool."""
    call = Call(id=f"call-{name}", name=name, arguments=dict(arguments))
    return Answer(message=Message(role="assistant", parts=(call,)), finish="calls")


def show(turn: Turn) -> None:
    """Each step: what was called, and what came back."""
    for step in turn.steps:
        for call, result in zip(step.answer.calls, step.results, strict=True):
            print(f"{call.name}({', '.join(map(str, call.arguments.values()))})")
            print("  " + result.text[:160].replace("\n", "\n  "))
    print("loaded at the end:", ", ".join(turn.shown.get("tools", ())))


def main() -> None:
    """One turn in hybrid mode: the model looks for a tool, then calls it."""
    catalogue = Catalogue()
    shop = FunctionProvider("shop", Functions.of(refund, track, weather))
    providers = Providers(catalogue, [shop])
    tools = ToolSet(catalogue, cap=8, found=1)
    model = ScriptedModel(
        [
            calls("search_tools", query="where is a parcel now"),
            calls("track", parcel="p-7"),
            "It is at depot 399.",
        ]
    )
    steps = Steps(
        RoleModels(model),
        Assembler({"tools": tools}, Budget(8_000, 500)),
        prepares=[LoadTools(tools, providers)],
        runner=ClippedRunner(providers, Clipper(200)),
        observers=[tools],
    )
    with Orchestrator(steps, RecentTurns()) as app:
        show(app.invoke("Where is my parcel p-7?"))


if __name__ == "__main__":
    main()
