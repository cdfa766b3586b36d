"""The house rules: who may import whom, how long files and functions get, and that importing stays light."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "ctxeng": ROOT / "ctxeng",
    "ctxeng_kernels": ROOT / "kernels" / "ctxeng_kernels",
    "ctxeng_evals": ROOT / "evals" / "ctxeng_evals",
    "ctxeng_integrations": ROOT / "integrations" / "ctxeng_integrations",
}
FILES = sorted(file for folder in PACKAGES.values() for file in folder.rglob("*.py"))

# the design's section 4, from the ground up; the longest matching name counts
LAYERS = {
    "ctxeng": 0,
    "ctxeng.message": 0,
    "ctxeng.feedback": 0,
    "ctxeng.turn": 0,
    "ctxeng.ask": 0,
    "ctxeng.errors": 0,
    "ctxeng.extras": 0,
    "ctxeng.protocols": 1,
    "ctxeng.budget": 1,
    "ctxeng.tokens": 1,
    "ctxeng.retrieval": 2,
    "ctxeng.search": 2,
    "ctxeng.text": 2,
    "ctxeng.prompts": 2,
    "ctxeng.storage": 2,
    "ctxeng.playbook": 3,
    "ctxeng.memory": 3,
    "ctxeng.chunks": 3,
    "ctxeng.tools": 3,
    "ctxeng_kernels": 0,
    "ctxeng.kv": 3,
    "ctxeng.runtime": 3,
    "ctxeng.runtime.local": 4,
    "ctxeng.runtime.box": 4,
    "ctxeng.runtime.server": 4,
    "ctxeng.assemble": 4,
    "ctxeng.render": 4,
    "ctxeng.judge": 4,
    "ctxeng.learn": 4,
    "ctxeng.train": 4,
    "ctxeng.record": 4,
    "ctxeng.tasks": 4,
    "ctxeng.models": 4,
    "ctxeng.steps": 5,
    "ctxeng.turn_graph": 5,
    "ctxeng.turn_run": 5,
    "ctxeng.learn_run": 5,
    "ctxeng.learn_graph": 5,
    "ctxeng.orchestrator": 5,
    "ctxeng.settings_schema": 5,
    "ctxeng.settings_tool_schema": 5,
    "ctxeng.settings_tools": 5,
    "ctxeng.settings_types": 5,
    "ctxeng.settings_checks": 5,
    "ctxeng.settings_preferences": 5,
    "ctxeng.settings_memory": 5,
    "ctxeng.settings_memory_schema": 5,
    "ctxeng.forgetting": 5,
    "ctxeng.preferences": 4,
    "ctxeng.settings_models": 5,
    "ctxeng.settings_local": 5,
    "ctxeng.settings_chunks": 5,
    "ctxeng.settings": 5,
    "ctxeng.cli": 6,
    "ctxeng_evals": 6,
    "ctxeng_integrations": 6,
}
SIBLINGS = ("ctxeng.playbook", "ctxeng.memory", "ctxeng.chunks", "ctxeng.tools")
HEAVY = (
    "torch",
    "langgraph",
    "litellm",
    "chromadb",
    "sentence_transformers",
    "transformers",
    "numpy",
    "pydantic_settings",
)


def module_name(file):
    for package, folder in PACKAGES.items():
        if file.is_relative_to(folder):
            parts = file.relative_to(folder).with_suffix("").parts
            return ".".join((package, *(part for part in parts if part != "__init__")))
    raise AssertionError(file)


def layer(name):
    best = max((known for known in LAYERS if name == known or name.startswith(f"{known}.")), key=len)
    assert best != "ctxeng" or name == "ctxeng", f"{name} has no layer: give it one in tests/test_house.py"
    return LAYERS[best]


def imports(tree):
    """Modules imported at run time, anywhere in the file; type-only imports load nothing."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_down_only(file):
    name = module_name(file)
    for imported in imports(ast.parse(file.read_text())):
        if imported.split(".")[0] not in PACKAGES:
            continue
        assert layer(imported) <= layer(name), f"{name} imports {imported}, which lies above it"
        for sibling in SIBLINGS:
            mine = next((s for s in SIBLINGS if name.startswith(s)), "")
            assert not (mine and imported.startswith(sibling) and sibling != mine), (
                f"{name} imports its sibling {imported}"
            )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_langgraph_is_imported_by_the_graphs_only(file):
    allowed = (
        "ctxeng.orchestrator",
        "ctxeng.turn_graph",
        "ctxeng.learn_graph",
        "ctxeng.learn_run",
        "ctxeng_integrations",
        "ctxeng_evals",
    )
    uses = any(name.split(".")[0] == "langgraph" for name in imports(ast.parse(file.read_text())))
    assert not uses or module_name(file).startswith(allowed)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_stay_short(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} is too long"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence(file):
    docstring = ast.get_docstring(ast.parse(file.read_text()))
    assert docstring
    assert docstring.split("\n")[0].endswith((".", ":"))


def test_the_median_file_is_small():
    lengths = [len(file.read_text().splitlines()) for file in FILES if file.name != "__init__.py"]
    assert statistics.median(lengths) <= 130


def test_names_of_other_people_are_not_taken():
    for folder in ("kernels", "evals", "integrations", "playbooks", "tests", "examples"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_importing_the_package_loads_nothing_heavy():
    script = (
        "import sys, time; start = time.perf_counter(); import ctxeng, ctxeng.turn, ctxeng.protocols;"
        f"print(time.perf_counter() - start, [name for name in {HEAVY} if name in sys.modules])"
    )
    seconds, heavy = min(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.split(" ", 1)
        for _ in range(3)
    )
    assert heavy.strip() == "[]"
    assert (
        float(seconds) < 2
    )  # the claim of 0.3 s is measured by `ctxeng bench`; this only catches a heavy import
