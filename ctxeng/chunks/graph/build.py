"""A graph while it is put together: equal names become one entity, equal statements one with all sources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ctxeng.chunks.graph.graph import Edge, Entity, Graph, Statement
from ctxeng.chunks.graph.names import key_of
from ctxeng.turn import Trust, least_trust

_DIGITS = 12  # of an id: two of a million statements meet with a chance of one in 500


@dataclass
class _Said:
    """A statement and what is known of it so far."""

    id: str
    text: str
    title: str
    trust: Trust
    sources: dict[str, None] = field(default_factory=dict)


@dataclass
class Builder:
    """Entities, statements and edges, added one by one; places count from 0."""

    _entities: dict[str, int] = field(default_factory=dict)  # by key
    _spellings: list[dict[str, None]] = field(default_factory=list)
    _statements: dict[str, int] = field(default_factory=dict)  # by id
    _said: list[_Said] = field(default_factory=list)
    _edges: dict[Edge, None] = field(default_factory=dict)

    def entity(self, name: str) -> int:
        """The place of the entity of this name: case, plural, accents and punctuation do not matter."""
        key = key_of(name) or name
        place = self._entities.setdefault(key, len(self._spellings))
        if place == len(self._spellings):
            self._spellings.append({})
        self._spellings[place][name] = None
        return place

    def statement(self, text: str, source: str, trust: Trust, title: str = "", says: str = "") -> int:
        """The place of the statement; one that is known gets the source as a further one.

        `says` is what makes two statements the same, their words where it is empty.
        """
        digest = hashlib.sha256(f"{title}\n{says or text}".encode("utf-8", "replace")).hexdigest()
        name = f"fact-{digest[:_DIGITS]}"
        place = self._statements.setdefault(name, len(self._said))
        if place == len(self._said):
            self._said.append(_Said(name, text, title, trust))
        said = self._said[place]
        said.trust = least_trust(said.trust, trust)
        if source:
            said.sources[source] = None
        return place

    def edge(self, subject: int, relation: str, other: int, statement: int) -> None:
        """Note that the statement joins these two; once is enough."""
        self._edges[Edge(subject, relation, other, statement)] = None

    def graph(self) -> Graph:
        """The graph as it is now. An entity is called by the spelling that came first."""
        entities = tuple(Entity(name, tuple(others)) for name, *others in self._spellings)
        statements = tuple(
            Statement(said.id, said.text, tuple(said.sources), said.title, said.trust) for said in self._said
        )
        return Graph(entities, statements, tuple(self._edges))
