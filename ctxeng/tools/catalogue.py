"""All tools there are: they come and go, one by one or by server, and are found by words and meaning."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import well_formed
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.tools.manage import CALL, REMOVE, SEARCH
from ctxeng.tools.words import full_text, name_text, short_text
from ctxeng.turn import Tool

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 64  # characters of a name that every provider takes
_MANAGING = (SEARCH, REMOVE, CALL)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """How well N tools answer Q questions."""

    tools: tuple[str, ...]  # N names
    servers: NDArray[np.int64]  # (N,) the server each is of, 0 to S - 1
    words: Floats  # (Q, N) BM25 of all that is said of a tool
    names: Floats  # (Q, N) BM25 of its name and its server's alone
    meaning: Floats  # (Q, N) cosines, with or without parameters; zeros where there is no encoder
    asked: Floats | None  # (Q, D) the questions' vectors
    matrix: Floats  # (N, D) the tools'; D is 0 where there is no encoder


@dataclass
class Catalogue:
    """Tools by the name under which a model sees them.

    That is the tool's own name, made fit for providers; where another server has or had that name, where it
    is `reserved` for the app's own tools or is a managing tool's, the server's comes before it
    (`github__search`): a server which joins later can never take a name over. Adding or removing takes under
    a millisecond; vectors are made when they are first asked for. Safe with several threads.
    """

    encoder: TextEncoder | None = None
    reserved: frozenset[str] = frozenset()
    version: int = field(default=0, init=False)  # changes with every addition and removal
    _tools: dict[str, Tool] = field(default_factory=dict, init=False, repr=False)
    # name -> server and its own name, also of tools that are gone: a call of one may still be open
    _given: dict[str, tuple[str, str]] = field(default_factory=dict, init=False, repr=False)
    _names_of: dict[tuple[str, str], str] = field(default_factory=dict, init=False, repr=False)
    _full: InvertedIndex = field(default_factory=InvertedIndex, init=False, repr=False)
    _names: InvertedIndex = field(default_factory=InvertedIndex, init=False, repr=False)
    _vectors: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)  # by text
    _arrays: _Arrays | None = field(default=None, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        """The tools, in order of arrival, under the names of the catalogue."""
        return iter(list(self._tools.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool:
        tool = self._tools.get(name)
        if tool is None:
            raise UnknownName("tool", name, list(self._tools)[:10])
        return tool

    def get(self, name: str) -> Tool | None:
        """The tool of this name, if there is one at this moment."""
        return self._tools.get(name)

    def own_name(self, name: str) -> str:
        """What the tool's server calls it. Raises UnknownName."""
        return self._given[self[name].name][1]

    def servers(self) -> dict[str, tuple[str, ...]]:
        """Every server and its tools' names."""
        found: dict[str, list[str]] = {}
        for tool in self:
            found.setdefault(tool.server, []).append(tool.name)
        return {server: tuple(names) for server, names in found.items()}

    def add(self, tools: Sequence[Tool]) -> tuple[str, ...]:
        """Take these in and return their names here; what a server has already is replaced.

        Raises BadInput for a tool without a name.
        """
        with self._lock:
            texts: dict[str, Tool] = {}
            for tool in _named(tools):
                name = self._name(tool)
                self._tools[name] = texts[name] = _valid(tool, name)
            if not texts:
                return ()
            self._full.add({name: full_text(tool) for name, tool in texts.items()})
            self._names.add({name: name_text(tool) for name, tool in texts.items()})
            self._changed()
            return tuple(texts)

    def remove(self, names: Sequence[str]) -> None:
        """Let these go. Raises UnknownName, and removes none then."""
        with self._lock:
            for name in names:
                self[name]
            for name in names:
                self._tools.pop(name, None)
            if names:
                self._full.remove(names)
                self._names.remove(names)
                self._changed()

    def put_server(self, server: str, tools: Sequence[Tool]) -> None:
        """Let this server have exactly these tools; others of its go, those that stay keep their names.

        Raises BadInput for a tool without a name, and changes nothing then.
        """
        with self._lock:
            here = _named([tool.model_copy(update={"server": server}) for tool in tools])
            kept = {tool.name for tool in here}
            known = {self.own_name(name): self[name] for name in self.servers().get(server, ())}
            self.remove([tool.name for own, tool in known.items() if own not in kept])
            self.add([tool for tool in here if not _same(tool, known.get(tool.name))])

    def remove_server(self, server: str) -> None:
        """Let a server go with all its tools. Raises UnknownName."""
        with self._lock:
            servers = self.servers()
            if server not in servers:
                raise UnknownName("server", server, list(servers))
            self.remove(servers[server])

    def scores(self, questions: Sequence[str]) -> Scores:
        """How well each tool answers each question, by words, by name and by meaning."""
        asked = None if self.encoder is None else self.encoder.embed(questions)
        with self._lock:
            arrays = self._arrays or self._laid_out()
            words, names = (
                np.stack([index.scores(question)[arrays.slots] for question in questions])
                for index in (self._full, self._names)
            )
            meaning = np.zeros_like(words)
            if asked is not None and arrays.names:
                meaning = np.maximum(asked @ arrays.matrix.T, asked @ arrays.shorts.T)
            return Scores(arrays.names, arrays.servers, words, names, meaning, asked, arrays.matrix)

    def _laid_out(self) -> _Arrays:
        names = tuple(self._tools)
        codes: dict[str, int] = {}
        servers = [codes.setdefault(tool.server, len(codes)) for tool in self._tools.values()]
        matrix: Floats = np.zeros((len(names), 0), dtype=np.float32)  # D is known once there is a tool
        shorts = matrix
        if self.encoder is not None and names:
            texts = [text(tool) for text in (full_text, short_text) for tool in self._tools.values()]
            missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
            self._vectors.update(zip(missing, self.encoder.embed(missing), strict=True))
            self._vectors = {text: self._vectors[text] for text in texts}
            matrix = np.stack([self._vectors[text] for text in texts[: len(names)]])
            shorts = np.stack([self._vectors[text] for text in texts[len(names) :]])
        slots = self._full.slots(names)
        self._arrays = _Arrays(names, np.array(servers, dtype=np.int64), slots, matrix, shorts)
        return self._arrays

    def _name(self, tool: Tool) -> str:
        """The name that this tool has, or had; else the first that nobody has or had."""
        own = tool.server, tool.name
        if own not in self._names_of:
            self._names_of[own] = name = self._free(tool)
            self._given[name] = own
        return self._names_of[own]

    def _free(self, tool: Tool) -> str:
        plain = _fit(tool.name)
        prefixed = _fit(f"{tool.server}__{tool.name}") if tool.server else plain
        numbered = (_fit(f"{prefixed[: _LONGEST - 6]}__{number}") for number in range(2, 10_000))
        for name in chain((plain, prefixed), numbered):
            if name not in self._given and name not in self.reserved and name not in _MANAGING:
                return name
        raise BadInput(f"there are 10,000 tools named {plain!r}")

    def _changed(self) -> None:
        self.version += 1
        self._arrays = None


