"""What the runs of a rendered prompt are: system, playbook, tools, documents, history, the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ctxeng.runtime.chat import Rendered, encode_piece
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.tokenizer import Tokenizer

_HOMES: Mapping[str, str] = {"playbook": "system", "chunk": "query"}  # whose words a marked text stands among


@dataclass(frozen=True)
class Mark:
    """A text of a kind of its own within a message; `parallel`: to be read beside those next to it."""

    kind: str
    text: str
    parallel: bool = False


@dataclass(frozen=True)
class Typing:
    """Cuts rendered runs into typed parts. A mark is looked for where its kind belongs, and nowhere else.

    `tools` are the names that stand in the prompt; a run of the template's own that holds all of them is the
    tools' part.
    """

    tokenizer: Tokenizer
    roles: Sequence[str]
    marks: Sequence[Mark] = ()
    tools: Sequence[str] = ()

    def prompt(self, runs: Sequence[Rendered]) -> Prompt:
        """The prompt in parts; where texts to be read side by side were not found, its notes say so."""
        parts = [part for run in runs for part in self.parts(run)]
        while parts and not parts[-1].ids:
            parts.pop()
        if parts and parts[-1].parallel:
            parts[-1] = Part(parts[-1].kind, parts[-1].ids)
        lost = sum(m.parallel for m in self.marks) - sum(part.parallel for part in parts)
        said = f"{lost} parts are read in order: the chat template's text does not show where they are"
        return Prompt(tuple(parts), (said,) if lost > 0 else ())

    def parts(self, run: Rendered) -> list[Part]:
        """One run in parts; what is nobody's mark is of the kind of the run."""
        kind = self.kind(run)
        marks = [m for m in self.marks if _HOMES.get(m.kind) == kind]
        if run.glue or not marks:
            return [Part(kind, tuple(encode_piece(run, self.tokenizer)))]
        found: list[Mark] = []
        at = 0
        for mark in marks:
            start = run.text.find(mark.text, at)
            if start < 0:
                continue
            between = run.text[at:start]
            if found and not mark.parallel and found[-1].kind == mark.kind and not between.strip():
                found[-1] = Mark(mark.kind, found[-1].text + between + mark.text)
                at = start + len(mark.text)
                continue
            if between.strip() or not found:
                found.append(Mark(kind, between))
            # one line break behind a part belongs to it, so that nothing stands between two of them
            end = start + len(mark.text)
            end += mark.parallel and run.text[end : end + 1] == "\n"
            found.append(Mark(mark.kind, run.text[start:end], mark.parallel))
            at = end
        found.append(Mark(kind, run.text[at:]))
        return [Part(m.kind, tuple(self.tokenizer.encode(m.text)), m.parallel) for m in found if m.text]

    def kind(self, run: Rendered) -> str:
        """What a run is as a whole."""
        if run.glue:
            held = self.tools and all(name in run.text for name in self.tools)
            return "tool" if held else "glue"
        role = self.roles[run.source]
        return "system" if role == "system" else "query" if run.source >= self._last >= 0 else "history"

    @cached_property
    def _last(self) -> int:
        """The number of the user's last message; -1: there is none."""
        return max((n for n, role in enumerate(self.roles) if role == "user"), default=-1)


def names_of(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of tools in OpenAI's format."""
    return [str(tool.get("function", tool).get("name", "")) for tool in tools]
