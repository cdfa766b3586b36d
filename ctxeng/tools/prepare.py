"""The step before assembly that prunes and searches: by policy alone, or with a model that names needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import TypeAdapter

from ctxeng.errors import BadReply, Cancelled, ModelError
from ctxeng.message import WellFormed
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.text.replies import Unrepaired, ask_json
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.providers import Providers
from ctxeng.tools.toolset import SOURCE, ToolSet
from ctxeng.tools.working import Working, add
from ctxeng.turn import Ask, Context, Request, Section, Usage, Value, user

logger = logging.getLogger(__name__)

_SHORT = 160  # characters of a description in the list of loaded tools


class Wanted(Value):
    """The model's reply: what to unload, and what to look for."""

    drop: tuple[WellFormed, ...] = ()
    queries: tuple[WellFormed, ...] = ()


_FORM = TypeAdapter(Wanted)


@dataclass(frozen=True)
class LoadTools:
    """Chooses the tools of a turn and pins them in the request: the mode's prune and search as steps.

    With `asks` the model of the role `retrieve` names the loaded tools to drop and at most `queries` things
    to look for, in one call of at most `cap` tokens, prompt and reply together; where it fails or the prompt
    alone is too long, the policy decides. Servers whose tools have changed are read first.
    """

    tools: ToolSet
    providers: Providers | None = None
    asks: bool = False
    queries: int = 4
    cap: int = 4_000
    reply: int = 256
    prompts: Prompts = Prompts()

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request with this turn's tools pinned, and what that cost."""
        if self.providers is not None:
            self.providers.refresh()
        if not len(self.tools.catalogue):
            return request, Usage()
        steps = self.tools.mode.prune_step or self.tools.mode.search_step
        wanted, usage = self._asked(request, models) if self.asks and steps else (None, Usage())
        working = self.tools.chosen(request) if wanted is None else self._follow(request, wanted)
        return self.tools.pin(request, working), usage

    def _follow(self, request: Request, wanted: Wanted) -> Working:
        """The working set after the model's word; what it names and what is not there is passed over."""
        tools, mode = self.tools, self.tools.mode
        working = tools.working(request)
        if mode.prune_step:
            dropped = set(wanted.drop)
            working = working.showing([name for name in working.names if name not in dropped])
        queries = [query for query in dict.fromkeys(wanted.queries) if query.strip()][: self.queries]
        found: list[str] = []  # for earlier queries: later ones do not push it out
        for query in queries if mode.search_step else ():
            names = tools.searched(request, working, query)
            change = add(working, names, tools.cap, full=tools.full, busy=found)
            found, working = [*found, *names], change.working
            if change.refused:
                logger.warning("no room among %d tools for: %s", tools.cap, ", ".join(change.refused))
        return working

    def _asked(self, request: Request, models: Models) -> tuple[Wanted | None, Usage]:
        model = models.role("retrieve")
        loaded = _listed(self.tools.catalogue, self.tools.working(request))
        prompt = self.prompts.fill("tools", request=request.query.text, tools=loaded, most=str(self.queries))
        context = Context(sections=(Section(kind="query", source=SOURCE, body=user(prompt)),))
        if model.price_context(context) + self.reply > min(self.cap, model.window):
            logger.warning("the request is too long to ask a model for its tools; the policy decides")
            return None, Usage()
        try:
            return ask_json(model, context, Ask(max_tokens=self.reply, temperature=0.0), _FORM, "retrieve")
        except Cancelled:
            raise
        except (ModelError, BadReply) as error:
            logger.warning("no tools were named by %s: %s; the policy decides", model.name, error)
            return None, error.usage if isinstance(error, Unrepaired) else Usage()


def _listed(catalogue: Catalogue, working: Working) -> str:
    names = [name for name in working.names if name in catalogue]
    lines = [f"- {name}: {' '.join(catalogue[name].description.split())[:_SHORT]}" for name in names]
    return "\n".join(lines) or "(none)"