@dataclass(frozen=True)
class _Arrays:
    """The tools of one version: what scoring needs of them."""

    names: tuple[str, ...]
    servers: NDArray[np.int64]  # (N,) the server each is of, 0 to S - 1
    slots: NDArray[np.int64]  # (N,) where each stands in the scores of both word indexes
    matrix: Floats  # (N, D) vectors of all that is said of each; D is 0 where there is no encoder
    shorts: Floats  # (N, D) of name and description: what long parameters would drown


def _fit(name: str) -> str:
    return _UNFIT.sub("_", name).strip("_")[:_LONGEST] or "tool"


def _named(tools: Sequence[Tool]) -> Sequence[Tool]:
    for tool in tools:
        if not tool.name.strip():
            raise BadInput(f"a tool of server {tool.server!r} has no name")
    return tools


def _valid(tool: Tool, name: str) -> Tool:
    """The tool under this name, halves of surrogate pairs replaced: no log or provider could take them."""
    named = tool.model_copy(update={"name": name})
    try:
        named.model_dump_json()
    except ValueError:
        parameters = json.loads(well_formed(json.dumps(tool.parameters, ensure_ascii=False)))
        return named.model_copy(
            update={"description": well_formed(tool.description), "parameters": parameters}
        )
    return named


def _same(tool: Tool, known: Tool | None) -> bool:
    return known is not None and _valid(tool, known.name) == known
