"""Results of tools within an allowance, and the tool by which the model reads what was left out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from ctxeng.errors import BadInput, UnknownName
from ctxeng.protocols import Runner
from ctxeng.tools.clip.aside import Aside
from ctxeng.tools.clip.clipper import Clipper
from ctxeng.tools.clip.fit import size
from ctxeng.tools.clip.marks import page_line, unforged
from ctxeng.tools.clip.read import Reading
from ctxeng.turn import Call, Result, Scope, Tool

READ = "read_result"
READ_RESULT = Tool(
    name=READ,
    description=(
        "Read more of a result that was cut. Give the ref from its last line, and either a query (words of "
        "what you look for) or the character to start from. Without both it begins at the start."
    ),
    parameters={
        "type": "object",
        "properties": {
            "ref": {"type": "string", "description": "as the last line of the result has it"},
            "query": {"type": "string", "description": "what you look for in it"},
            "start": {"type": "integer", "minimum": 0, "description": "the character to read on from"},
        },
        "required": ["ref"],
        "additionalProperties": False,
    },
)


def asked_by(call: Call) -> str:
    """What a call itself says of what it wants: its name and arguments."""
    return f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}"


@dataclass(frozen=True)
class ClippedRunner:
    """A runner whose results are within the clipper's allowance; the full texts are kept aside by scope.

    A result that is cut ends with a line that names a short reference; the model reads the rest by
    `read_result`, which this runner answers itself: offer it `tools` too. `query` says what a call is after,
    for example its arguments and what the user asked last. A reference holds in the scope that got it and in
    no other. Errors are cut as well. Raises BadInput where the allowance does not hold the lines alone.
    """

    runner: Runner
    clipper: Clipper
    aside: Aside = field(default_factory=Aside)
    query: Callable[[Call], str] = asked_by

    def __post_init__(self) -> None:
        least = self.clipper.count.count(page_line(READ, "0" * 16, 10**9, 10**9, 10**10)) + 32
        if self.clipper.tokens < least:
            raise BadInput(
                f"an allowance of {self.clipper.tokens} tokens holds no result; give {least} or more"
            )

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is offered beside the wrapped runner's tools."""
        return (READ_RESULT,)

    def run(self, call: Call, scope: Scope) -> Result:
        """The call's result, cut to the allowance; of `read_result`, a page or what was found."""
        return (
            self._read(call, scope)
            if call.name == READ
            else self._cut(call, scope, self.runner.run(call, scope))
        )

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited; a long text is clipped in a worker thread."""
        if call.name == READ:
            return await asyncio.to_thread(self._read, call, scope)
        return await asyncio.to_thread(self._cut, call, scope, await self.runner.arun(call, scope))

    def _cut(self, call: Call, scope: Scope, result: Result) -> Result:
        allowed, counter = self.clipper.tokens, self.clipper.count
        shown = unforged(result.text)
        if size(shown, counter, allowed) > allowed:
            ref = self.aside.put(result.text, scope)
            shown = self._reading.clipped(result.text, ref, self.query(call))
        return result.model_copy(update={"text": shown})

    def _read(self, call: Call, scope: Scope) -> Result:
        try:
            ref, query, start = _asked(call)
            text = self.aside.get(ref, scope)
        except UnknownName:
            return self._failed(
                call, "no result here has that reference; it stands on the last line of a cut one"
            )
        except BadInput as error:
            return self._failed(call, str(error))
        if query:
            return Result(call_id=call.id, text=self._reading.searched(text, ref, query))
        if start >= max(len(text), 1):
            return self._failed(call, f"the result has {len(text)} characters; give a start below that")
        return Result(call_id=call.id, text=self._reading.page(text, ref, start))

    def _failed(self, call: Call, why: str) -> Result:
        return Result(call_id=call.id, text=self.clipper.clip(why).text, is_error=True)

    @property
    def _reading(self) -> Reading:
        return Reading(self.clipper, READ)


def _asked(call: Call) -> tuple[str, str, int]:
    """Reference, query and start of a call of `read_result`; BadInput says what is wrong with them."""
    if call.malformed:
        raise BadInput("the arguments are not valid JSON")
    given: Mapping[str, JsonValue] = call.arguments
    ref, query, start = given.get("ref"), given.get("query") or "", given.get("start") or 0
    if not isinstance(ref, str) or not isinstance(query, str):
        raise BadInput("`ref` is needed, and `ref` and `query` are strings")
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise BadInput("`start` is a character's number, 0 or more")
    return ref.strip(), query, start
