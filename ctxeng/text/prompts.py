"""The prompts: text files beside the code that a user can put their own in place of."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from ctxeng.errors import BadInput, UnknownName


@dataclass(frozen=True)
class Prompts:
    """Prompt templates by name; a file of the same name in `folder` stands in for ours."""

    folder: Path | None = None

    def fill(self, name: str, **values: str) -> str:  # the placeholders of a template are its own
        """The prompt with its `$placeholders` filled in, in one pass. Raises BadInput for an unknown one."""
        try:
            # what is filled in is data: it cannot close the frame it stands in
            inert = {key: value.replace("</", "<\\/") for key, value in values.items()}
            return Template(self.text(name)).substitute(inert)
        except (KeyError, ValueError) as error:
            known = ", ".join(f"${key}" for key in values)
            raise BadInput(f"prompt {name}.md: placeholder {error} is not one of {known}") from error

    def text(self, name: str) -> str:
        """The template as it is written. Raises UnknownName."""
        own = self.folder / f"{name}.md" if self.folder else None
        if own is not None and own.is_file():
            return own.read_text(encoding="utf-8")
        file = resources.files("ctxeng.prompts").joinpath(f"{name}.md")
        if not file.is_file():
            known = [
                f.name.removesuffix(".md")
                for f in resources.files("ctxeng.prompts").iterdir()
                if f.name.endswith(".md")
            ]
            raise UnknownName("prompt", name, known)
        return file.read_text(encoding="utf-8").rstrip()
