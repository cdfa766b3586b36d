"""Orchestrators whose only source is a memory, and models that call tools in a loop."""

from __future__ import annotations

from ctxeng import render
from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.memory.memory import Memory
from ctxeng.memory.recall import Recall
from ctxeng.memory.source import MemorySource
from ctxeng.memory.store import SqlStore
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.record import RecentTurns
from ctxeng.steps import Steps
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Estimate
from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Message, Request, Scope, Section, user

COUNT = Estimate()
SCOPE = Scope(tenant="acme", user="ada", session="monday")


def lookup(key: str) -> str:
    """A long text about the key."""
    return f"the value of {key} is {key * 3}. " + "and more of it " * 40


def price(message):
    return render.price(Section(kind="message", source="memory", body=message), COUNT)


def remembering(model, *policies, window=8_000, loop=1_000, store=None, recall=False, **options):
    """An orchestrator whose only source is a memory."""
    store = store or SqlStore(open_database("sqlite::memory:"))
    memory = Memory(store, price, policies, marked=options.get("edits", False))
    source = MemorySource(memory, Recall(store) if recall else None, **options)
    runner = Functions.of(lookup)
    log = RecentTurns()
    steps = Steps(
        models=RoleModels(model),
        assembler=Assembler({"memory": source}, Budget(window, reply=200, loop=loop)),
        runner=runner,
        tools=runner.tools,
        observers=(log,),
        max_steps=60,
        cite=False,
    )
    return Orchestrator(steps, log), source


def ask(app, text, scope=SCOPE, **fields):
    return app.invoke(Request(query=user(text), scope=scope, **fields))


def texts(context, *kinds):
    return [render.text_of(section) for section in context.of(*(kinds or ("summary", "message")))]


def looping(count):
    """A model that looks something up in `count` steps of its turn, then answers."""

    def reply(context, ask):
        done = len(reply.made)
        if done >= count or ask.tool_choice == "none":
            return f"done after {done}"
        reply.made.append(done)
        call = Call(id=f"k{done}", name="lookup", arguments={"key": f"key{done}"})
        return Message(role="assistant", parts=(call,))

    reply.made = []
    return ScriptedModel(reply)
