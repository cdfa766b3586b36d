"""The chosen values of a JSON text, written as JSON again, with what was left out of each container."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ctxeng.message import well_formed
from ctxeng.tools.clip.json_tree import Fields, Node, written

GONE = "..."  # the name under which a container says what it lacks
_NAMED = 3  # fields that are left out are named up to so many, those that hold more first

Chosen = Mapping[int, str | None]  # a leaf's place in the list: its shortened text, or None for the whole


def show(nodes: Sequence[Node], chosen: Chosen) -> str:
    """JSON of the chosen leaves alone. Records of one form stand as keys and rows where that is shorter."""
    return well_formed(_Tree(nodes, chosen).value(0))


@dataclass(frozen=True)
class _Tree:
    nodes: Sequence[Node]
    chosen: Chosen
    inside: dict[int, list[int]] = field(default_factory=dict)  # of each container: what is kept of it

    def __post_init__(self) -> None:
        for leaf in sorted(self.chosen):
            place = leaf
            while place > 0:
                above = self.nodes[place].parent
                known = self.inside.setdefault(above, [])
                known.append(place)
                if len(known) > 1:
                    break
                place = above

    def value(self, place: int) -> str:
        node = self.nodes[place]
        if node.size < 0:
            short = self.chosen.get(place)
            return written(node.value) if short is None else json.dumps(short, ensure_ascii=False)
        if isinstance(node.value, Fields):
            return self.fields(place)
        return self.array(place)

    def fields(self, place: int) -> str:
        kept = self.inside.get(place, [])
        members = [f"{_quoted(self.nodes[each].name)}:{self.value(each)}" for each in kept]
        gone = self.missing(place)
        return (
            "{" + ",".join([*members, *([f'"{GONE}":{_quoted("left out: " + gone)}'] if gone else [])]) + "}"
        )

    def array(self, place: int) -> str:
        kept, of = self.inside.get(place, []), self.nodes[place].size
        gone = of - len(kept)
        members = [self.value(each) for each in kept]
        mark = [_quoted(f"{GONE} {gone} of {of} left out")] if gone else []
        plain = "[" + ",".join([*members, *mark]) + "]"
        rows = self.rows(place) if len(kept) > 1 else ""
        return rows if rows and len(rows) < len(plain) else plain

    def rows(self, place: int) -> str:
        """An array of records as keys and rows; empty where they are not of one form."""
        kept, of = self.inside[place], self.nodes[place].size
        names = [self.nodes[each].name for each in self.inside.get(kept[0], ())]
        if not all(isinstance(self.nodes[each].value, Fields) and self.inside.get(each) for each in kept):
            return ""
        lacking = self.missing(kept[0])
        for record in kept:
            form = [self.nodes[each].name for each in self.inside[record]]
            if form != names or self.missing(record) != lacking:
                return ""
        lines = ["[" + ",".join(map(self.value, self.inside[record])) + "]" for record in kept]
        gone = [f"{of - len(kept)} of {of} rows"] if of > len(kept) else []
        gone += [f"in each row: {lacking}"] if lacking else []
        mark = f',"{GONE}":{_quoted("left out: " + "; ".join(gone))}' if gone else ""
        return f'{{"keys":[{",".join(map(_quoted, names))}],"rows":[{",".join(lines)}]{mark}}}'

    def missing(self, place: int) -> str:
        """The names of the fields that are left out, or how many they are; empty where none is."""
        kept = {self.nodes[each].place for each in self.inside.get(place, ())}
        names = self.nodes[place].value
        if len(kept) == len(names):
            return ""
        if len(names) - len(kept) > 100:  # noqa: PLR2004 - a map
            return f"{len(names) - len(kept)} of {len(names)} fields"
        gone = sorted(
            (
                (isinstance(value, Fields | list), name)
                for at, (name, value) in enumerate(names)
                if at not in kept
            ),
            key=lambda each: not each[0],
        )
        more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        return ", ".join(name[:40] for _, name in gone[:_NAMED]) + more


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
