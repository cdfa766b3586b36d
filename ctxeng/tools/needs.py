"""Prerequisites: which tool gives the id that another tool asks for, read from names and schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.retrieval.words import terms
from ctxeng.tools.catalogue import Catalogue
from ctxeng.turn import Tool

_ID = re.compile(
    r"^(?P<what>.+?)"
    r"(?:[_\s-](?i:ids?|uuid|key|token|slug|code|symbol|ref)|IDs?|Ids?|Uuid|Key|Token|Slug|Code|Symbol|Ref)$"
)
_FIND = frozenset(terms("search find list lookup query browse all"))
_GET = frozenset(terms("get fetch read show retrieve resolve check"))
_MAKE = frozenset(terms("create add new make start open register login authenticate book place"))


@dataclass(frozen=True)
class Need:
    """A required parameter that holds an identifier, and what of: `playlist_id` is of a playlist."""

    tool: str
    parameter: str
    what: frozenset[str]  # index terms


def needs(tool: Tool) -> Iterator[Need]:
    """The identifiers a call of this tool cannot do without."""
    required = tool.parameters.get("required")
    for name in required if isinstance(required, list) else ():
        found = _ID.match(name) if isinstance(name, str) else None
        if isinstance(name, str) and found is not None:
            what = frozenset(terms(found["what"]))
            if what:
                yield Need(tool.name, name, what)


def producers(need: Need, tools: Sequence[Tool]) -> list[Tool]:
    """Tools that may give what is needed, those that find it before those that make it, simplest first.

    A tool does if its name speaks of the thing with a verb of finding, getting or making, and it does not
    ask for the same identifier itself.
    """
    found = []
    for place, tool in enumerate(tools):
        words = frozenset(terms(tool.name))
        required = tool.parameters.get("required")
        asked = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        verb = next((rank for rank, verbs in enumerate((_FIND, _GET, _MAKE)) if words & verbs), None)
        if tool.name != need.tool and verb is not None and need.what <= words and need.parameter not in asked:
            found.append((verb, len(asked), place, tool))
    return [tool for *_, tool in sorted(found, key=lambda one: one[:3])]


def closed(names: Sequence[str], catalogue: Catalogue, most: int) -> list[str]:
    """The tools with what they need put behind them, at most `most` in all, the first tools' needs first.

    Only tools of the same server are asked, and only the best of them is taken; where one of them is there
    already, nothing is. A tool that came in this way brings its own needs in turn.
    """
    servers = catalogue.servers()
    closed_names = list(names[:most])
    for name in closed_names:  # grows while it is read
        if name not in catalogue or len(closed_names) >= most:
            continue
        tool = catalogue[name]
        siblings = [catalogue[other] for other in servers.get(tool.server, ()) if other in catalogue]
        for need in needs(tool):
            able = [other.name for other in producers(need, siblings)]
            if able and not set(able) & set(closed_names) and len(closed_names) < most:
                closed_names.append(able[0])
    return closed_names
