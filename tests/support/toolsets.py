"""Servers of tools in memory, and orchestrators whose model manages them."""

from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.record import RecentTurns
from ctxeng.steps import Steps
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.prepare import LoadTools
from ctxeng.tools.providers import Providers
from ctxeng.tools.toolset import ToolSet
from ctxeng.turn import Call, Message, Request, Result, Scope, Tool, user


class Server:
    """A server of tools in memory: it says which of its tools was called, and with what."""

    def __init__(self, name, *tools):
        self.name, self.listed, self.version = name, tools, 0
        self.calls, self.closed, self.fault = [], False, None

    def offer(self, *tools):
        self.listed, self.version = tools, self.version + 1

    def tools(self):
        if self.fault:
            raise self.fault
        return tuple(tool.model_copy(update={"server": self.name}) for tool in self.listed)

    def run(self, call, scope):
        self.calls.append(call)
        return Result(call_id=call.id, text=f"{self.name} ran {call.name}", is_error=bool(call.malformed))

    async def arun(self, call, scope):
        return self.run(call, scope)

    def close(self):
        self.closed = True


def tool(name, about="", **fields):
    return Tool(name=name, description=about, **fields)


WEATHER = tool("weather", "The forecast for a city: rain, sun and wind.")
FLIGHT = tool("find_flight", "Flights between two cities.")
REFUND = tool("refund", "Gives back money for a paid order.")
EMAIL = tool("send_email", "Sends a letter to an address.", needs_approval=True)
SQL = tool("query_table", "Runs a statement over the database.")


def servers():
    return [Server("met", WEATHER), Server("air", FLIGHT), Server("shop", REFUND, EMAIL, SQL)]


def of(*tools, **fields):
    """A set over these tools, each of a server of its own."""
    catalogue = Catalogue()
    for one in tools or (WEATHER, FLIGHT, REFUND, EMAIL, SQL):
        catalogue.put_server(one.name, [one])
    return ToolSet(catalogue, **{"found": 1, "cap": 2, **fields})


def call(name, call_id="k", /, **arguments):
    return Call(id=call_id, name=name, arguments=arguments)


def search(query, call_id="k"):
    return call("search_tools", call_id, query=query)


def steps_of(*steps, then="done"):
    """A model that makes these calls, one tuple a step, then answers; in every turn anew."""

    def reply(context, ask):
        number = sum(1 for s in context.of("step") if s.body.calls)
        if number >= len(steps) or ask.tool_choice == "none":
            return then
        return Message(role="assistant", parts=tuple(steps[number]), id=f"m{number}")

    return ScriptedModel(reply)


def app(model, given=None, tools=(), rest=None, window=16_000, loop=4_000, **fields):
    """An orchestrator over servers in memory; `fields` are the set's, but `checkpointer`."""
    options = {key: fields.pop(key) for key in ("checkpointer", "bodies") if key in fields}
    providers = Providers(Catalogue(), servers() if given is None else given, rest)
    toolset = ToolSet(providers.catalogue, **{"found": 1, "cap": 2, **fields})
    log = RecentTurns()
    steps = Steps(
        models=RoleModels(model),
        assembler=Assembler({"tools": toolset}, Budget(window, reply=200, loop=loop)),
        prepares=(LoadTools(toolset, providers),),
        runner=providers,
        tools=tools,
        observers=(log, toolset),
        cite=False,
    )
    return Orchestrator(steps, log, **options)


def toolset_of(orchestrator):
    return orchestrator.steps.assembler.sources["tools"]


def asked(text="hello", session="", **fields):
    return Request(query=user(text), scope=Scope(session=session, **fields.pop("scope", {})), **fields)


def blocks(model):
    """The names of the tool block at each call of the model."""
    return [[section.body.name for section in context.of("tool")] for context in model.seen]


def results(turn):
    return [result.text for step in turn.steps for result in step.results]
