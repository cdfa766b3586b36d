"""What each user likes: learned from their edits of answers, kept in a playbook of their own (CIPHER)."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.errors import BadInput
from ctxeng.judge import judge_named
from ctxeng.learn import Learned, Learning
from ctxeng.playbook.learners.preference_source import PreferenceSource
from ctxeng.playbook.refine import EntryBudget
from ctxeng.playbook.users import PreferenceBooks
from ctxeng.protocols import Allowance, Learner
from ctxeng.turn import Edited, Request, Section, Turn

SOURCE = "preferences"


@dataclass(frozen=True)
class UserPreferences:
    """A source that shows a user's preferences for a request, and the place where their edits go.

    Of a playbook the `k` closest contexts count. A user is a scope's tenant and user; for a scope without a
    user there is nothing to show. Learned entries are kept within `budget`.
    """

    books: PreferenceBooks
    learner: Learner
    k: int = 5
    budget: EntryBudget = EntryBudget(200)

    def quiet(self, request: Request) -> bool:
        """Whether nothing was learned of this user yet."""
        return not request.scope.user or not self.books.path(request.scope).exists()

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """The preferences of the closest contexts, nearest first."""
        if self.quiet(request):
            return []
        with self.books.lent(request.scope) as store:
            playbook = store.playbook
        return PreferenceSource(lambda: playbook, self.k, name=SOURCE).gather(request, allowance)

    def edited(self, turn: Turn, text: str) -> Learned:
        """What a user's edit of the answer teaches of them; the same edit again changes nothing.

        Raises BadInput where the turn has no answer.
        """
        if turn.answer is None:
            raise BadInput(f"turn {turn.id!r} ended without an answer: there was nothing to edit")
        judged = turn.model_copy(update={"feedback": Edited.of(turn.answer.text, text)})
        with self.books.lent(turn.request.scope) as store:
            learning = Learning(store, judge_named("none"), self.learner, budget=self.budget)
            proposal = learning.propose([judged])
            done = learning.apply(
                proposal.deltas, by="preference", why=f"edit of {turn.id}", key=f"edit:{turn.id}"
            )
        return Learned(done.applied, done.refused, proposal.failures, done.version)
