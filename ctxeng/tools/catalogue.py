"""All tools there are: they come and go, one by one or by server, and are found by words and meaning."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.tools.words import full_text, name_text
from ctxeng.turn import Tool

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 64  # characters of a name that every provider takes

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """How well N tools answer Q questions."""

    tools: tuple[str, ...]  # N names
    servers: NDArray[np.int64]  # (N,) the server each is of, 0 to S - 1
    words: Floats  # (Q, N) BM25 of all that is said of a tool
    names: Floats  # (Q, N) BM25 of its name and its server's alone
    meaning: Floats  # (Q, N) cosines; zeros where there is no encoder
    asked: Floats | None  # (Q, D) the questions' vectors
    matrix: Floats  # (N, D) the tools'; D is 0 where there is no encoder


@dataclass
class Catalogue:
    """Tools by the name under which a model sees them.

    That is the tool's own name, made fit for providers; where another server has that name already, the
    server's comes before it (`github__search`), so that a server which joins later can never take a name
    over. Adding or removing takes under a millisecond; vectors are made when they are first asked for.
    Safe with several threads.
    """

    encoder: TextEncoder | None = None
    version: int = field(default=0, init=False)  # changes with every addition and removal
    _tools: dict[str, Tool] = field(default_factory=dict, init=False, repr=False)
    _own: dict[str, str] = field(default_factory=dict, init=False, repr=False)  # name -> the server's own
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
        if name not in self._tools:
            raise UnknownName("tool", name, list(self._tools)[:10])
        return self._tools[name]

    def own_name(self, name: str) -> str:
        """What the tool's server calls it. Raises UnknownName."""
        return self._own[self[name].name]

    def servers(self) -> dict[str, tuple[str, ...]]:
        """Every server and its tools' names."""
        found: dict[str, tuple[str, ...]] = {}
        for tool in self:
            found[tool.server] = (*found.get(tool.server, ()), tool.name)
        return found

    def add(self, tools: Sequence[Tool]) -> tuple[str, ...]:
        """Take these in and return their names here; what a server has already is replaced.

        Raises BadInput for a tool without a name.
        """
        with self._lock:
            here = {(tool.server, self._own[name]): name for name, tool in self._tools.items()}
            texts: dict[str, Tool] = {}
            for tool in tools:
                if not tool.name.strip():
                    raise BadInput(f"a tool of server {tool.server!r} has no name")
                name = here.get((tool.server, tool.name)) or self._free(tool)
                here[tool.server, tool.name] = name
                self._own[name] = tool.name
                self._tools[name] = texts[name] = tool.model_copy(update={"name": name})
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
                self._own.pop(name, None)
            self._full.remove(names)
            self._names.remove(names)
            self._changed()

    def put_server(self, server: str, tools: Sequence[Tool]) -> None:
        """Let this server have exactly these tools; others of its go, those that stay keep their names."""
        with self._lock:
            kept = {tool.name for tool in tools}
            gone = [
                name
                for name, tool in self._tools.items()
                if tool.server == server and self._own[name] not in kept
            ]
            self.remove(gone)
            known = {self._own[name]: tool for name, tool in self._tools.items() if tool.server == server}
            here = [tool.model_copy(update={"server": server}) for tool in tools]
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
            meaning = np.zeros_like(words) if asked is None else asked @ arrays.matrix.T
            return Scores(arrays.names, arrays.servers, words, names, meaning, asked, arrays.matrix)

    def _laid_out(self) -> _Arrays:
        names = tuple(self._tools)
        codes: dict[str, int] = {}
        servers = [codes.setdefault(tool.server, len(codes)) for tool in self._tools.values()]
        matrix: Floats = np.zeros((len(names), 0), dtype=np.float32)
        if self.encoder is not None and names:
            texts = [full_text(tool) for tool in self._tools.values()]
            missing = [text for text in texts if text not in self._vectors]
            self._vectors.update(zip(missing, self.encoder.embed(missing), strict=True))
            self._vectors = {text: self._vectors[text] for text in texts}
            matrix = np.stack([self._vectors[text] for text in texts])
        self._arrays = _Arrays(names, np.array(servers, dtype=np.int64), self._full.slots(names), matrix)
        return self._arrays

    def _free(self, tool: Tool) -> str:
        """The first name for this tool that nobody has."""
        plain = _fit(tool.name)
        prefixed = _fit(f"{tool.server}__{tool.name}") if tool.server else plain
        numbered = (_fit(f"{prefixed[: _LONGEST - 6]}__{number}") for number in range(2, 10_000))
        for name in (plain, prefixed, *numbered):
            if name not in self._tools:
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
    matrix: Floats  # (N, D) vectors; D is 0 where there is no encoder


def _fit(name: str) -> str:
    return _UNFIT.sub("_", name).strip("_")[:_LONGEST] or "tool"


def _same(tool: Tool, known: Tool | None) -> bool:
    return known is not None and tool.model_copy(update={"name": known.name}) == known
