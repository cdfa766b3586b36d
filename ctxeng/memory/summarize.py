"""Summaries by a model: one call folds the old summary and what is new; where it fails, lines are chosen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ctxeng.errors import Cancelled, ModelError
from ctxeng.memory.summary import Folded, Summarizer
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.text.replies import billed
from ctxeng.tokens import Counter
from ctxeng.turn import Ask, Context, Section, Usage, user

logger = logging.getLogger(__name__)

_SLACK = (
    1.5  # tokens a reply may have, of the room: models count badly, and a cut reply is worse than a long one
)


@dataclass(frozen=True)
class ModelSummarizer:
    """Asks the model of the role `summarize` (SUPO, section 3: goal, facts, attempts, the next step).

    A reply that does not fit the room is asked for once more, shorter; what does not fit then, and what a
    model that fails left undone, `fallback` folds, so that nothing is lost. `failures` counts those.
    """

    models: Models
    prompts: Prompts
    count: Counter
    fallback: Summarizer
    failures: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The model's summary of both, of at most `room` tokens."""
        usage = Usage()
        for limit in (room, room * 2 // 3):
            try:
                said, cost = self._asked(summary, text, limit)
            except Cancelled:
                raise
            except ModelError as error:
                return self._instead(summary, text, room, usage, str(error))
            usage += cost
            if not said:
                return self._instead(summary, text, room, usage, "the reply is empty")
            if self.count.count(said) <= room:
                return Folded(said, usage)
        folded = self.fallback.fold(said, "", room)
        return Folded(folded.text, usage + folded.usage)

    def _asked(self, summary: str, text: str, room: int) -> tuple[str, Usage]:
        words = str(room * 3 // 4)
        prompt = self.prompts.fill("summarize", summary=summary or "(none yet)", text=text, words=words)
        context = Context(sections=(Section(kind="query", source="memory", body=user(prompt)),))
        answer = self.models.role("summarize").answer(context, Ask(max_tokens=max(16, int(room * _SLACK))))
        return answer.text.strip(), billed(answer)

    def _instead(self, summary: str, text: str, room: int, usage: Usage, why: str) -> Folded:
        self.failures.append(why)
        logger.warning("no summary by the model (%s); lines are chosen instead", why)
        folded = self.fallback.fold(summary, text, room)
        return Folded(folded.text, usage + folded.usage)
