"""What a file is, by its name."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from ctxeng.chunks.documents.document import Kind

Format = Kind | Literal["html", "pdf", "lines"]

_SUFFIXES: dict[Format, str] = {
    "markdown": "md markdown mdown mkd qmd",
    "text": "txt text rst log csv tsv org adoc asciidoc tex srt vtt",
    "html": "html htm xhtml",
    "pdf": "pdf",
    "lines": "jsonl ndjson",
    "python": "py pyi",
    "code": "c h cc cpp cxx hpp hh cs java kt kts scala groovy go rs swift m mm js mjs cjs jsx ts tsx vue "
    "svelte php rb pl pm lua r jl hs ml ex exs erl clj dart zig nim sh bash zsh fish ps1 sql proto graphql "
    "css scss less json yaml yml toml ini cfg conf xml tf nix cmake gradle",
}
_NAMES: dict[Format, str] = {
    "text": "readme license licence copying notice authors changelog changes news todo contributing",
    "code": "makefile dockerfile rakefile gemfile jenkinsfile procfile",
}
_BY_SUFFIX = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def format_of(name: str) -> Format | None:
    """What the file holds, told by its suffix or a name such as `Makefile`; None where neither is known."""
    path = PurePath(name.lower())
    return _BY_SUFFIX.get(path.suffix[1:]) if path.suffix else _BY_NAME.get(path.name)
