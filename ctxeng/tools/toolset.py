"""Tools as a source: the few of a large catalogue that are loaded, found by the graph or by the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.errors import BadInput, CtxengError
from ctxeng.protocols import Allowance
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.fit import Fitted
from ctxeng.tools.manage import REMOVE, SEARCH, Expose, managing, meant, schema_line, told
from ctxeng.tools.modes import HYBRID, Mode
from ctxeng.tools.policy import Policy, SlidingWindow
from ctxeng.tools.priors import Used
from ctxeng.tools.rank import Ranked, ToolRanker
from ctxeng.tools.sessions import Sessions
from ctxeng.tools.working import Change, Full, Working, add, by_server, remove
from ctxeng.turn import Call, Request, Result, Section, Step, Tool, Turn

SOURCE = "tools"
_LISTED = "Tools that call_tool can call:"


@dataclass(frozen=True)
class ToolSet:
    """The loaded tools of a catalogue, at most `cap`, beside the app's own, which are always there.

    `mode` says who loads and unloads, `policy` how that goes where no model does, `found` how many tools
    one search loads, `full` what happens at the cap. `expose` "proxy" keeps schemas out of the tool block:
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
        own = {tool.name: tool for tool in request.tools}.values()
        held = [self.catalogue[name] for name in self.chosen(request).names if name in self.catalogue]
        fixed = [
            *(Section(kind="tool", source=SOURCE, body=tool, ref=tool.name) for tool in own),
            *(
                Section(kind="tool", source=SOURCE, body=tool)
                for tool in (managing(self.mode, self.expose) if len(self.catalogue) else ())
            ),
        ]
        if self.expose == "native":
            loaded = [Section(kind="tool", source=SOURCE, body=tool, ref=tool.name) for tool in held]
        else:
            loaded = [
                Section(kind="query", source=SOURCE, body=schema_line(tool), ref=tool.name) for tool in held
            ]
            fixed += [Section(kind="query", source=SOURCE, body=_LISTED)] if held else []
        return self.fit.sections(fixed, loaded, allowance)

    # -- choosing ---------------------------------------------------------------------------------------

    def working(self, request: Request) -> Working:
        """The loaded tools: those pinned for this turn, else those shown last turn, as far as they exist."""
        names = request.pinned.get(SOURCE, request.shown.get(SOURCE, ()))
        kept = [name for name in names if name in self.catalogue]
        return self.sessions.working(request.scope).showing(kept)

    def chosen(self, request: Request) -> Working:
        """The set for this turn: what is pinned, else what the mode's steps make of the last turn's."""
        working = self.working(request)
        if SOURCE in request.pinned or not (self.mode.prune_step or self.mode.search_step):
            return working
        ranked = self.ranked(request, working)
        if self.mode.prune_step:
            working = self.policy.pruned(working, ranked, self.cap)
        return self.policy.filled(working, ranked, self.cap) if self.mode.search_step else working

    def ranked(
        self, request: Request, working: Working, query: str = "", parts: Sequence[str] = ()
    ) -> Ranked:
        """Every tool's score for the request, or for a query of the model's."""
        priors = self.sessions.priors(request.scope.tenant)
        return self.ranker.scores(
            self.catalogue, query or request.query.text, parts, priors=priors, called=working.called
        )

    # -- what the model does ----------------------------------------------------------------------------

    def meant(self, call: Call) -> Call:
        """The call inside `call_tool`, else the call itself."""
        return meant(call) if self.expose == "proxy" else call

    def offered(self, name: str, request: Request) -> Tool | None:
        """The tool of this name, if it is loaded or manages."""
        managed = {tool.name: tool for tool in managing(self.mode, self.expose)}
        if name in managed or name not in self.catalogue:
            return managed.get(name)
        return self.catalogue[name] if name in self.chosen(request).names else None

    def manage(self, call: Call, request: Request, beside: Sequence[Call]) -> Result | None:
        """What a search or a removal did, in words; an error result where it cannot be."""
        if call.name not in {tool.name for tool in managing(self.mode, self.expose)} - {"call_tool"}:
            return None
        working = self.chosen(request)
        try:
            for earlier in beside[: [each.id for each in beside].index(call.id)]:
                working = self._done(earlier, request, working, beside, forgiving=True).working
            change = self._done(call, request, working, beside)
        except CtxengError as error:
            return Result(call_id=call.id, text=str(error), is_error=True)
        found = [] if call.name == REMOVE else self._found(call, request, working)
        listed = [self.catalogue[name] for name in found if name in change.working.names]
        return Result(call_id=call.id, text=told(change, listed, self.cap, self.expose))

    def adjusted(self, request: Request, step: Step) -> tuple[Request, bool]:
        """The request with the set pinned as the step's calls left it; a native block is assembled anew."""
        before = working = self.chosen(request)
        failed = {result.call_id for result in step.results if result.is_error}
        for call in step.answer.calls:
            if call.id not in failed:
                working = self._done(call, request, working, step.answer.calls, forgiving=True).working
        if working.names == before.names and SOURCE in request.pinned:
            return request, False
        pinned = {**request.pinned, SOURCE: working.names}
        changed = working.names != before.names
        return request.model_copy(update={"pinned": pinned}), changed and self.expose == "native"

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
        try:
            if call.name == SEARCH and self.mode.search_tool:
                found = self._found(call, request, working)
                return add(working, found, self.cap, full=self.full, busy=busy)
            if call.name == REMOVE and self.mode.prune_tool:
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
        return [name for name, _ in self.ranked(request, working, query).best(self.found)]

    # -- learning ---------------------------------------------------------------------------------------

    def observe(self, turn: Turn) -> None:
        """Remember what the session has loaded and called, and learn which tools served the request."""
        request = turn.request
        calls = [self.meant(call) for step in turn.steps for call in step.answer.calls]
        failed = {r.call_id for step in turn.steps for r in step.results if r.is_error}
        used = tuple(
            dict.fromkeys(
                call.name for call in calls if call.name in self.catalogue and call.id not in failed
            )
        )
        before = self.sessions.working(request.scope)
        shown = [name for name in turn.shown.get(SOURCE, ()) if name in self.catalogue]
        names = request.pinned.get(SOURCE, tuple(shown))
        after = before.showing([name for name in names if name in self.catalogue]).used(used)
        learned = Used(turn.id, request.query.text, used, request.scope.session) if used else None
        if not turn.error:
            self.sessions.note(request.scope, turn.id, after.flowed(before.names), learned)


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
