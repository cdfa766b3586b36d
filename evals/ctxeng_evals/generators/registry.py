"""Generators by name, with parameters that are checked before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import get_type_hints

from pydantic import JsonValue, TypeAdapter, ValidationError

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.case import Dataset, Generator
from ctxeng_evals.generators.aggregation import Aggregation
from ctxeng_evals.generators.dialogue import Dialogue
from ctxeng_evals.generators.exam import Exam
from ctxeng_evals.generators.family import Family
from ctxeng_evals.generators.induction import Induction
from ctxeng_evals.generators.kv import KeyValues
from ctxeng_evals.generators.needles import Needles
from ctxeng_evals.generators.rules import Rules
from ctxeng_evals.generators.sessions import Sessions
from ctxeng_evals.generators.threads import Threads
from ctxeng_evals.generators.toolzoo import ToolZoo
from ctxeng_evals.generators.tracking import Tracking

GENERATORS: Mapping[str, type[Family]] = {
    "needles": Needles,
    "tracking": Tracking,
    "aggregation": Aggregation,
    "kv": KeyValues,
    "threads": Threads,
    "exam": Exam,
    "induction": Induction,
    "sessions": Sessions,
    "toolzoo": ToolZoo,
    "rules": Rules,
    "dialogue": Dialogue,
}


def made(name: str, parameters: Mapping[str, JsonValue]) -> tuple[Generator, Dataset]:
    """The generator of a family, and its dataset, named for the family and the parameters given.

    Raises UnknownName for an unknown family, and BadInput for a parameter that the family has not, that is
    of another type, or whose value the family refuses.
    """
    if name not in GENERATORS:
        raise UnknownName("family of cases", name, list(GENERATORS))
    family = GENERATORS[name]
    build: Callable[..., Family] = family
    known = [field.name for field in fields(family)]
    types = get_type_hints(family)
    checked = {}
    for key, value in parameters.items():
        if key not in known:
            raise BadInput(f"the family {name} has no parameter {key!r}; known: {', '.join(known)}")
        try:
            checked[key] = TypeAdapter(types[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise BadInput(
                f"the family {name} cannot take {value!r} as {key} ({error.errors()[0]['msg']}); "
                f"known: {', '.join(known)}"
            ) from error
    try:
        generator = build(**checked)
    except ValueError as error:
        raise BadInput(f"the family {name} cannot be made: {error}; known: {', '.join(known)}") from error
    given = ",".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return generator, Dataset(f"{name}:{given}" if given else name, generator.cases())
