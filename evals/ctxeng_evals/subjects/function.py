"""Functions as subjects: a user's own `package:function`, and peers from their folder of adapters."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import JsonValue

from ctxeng.errors import BadInput, UnknownName
from ctxeng.settings import function_named
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece, Solver

PEERS = ("peers", "../peers")  # folders of adapters, seen from the suite's


@dataclass(frozen=True)
class FunctionSubject:
    """Calls `function(case, items, **options)`; it returns an Outcome, an answer, or a list of item ids."""

    function: Callable[..., Any]
    options: Mapping[str, JsonValue]
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver over the dataset's cases. Raises BadInput for options the function does not take."""
        _takes(self.function, ["case", "items"], self.options)

        def solve(case: Case) -> Outcome:
            items = dataset.items(case)
            return as_outcome(self.function(case, items, **self.options), items)

        return solve


@dataclass(frozen=True)
class PeerSubject:
    """A peer behind an adapter: a module with `open(dataset, **options)` that gives a solver."""

    module: ModuleType
    options: Mapping[str, JsonValue]
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """The adapter's solver. Raises BadInput for options it does not take."""
        _takes(self.module.open, ["dataset"], self.options)
        solver: Solver = self.module.open(dataset, **self.options)
        return solver


def as_outcome(value: Any, items: Sequence[Item]) -> Outcome:
    """What a function returned: an Outcome as it is, a list of ids as a selection, else an answer."""
    if isinstance(value, Outcome):
        return value
    known = {item.id: item for item in items}
    if isinstance(value, list | tuple) and value and all(each in known for each in value):
        pieces = tuple(Piece(source="function", kind=known[each].kind, ref=each) for each in value)
        return Outcome(selected=tuple(value), window=pieces)
    return Outcome(answer=list(value) if isinstance(value, tuple) else value)


def function_subject(name: str, folder: Path, options: Mapping[str, JsonValue]) -> FunctionSubject:
    """The subject of `package.module:function`; modules beside the suite can be named. Raises UnknownName."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # as `python suite.py` would have it
    return FunctionSubject(function_named(name), options)


def peer_subject(name: str, folder: Path, options: Mapping[str, JsonValue]) -> PeerSubject:
    """The subject behind `peers/<name>.py`. Raises UnknownName, or BadInput where it is not installed."""
    files = {
        file.stem: file
        for place in PEERS
        for file in sorted((folder / place).resolve().glob("*.py"))
        if not file.stem.startswith("_")
    }
    if name not in files:
        raise UnknownName("peer", name, list(files))
    spec = importlib.util.spec_from_file_location(f"ctxeng_peer_{name}", files[name])
    if spec is None or spec.loader is None:
        raise BadInput(f"{files[name]}: cannot be loaded")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        requirements = files[name].with_name("requirements.txt")
        raise BadInput(
            f"peer {name}: {error}; install the peers with: pip install -r {requirements}"
        ) from error
    return PeerSubject(module, options)


def _takes(function: Callable[..., Any], given: Sequence[str], options: Mapping[str, JsonValue]) -> None:
    try:
        inspect.signature(function).bind(*given, **options)
    except TypeError as error:
        raise BadInput(f"{getattr(function, '__name__', function)}: {error}") from error
