"""Old results out of the window, their calls kept: Anthropic's context editing, persisted and batched."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.memory.policy import Proposed, Worth
from ctxeng.memory.record import Cleared
from ctxeng.memory.trigger import Condition, Trigger
from ctxeng.memory.view import View


@dataclass(frozen=True)
class ClearToolUses:
    """Replaces the oldest results by a line that names them, all in one edit (`clear_tool_uses_20250919`).

    Where `trigger` fires, all results but the last `keep` go; those of `exclude_tools` stay. Nothing is done
    where that frees less than `clear_at_least` tokens, or where `worth` says that it does not pay for the
    cache it costs. `clear_tool_inputs`: the arguments of those calls go too. Unlike edits of a copy, which
    happen anew at every call, an edit is made once and stays.
    """

    trigger: Trigger = Condition("tokens", 100_000)
    keep: int = 3
    clear_at_least: int = 0
    exclude_tools: tuple[str, ...] = ()
    clear_tool_inputs: bool = False
    worth: Worth | None = None

    def propose(self, view: View) -> Proposed | None:
        """One edit for all results that are old enough; None where the trigger does not fire."""
        if not self.trigger.fires(view):
            return None
        old = self._old(view)
        if not old:
            return None
        edit = Cleared(numbers=tuple(old), inputs=self.clear_tool_inputs)
        change = view.would(edit)
        if change.saved < max(1, self.clear_at_least):
            return None
        return Proposed(edit) if self.worth is None or self.worth.pays(change) else None

    def _old(self, view: View) -> list[int]:
        found = [
            record.number
            for unit in (*view.kept, *view.units)
            for call in unit.calls
            if call.name not in self.exclude_tools
            if (record := unit.results.get(call.id)) is not None
        ]
        return [number for number in found[: len(found) - self.keep] if view.whole(number)]


def actions_only(keep: int = 3, clear_at_least: int = 0, worth: Worth | None = None) -> ClearToolUses:
    """HiconAgent's rule without its training: every action stays, observations but the last `keep` go."""
    return ClearToolUses(Condition("messages", 1), keep, clear_at_least, worth=worth)
