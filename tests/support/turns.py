"""Orchestrators put together for tests: scripted models, plain functions as tools."""

import asyncio

from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.judge import judge_named
from ctxeng.learn import Learning
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.playbook.learners.onbox import OnboxReflector
from ctxeng.playbook.store import PlaybookStore
from ctxeng.protocols import Event
from ctxeng.record import RecentTurns, TurnLog
from ctxeng.steps import Steps
from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Message


def calling(*calls, then="done"):
    """A model that makes these calls once, then answers."""

    def reply(context, ask):
        if context.of("step") or ask.tool_choice == "none":
            return then
        return Message(role="assistant", parts=calls)

    return ScriptedModel(reply)


def build(model, functions=(), log=None, tools=None, **options):
    runner = Functions.of(*functions)
    log = log or RecentTurns()
    fields = {k: options.pop(k) for k in ("max_steps", "hooks", "prepares") if k in options}
    steps = Steps(
        models=RoleModels(model),
        assembler=Assembler({}, Budget(8_000, reply=200, loop=1_000)),
        runner=runner,
        tools=runner.tools if tools is None else tools,
        observers=(log,),
        **fields,
    )
    return Orchestrator(steps, log, **options)


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


SUM = Call(id="k1", name="add", arguments={"a": 2, "b": 3})


def danger() -> str:
    """Needs a person's consent."""
    return "boom"


def guarded(model, runs, **options):
    def counted() -> str:
        """Needs a person's consent."""
        runs.append(1)
        return "boom"

    counted.__name__ = "danger"
    tools = tuple(tool.model_copy(update={"needs_approval": True}) for tool in Functions.of(danger).tools)
    return build(model, [counted, add], tools=(*tools, *Functions.of(add).tools), **options)


def learning_app(tmp_path, model, **options):
    store = PlaybookStore(tmp_path / "book.yaml")
    store.open()
    learning = Learning(store, judge_named("exact"), OnboxReflector(origin="trusted"), **options)
    return build(model, learning=learning, log=TurnLog(tmp_path / "turns.jsonl"))


class Slow(ScriptedModel):
    """A model that waits to be cancelled."""

    async def aanswer(self, context, ask, on_event=None):
        try:
            on_event(Event(type="text", text="one moment"))
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
