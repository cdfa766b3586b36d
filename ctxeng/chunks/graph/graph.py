"""A graph of entities and of the statements that join them, each with its provenance. Read first."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.errors import BadInput
from ctxeng.turn import Trust


@dataclass(frozen=True)
class Entity:
    """Something that statements are about; `aliases` are the other ways in which it is written."""

    name: str
    aliases: tuple[str, ...] = ()

    @property
    def searchable(self) -> str:
        """What a question is compared with."""
        return ", ".join((self.name, *self.aliases))


@dataclass(frozen=True)
class Statement:
    """A sentence that may stand in a window. `sources` says where it is from: chunk ids, or a file and line.

    `id` follows from what it says, so that it stays the same when the graph is built again.
    """

    id: str
    text: str
    sources: tuple[str, ...] = ()
    title: str = ""
    trust: Trust = "untrusted"

    @property
    def searchable(self) -> str:
        """What a question is compared with: a sentence by itself seldom says what it is about."""
        return f"{self.title}\n{self.text}".strip()


@dataclass(frozen=True)
class Edge:
    """`subject` and `object` are places of entities, `statement` is the place of the sentence that says so.

    One sentence may carry several edges. An edge from an entity to itself is something said of it alone.
    """

    subject: int
    relation: str
    object: int
    statement: int


@dataclass(frozen=True)
class Graph:
    """N entities, M statements and the typed edges that they carry.

    Raises BadInput for an edge to nowhere and for a statement without any edge.
    """

    entities: tuple[Entity, ...] = ()
    statements: tuple[Statement, ...] = ()
    edges: tuple[Edge, ...] = ()
    joins: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)  # (M) its entities
    around: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)  # (N) its statements

    def __post_init__(self) -> None:
        joins: list[dict[int, None]] = [{} for _ in self.statements]
        around: list[dict[int, None]] = [{} for _ in self.entities]
        for place, edge in enumerate(self.edges):
            self._check(place, edge)
            for entity in (edge.subject, edge.object):
                joins[edge.statement][entity] = None
                around[entity][edge.statement] = None
        for statement, entities in zip(self.statements, joins, strict=True):
            if not entities:
                raise BadInput(f"statement {statement.id!r} has no edge: nothing leads to it")
        object.__setattr__(self, "joins", tuple(map(tuple, joins)))
        object.__setattr__(self, "around", tuple(map(tuple, around)))

    def written(self, edge: Edge) -> tuple[str, str, str]:
        """The edge by names: subject, relation, object."""
        return self.entities[edge.subject].name, edge.relation, self.entities[edge.object].name

    def _check(self, place: int, edge: Edge) -> None:
        for what, number, count in (
            ("entity", edge.subject, len(self.entities)),
            ("entity", edge.object, len(self.entities)),
            ("statement", edge.statement, len(self.statements)),
        ):
            if not 0 <= number < count:
                raise BadInput(f"edge {place}: there is no {what} {number}; the graph has {count}")
