"""What a model makes of an edit, and of two notes about the same preference; its words become one line."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.playbook.learners.onbox import printable
from ctxeng.playbook.learners.preference_forms import INFERENCE
from ctxeng.protocols import ModelRole, Models
from ctxeng.text.prompts import Prompts
from ctxeng.text.replies import Unrepaired, ask_clipped
from ctxeng.turn import Usage, add_usage

_MOST = 400  # characters of a preference


@dataclass
class PreferenceAsk:
    """Asks for one proposal's preferences, and keeps what that cost and what went wrong."""

    models: Models
    prompts: Prompts
    reply: int
    usage: dict[str, Usage] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def infer(self, request: str, draft: str, edit: str, known: str) -> str:
        """The preference that an edit shows; "" for none, or where the reply cannot be used."""
        text = self.prompts.fill("preference", request=request, draft=draft, edit=edit, known=known)
        return self._ask("reflect", text)

    def fold(self, request: str, older: str, newer: str) -> str:
        """Both notes as one, the newer above the older; the older one where the reply cannot be used."""
        text = self.prompts.fill("preference_fold", request=request, older=older, newer=newer)
        return self._ask("reflect", text) or older

    def _ask(self, role: ModelRole, text: str) -> str:
        try:
            found, usage = ask_clipped(self.models.role(role), text, self.reply, INFERENCE, role)
        except Unrepaired as error:
            self.failures.append(f"preference: {error}")
            self.usage = add_usage(self.usage, {role: error.usage})
            return ""
        self.usage = add_usage(self.usage, {role: usage})
        return " ".join(printable(found.preference).split())[:_MOST].strip()
