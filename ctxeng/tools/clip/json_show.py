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

    made: dict[int, str] = field(default_factory=dict)  # of each value: its JSON

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
        """The value as JSON, written once however often it is asked for."""
        if place not in self.made:
            node = self.nodes[place]
            if node.size < 0:
                short = self.chosen.get(place)
                self.made[place] = written(node.value) if short is None else _quoted(short)
            elif isinstance(node.value, Fields):
                self.made[place] = self.fields(place)
            else:
                self.made[place] = self.array(place)
        return self.made[place]

    def fields(self, place: int) -> str:
        """An object. Of several in one array the array tells what they lack, once."""
        members = [f"{_quoted(self.nodes[each].name)}:{self.value(each)}" for each in self.kept(place)]
        above = self.nodes[place].parent
        told = above >= 0 and not self.nodes[place].name and len(self.kept(above)) > 1
        gone = "" if told else _listed(self.absent(place))
        mark = [f'"{GONE}":{_quoted("left out: " + gone)}'] if gone else []
        return "{" + ",".join([*members, *mark]) + "}"

    def array(self, place: int) -> str:
        """An array, as keys and rows where that is shorter; what is left out stands last."""
        kept, of = self.kept(place), self.nodes[place].size
        gone = of - len(kept)
        said = [f"{gone} of {of} left out"] if gone else []
        lacking = list(dict.fromkeys(each for record in kept for each in self.absent(record)))
        if len(kept) > 1 and lacking:
            said.append(f"left out of some: {_listed(lacking)}")
        mark = [_quoted(f"{GONE} {'; '.join(said)}")] if said else []
        plain = "[" + ",".join([*map(self.value, kept), *mark]) + "]"
        rows = self.rows(kept, of, lacking) if len(kept) > 1 else ""
        return rows if rows and len(rows) < len(plain) else plain

    def rows(self, kept: Sequence[int], of: int, lacking: Sequence[tuple[bool, str]]) -> str:
        """Records as keys and rows; empty where they are not of one form."""
        forms = {tuple(self.nodes[each].name for each in self.kept(record)) for record in kept}
        whole = {len(self.absent(record)) for record in kept}
        if len(forms) > 1 or not all(isinstance(self.nodes[each].value, Fields) for each in kept):
            return ""
        names = next(iter(forms))
        if not names or len(set(names)) < len(names) or whole != {len(lacking)}:
            return ""
        lines = ["[" + ",".join(map(self.value, self.kept(record))) + "]" for record in kept]
        gone = [f"{of - len(kept)} of {of} rows"] if of > len(kept) else []
        gone += [f"of each row: {_listed(lacking)}"] if lacking else []
        mark = f',"{GONE}":{_quoted("left out: " + "; ".join(gone))}' if gone else ""
        return f'{{"keys":[{",".join(map(_quoted, names))}],"rows":[{",".join(lines)}]{mark}}}'

    def kept(self, place: int) -> Sequence[int]:
        return self.inside.get(place, ())

    def absent(self, place: int) -> list[tuple[bool, str]]:
        """The fields of an object that are left out: whether they hold more, and their names."""
        held = self.nodes[place].value
        if not isinstance(held, Fields) or len(self.kept(place)) == len(held):
            return []
        kept = {self.nodes[each].place for each in self.kept(place)}
        return [(isinstance(v, Fields | list), name) for at, (name, v) in enumerate(held) if at not in kept]


def _listed(fields: Sequence[tuple[bool, str]]) -> str:
    """A few of their names, those that hold more first, and how many others there are."""
    names = [name[:40] for _, name in sorted(fields, key=lambda each: not each[0])[:_NAMED]]
    more = len(fields) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
