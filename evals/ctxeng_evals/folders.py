"""Finding suites by name and runs by folder: what the command line is given becomes a plan."""

from __future__ import annotations

from pathlib import Path

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.plan import Plan
from ctxeng_evals.run import read_header
from ctxeng_evals.suite import Suite, read_suite

_HERE = Path(__file__).parent
# in a checkout the suites stand beside the package, in an installation inside ctxeng's data
SUITES = (_HERE.parent / "suites", _HERE.parent / "ctxeng" / "_data" / "suites")


def shipped() -> dict[str, Path]:
    """The suites that come with the library, by name."""
    return {file.stem: file for folder in reversed(SUITES) for file in sorted(folder.glob("*.yaml"))}


def suite_file(given: str) -> Path:
    """The file of a path or of a shipped suite's name. Raises UnknownName, BadInput."""
    path = Path(given)
    if path.suffix in {".yaml", ".yml"} or path.exists():
        if not path.is_file():
            raise BadInput(f"{path}: no such suite; the shipped ones are {', '.join(shipped()) or 'none'}")
        return path
    if given not in shipped():
        raise UnknownName("suite", given, list(shipped()))
    return shipped()[given]


def plan_of(run: Path) -> Plan:
    """The plan of a run's folder, read from the suite as it was when the run began. Raises BadInput."""
    header = read_header(run)
    return Plan(
        Suite.model_validate(header["suite"]),
        Path(header["folder"]),
        header["limit"],
        header["only"],
        header["columns_like"],
    )


def new_plan(
    given: str, *, limit: int | None = None, only: str = "", columns: str = "*", **changed: object
) -> Plan:
    """The plan of a suite, with fields of it that the command line changes; None changes nothing."""
    path = suite_file(given)
    suite = read_suite(path)
    update = {name: value for name, value in changed.items() if value is not None}
    return Plan(suite.model_copy(update=update), path.resolve().parent, limit, only, columns)
