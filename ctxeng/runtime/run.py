"""A generation from the loop's side: its tokens, its cache, and what it does when a token is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctxeng.errors import BadInput, BadReply, CacheFull
from ctxeng.kv.policy import Watch
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.job import Ended, Generate, Handle, Report, Token
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.sampling import adjusted, draw

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine


class Run:
    """One generation. Only the loop's thread touches it once it was submitted, but for the handle."""

    def __init__(
        self,
        engine: Engine,
        ids: list[int],
        options: Generate,
        plan: CachePlan,
        kept: Sequence | None = None,
    ) -> None:
        vocabulary = engine.decoder.config.vocab
        odd = next((i for i in ids if not 0 <= i < vocabulary), None)
        if not ids or odd is not None:
            raise BadInput("a prompt needs a token" if not ids else f"token {odd}: {vocabulary} are known")
        if options.max_tokens < 1:
            raise BadInput(f"max_tokens must be 1 or more, not {options.max_tokens}")
        self.engine, self.ids, self.options, self.plan = engine, ids, options, plan
        self.prompt = len(ids)
        self.handle = Handle()
        self.kept = kept is not None
        self.sequence = kept or Sequence(engine.pools, plan.codec)
        self.text = engine.detokenizer(options.stop_texts)
        self.constraint = options.constraint() if options.constraint else None
        self.generator = torch.Generator()
        if options.sampling.seed is not None:
            self.generator.manual_seed(options.sampling.seed)
        else:
            self.generator.seed()
        self.started = engine.now()
        self.first = 0.0
        self.cached = self.sequence.length
        self.notes: list[str] = []
        self.ended = False
        self.watcher: Watch | None = None
        self.held = 0

    @property
    def left(self) -> int:
        """Tokens not yet in the cache; none: the next one is to be chosen."""
        return len(self.ids) - self.sequence.length

    def over(self) -> bool:
        """Whether nobody waits for more."""
        late = self.options.deadline is not None and self.engine.now() > self.options.deadline
        return self.handle.cancelled or late

    def begin(self) -> None:
        """Take what the prefix store has, and room for the rest. Raises CacheFull, holding nothing."""
        engine = self.engine
        total = len(self.ids) + self.options.max_tokens
        self.rotation = engine.rotation(total)
        policy = self.plan.policy
        self.key = engine.key(self.plan, total)
        if not self.kept and self.plan.reuse and (policy is None or policy.rows is not None):
            spare = 1 if policy is None else max(1, policy.rows or 1)
            self.sequence.placed = engine.find(self.plan, self.key, self.ids[: max(0, len(self.ids) - spare)])
            self.cached = self.sequence.length
        try:
            engine.room(self.sequence, self.left + self.options.max_tokens)
        except CacheFull:
            if not self.kept:
                self.sequence.release()
            raise
        if policy is not None:
            self.watcher = policy.watch(engine.pools.shape)

    def next_count(self, chunk: int) -> int:
        """Rows of the next pass. Where blocks are encoded, those of one block: the same shapes, the same bits."""
        tail = self.sequence.tail
        assert tail is not None
        return min(self.left, next(tail.strides(self.left))[1] if tail.encodes else chunk)

    def chosen(self, logits: Tensor) -> None:
        """All of it is in the cache, these are the logits: choose, hand out, end where it ends."""
        if len(self.ids) == self.prompt:
            self._read()
        elif self.watcher is not None and self.plan.policy is not None and self.plan.policy.destroys:
            self._thin()
        options = self.options
        changed = logits.float()
        if options.sampling.changes():
            changed = adjusted(changed, options.sampling, self.ids[: self.prompt], self.ids[self.prompt :])
        if self.constraint is not None:
            changed = self._constrained(changed)
        token = draw(changed, options.sampling, self.generator)
        if self.constraint is not None:
            self.constraint.accept(token)
        if token in options.stop:
            self.end("stop")
            return
        self.ids.append(token)
        released, stopped = self.text.push(token) if self.text is not None else ("", False)
        logprob = float(logits.float().log_softmax(-1)[token])
        if self.first == 0.0:
            self.first = self.engine.now() - self.started
        self.handle.put(Token(token, logprob, released))
        if stopped:
            self.end("stop")
        elif len(self.ids) - self.prompt >= options.max_tokens:
            self.end("length")

    def _read(self) -> None:
        """The prompt is in the cache whole: publish it, then let the policy thin it."""
        if self.plan.policy is None and self.plan.reuse:
            self.engine.publish(self.key, self.sequence, self.ids)
        if self.watcher is not None:
            self._thin()

    def _thin(self) -> None:
        assert self.watcher is not None
        self.watcher.settle(self.sequence, self.engine.pools)
        self.engine.room(self.sequence, self.options.max_tokens - (len(self.ids) - self.prompt))

    def _constrained(self, logits: Tensor) -> Tensor:
        assert self.constraint is not None
        allowed = self.constraint.mask()
        if not bool(allowed.any()):
            raise BadReply("the grammar allows no further token")
        return logits.masked_fill(~allowed, -torch.inf)

    def end(self, how: Ended) -> None:
        """Give back what it holds and tell the reader. Idempotent."""
        if self.ended:
            return
        self.ended = True
        self.held = self.sequence.nbytes
        if not self.kept:
            if how != "cancelled" and self.plan.policy is None and self.plan.reuse:
                self.engine.publish(self.key, self.sequence, self.ids)
            self.sequence.release()
        changed = None if self.cached >= self.prompt else self.cached
        now = self.engine.now() - self.started
        generated = len(self.ids) - self.prompt
        rest = self.text.rest() if self.text is not None and how != "stop" else ""
        notes = tuple(self.notes)
        self.handle.put(
            Report(how, self.prompt, self.cached, generated, changed, self.first, now, self.held, rest, notes)
        )

    def fail(self, error: BaseException) -> None:
        """Give back what it holds and raise the error where the tokens are read."""
        if self.ended:
            return
        self.ended = True
        if not self.kept:
            self.sequence.release()
        self.handle.fail(error)
