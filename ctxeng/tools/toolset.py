"""Tools as a source: the few of a large catalogue that are loaded, found by the graph or by the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ctxeng.errors import BadInput, CtxengError
from ctxeng.protocols import Allowance
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.fit import Fitted
from ctxeng.tools.manage import (
    CALL,
    REMOVE,
    SEARCH,
    Expose,
    heard,
    managing,
    meant,
    misnamed,
    schema_line,
    told,
)
from ctxeng.tools.modes import HYBRID, Mode
from ctxeng.tools.needs import closed
from ctxeng.tools.policy import Policy, SlidingWindow
from ctxeng.tools.priors import Used
from ctxeng.tools.rank import Ranked, ToolRanker
from ctxeng.tools.sessions import Sessions
from ctxeng.tools.working import Change, Full, Working, add, by_server, remove
from ctxeng.turn import Call, Request, Result, Section, Step, Tool, Turn

SOURCE = "tools"
_NEEDED = f"{SOURCE}: needed"  # beside the set itself in `request.pinned`
_LISTED = "Tools that call_tool can call:"


@dataclass(frozen=True)
class ToolSet:
    """The loaded tools of a catalogue, at most `cap`, beside the app's own, which are always there.

    `mode` says who loads and unloads, `policy` how that goes where no model does, `found` how many tools
    one search loads (`prerequisites`: also the tools that give the ids those ask for), `full` what happens at
    the cap. `expose` "proxy" keeps schemas out of the tool block:
    the model sees two fixed tools and reads schemas at the end of the window. Under pressure schemas are
    trimmed by `fit`. A turn's choice is pinned in its request; between turns `sessions` remembers.
    """

    catalogue: Catalogue
    mode: Mode = HYBRID
    policy: Policy = field(default_factory=SlidingWindow)
    ranker: ToolRanker = field(default_factory=ToolRanker)
    cap: int = 16
    found: int = 5
    full: Full = "evict"
    prerequisites: bool = False
    expose: Expose = "native"
    sessions: Sessions = field(default_factory=Sessions)
    fit: Fitted = field(default_factory=Fitted)

    def __post_init__(self) -> None:
        if not 1 <= self.found <= self.cap:
            raise BadInput(f"a search loads {self.found} tools; that must be from 1 to the cap, {self.cap}")

    # -- the source -------------------------------------------------------------------------------------

    def quiet(self, request: Request) -> bool:
        """Whether there are no tools at all."""
        return not request.tools and not len(self.catalogue)

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """The app's own tools, then the managing ones, then the loaded ones in the order of their arrival."""
        working = self.chosen(request)
        found = [self.catalogue.get(name) for name in working.names]
        held = [tool for tool in found if tool is not None]  # a server may be leaving meanwhile
        own = {tool.name: tool for tool in request.tools}.values()
        fixed = [
            *(Section(kind="tool", source=SOURCE, body=tool, ref=tool.name) for tool in own),
            *(Section(kind="tool", source=SOURCE, body=tool) for tool in self._managing(request).values()),
        ]
        if self.expose == "native":
            loaded = [Section(kind="tool", source=SOURCE, body=tool, ref=tool.name) for tool in held]
        else:
            loaded = [
                Section(kind="query", source=SOURCE, body=schema_line(tool), ref=tool.name) for tool in held
            ]
            fixed += [Section(kind="query", source=SOURCE, body=_LISTED)] if held else []
        kept = self.fit.sections(fixed, loaded, allowance, working.by_need)
        listed = any(section.kind == "query" and section.ref for section in kept)
        return kept if listed else [section for section in kept if section.kind == "tool"]

    # -- choosing ---------------------------------------------------------------------------------------

    def working(self, request: Request) -> Working:
        """The loaded tools: those pinned for this turn, else those the last turn left, as far as they exist.

        What the session's last turn left is remembered here; another turn's, or that of a session which
        nobody remembers, is what it showed.
        """
        last = self.sessions.working(request.scope)
        names = last.names
        if SOURCE in request.pinned:
            names = request.pinned[SOURCE]
        elif request.shown.get(SOURCE, last.shown) != last.shown:
            names = request.shown[SOURCE]
        own = {tool.name for tool in request.tools}
        kept = [name for name in dict.fromkeys(names) if name in self.catalogue and name not in own]
        return last.showing(kept[-self.cap :]).needing(request.pinned.get(_NEEDED, ()))

    def chosen(self, request: Request) -> Working:
        """The set for this turn: what is pinned, else what the mode's steps make of the last turn's."""
        working = self.working(request)
        if SOURCE in request.pinned or not (self.mode.prune_step or self.mode.search_step):
            return working
        ranked = self.ranked(request, working)
        if self.mode.prune_step:
            working = self.policy.pruned(working, ranked, self.cap)
        return self.policy.filled(working, ranked, self.cap) if self.mode.search_step else working

    def pin(self, request: Request, working: Working) -> Request:
        """The request with this set for the rest of the turn, and which of it the turn has needed so far."""
        needed = tuple(one.name for one in working.held if one.needed == working.turn)
        pinned = {**request.pinned, SOURCE: working.names, _NEEDED: needed}
        return request.model_copy(update={"pinned": pinned})

    def ranked(
        self, request: Request, working: Working, query: str = "", parts: Sequence[str] = ()
    ) -> Ranked:
        """Every tool's score for the request, or for a query of the model's; 0 for the app's own names."""
        priors = self.sessions.priors(request.scope.tenant)
        found = self.ranker.scores(
            self.catalogue, query or request.query.text, parts, priors=priors, called=working.called
        )
        own = {tool.name for tool in request.tools}
        if own.isdisjoint(found.tools):
            return found
        free = np.array([name not in own for name in found.tools])
        return Ranked(found.tools, np.where(free, found.scores, np.float32(0)))

    def searched(self, request: Request, working: Working, query: str) -> list[str]:
        """What one search loads: the best matches, and where `prerequisites` are wanted, what they need."""
        names = [name for name, _ in self.ranked(request, working, query).best(self.found)]
        return closed(names, self.catalogue, self.cap) if self.prerequisites else names

    # -- what the model does ----------------------------------------------------------------------------

    def meant(self, call: Call) -> Call:
        """The call inside `call_tool`, else the call itself."""
        return meant(call) if self.expose == "proxy" else call

    def offered(self, name: str, request: Request) -> Tool | None:
        """The tool of this name, if it is loaded or manages."""
        managing = self._managing(request)
        if name in managing:
            return managing[name]
        return self.catalogue.get(name) if name in self.chosen(request).names else None

    def manage(self, call: Call, request: Request, beside: Sequence[Call]) -> Result | None:
        """What a search or a removal did, in words; an error result where it cannot be."""
        if call.name not in self._managing(request):
            return None
        if call.name == CALL:
            return Result(call_id=call.id, text=misnamed(call), is_error=True)
        working = self.chosen(request)
        try:
            for earlier in beside[: [each.id for each in beside].index(call.id)]:
                working = self._done(self.meant(earlier), request, working, beside, forgiving=True).working
            change = self._done(call, request, working, beside)
            found = [] if call.name == REMOVE else self._found(call, request, working)
        except CtxengError as error:
            return Result(call_id=call.id, text=str(error), is_error=True)
        listed = [self.catalogue.get(name) for name in found if name in change.working.names]
        tools = [tool for tool in listed if tool is not None]
        return Result(call_id=call.id, text=told(change, tools, self.cap, self.expose))

    def adjusted(self, request: Request, step: Step) -> tuple[Request, bool]:
        """The request with the set pinned as the step's calls left it; a native block is assembled anew.

        What the results say is what holds: a search done again could find others, once more was learned.
        """
        before = self.chosen(request)
        calls = {call.id: self.meant(call) for call in step.answer.calls}
        busy = {call.name for call in calls.values()}
        working = before.needing(busy)
        for result in step.results:
            call = calls.get(result.call_id)
            if call is None or result.is_error or call.name not in self._managing(request):
                continue
            said = heard(result.text, self.expose)
            if said is None:
                working = self._done(call, request, working, tuple(calls.values()), forgiving=True).working
            else:
                kept = [name for name in working.names if name not in said[1]]
                came = [name for name in said[0] if name in self.catalogue]
                working = add(working.showing(kept), came, self.cap, busy=busy).working
        changed = working.names != before.names
        return self.pin(request, working), changed and self.expose == "native"

    def _managing(self, request: Request) -> dict[str, Tool]:
        """The managing tools of the mode, where there are tools to manage; the app's own come first."""
        own = {tool.name for tool in request.tools}
        found = managing(self.mode, self.expose) if len(self.catalogue) else ()
        return {tool.name: tool for tool in found if tool.name not in own}

    def _done(
        self,
        call: Call,
        request: Request,
        working: Working,
        beside: Sequence[Call],
        *,
        forgiving: bool = False,
    ) -> Change:
        """What one of the model's calls does to the set; nothing, if it is not a managing call."""
        busy = {self.meant(other).name for other in beside}
        managed = call.name in self._managing(request)
        try:
            if call.name == SEARCH and managed:
                found = self._found(call, request, working)
                return add(working, found, self.cap, full=self.full, busy=busy)
            if call.name == REMOVE and managed:
                names = by_server(_names(call), _loaded(self.catalogue, working))
                return remove(working, names, busy)
        except CtxengError:
            if not forgiving:
                raise
        return Change(working=working)

    def _found(self, call: Call, request: Request, working: Working) -> list[str]:
        query = call.arguments.get("query")
        if call.malformed or not isinstance(query, str) or not query.strip():
            raise BadInput(f"{SEARCH} needs `query`, a text that says what the tool should do")
        return self.searched(request, working, query)

    # -- learning ---------------------------------------------------------------------------------------

    def observe(self, turn: Turn) -> None:
        """Remember what the session has loaded and called, and learn which tools served the request."""
        if turn.error:
            return
        request, scope = turn.request, turn.request.scope
        others = {tool.name for tool in (*request.tools, *managing(self.mode, self.expose))}
        ran = [name for step in turn.steps for name in self._ran(step)]
        # not only what is in the catalogue: a log is read before the servers are
        called = tuple(name for name in ran if name not in others)
        tools = tuple(dict.fromkeys(called))
        session = f"{scope.user} {scope.session}" if scope.session else ""
        learned = Used(turn.id, request.query.text, tools, session) if tools else None
        after = self._left(turn).used(called) if scope.session else Working()
        self.sessions.note(scope, turn.id, after, learned)

    def _ran(self, step: Step) -> list[str]:
        """The tools whose calls in this step went well."""
        fine = {result.call_id for result in step.results if not result.is_error}
        return [self.meant(call).name for call in step.answer.calls if call.id in fine]

    def _left(self, turn: Turn) -> Working:
        """The set as the turn left it, with what the policy noted at its beginning."""
        last, shown = self.sessions.working(turn.request.scope), turn.shown.get(SOURCE, ())
        pinned = {SOURCE: shown, **turn.request.pinned}
        begun = self.chosen(turn.request.model_copy(update={"pinned": {}}))
        names = self.working(turn.request.model_copy(update={"pinned": pinned})).names
        after = begun.showing(names).needing(pinned.get(_NEEDED, ()))
        return after.flowed(last.names).model_copy(update={"shown": shown})


def _names(call: Call) -> list[str]:
    names = call.arguments.get("names")
    names = [names] if isinstance(names, str) else names
    if call.malformed or not isinstance(names, list) or not names:
        raise BadInput(f"{REMOVE} needs `names`, a list of loaded tools; got {json.dumps(call.arguments)}")
    return [str(name) for name in names]


def _loaded(catalogue: Catalogue, working: Working) -> dict[str, list[str]]:
    """The loaded tools of each server."""
    found: dict[str, list[str]] = {}
    for name in working.names:
        if name in catalogue:
            found.setdefault(catalogue[name].server, []).append(name)
    return found
