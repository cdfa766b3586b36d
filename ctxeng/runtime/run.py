"""A generation from the loop's side: its tokens, its cache, and what it does when a token is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctxeng.errors import BadInput, BadReply
from ctxeng.kv.policy import Watch
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.kept import Kept
from ctxeng.runtime.job import Ended, Generate, Handle, Report, Token
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.sampling import adjusted, draw
from ctxeng.runtime.stages import Reading

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine


class Run:
    """One generation. Only the loop's thread touches it once it was submitted, but for the handle.

    `kept` is the cache of a session: it stays when the generation ends.
    """

    def __init__(
        self,
        engine: Engine,
        prompt: Prompt,
        options: Generate,
        plan: CachePlan,
        kept: Kept | None = None,
    ) -> None:
        ids = prompt.ids
        vocabulary = engine.decoder.config.vocab
        odd = next((i for i in ids if not 0 <= i < vocabulary), None)
        if odd is not None:
            raise BadInput(f"token {odd} is none of the {vocabulary} the model knows")
        if options.max_tokens < 0:
            raise BadInput(f"max_tokens must be 0 or more, not {options.max_tokens}")
        if prompt.parallel and plan.policy is not None and plan.policy.destroys:
            raise BadInput("a policy that drops rows needs all of the prompt in order: no parallel parts")
        self.engine, self.ids, self.options, self.plan = engine, ids, options, plan
        self.whole = prompt
        self.prompt = len(ids)
        self.handle = Handle()
        self.kept = kept
        self.sequence = kept.cache if kept is not None else Sequence(engine.pools, plan.codec)
        self.text = engine.detokenizer(options.stop_texts)
        self.constraint = options.constraint() if options.constraint else None
        self.generator = torch.Generator()
        if options.sampling.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(options.sampling.seed)
        self.started, self.first = engine.now(), 0.0
        self.cached = self.sequence.length
        self.changed: int | None = self.cached
        self.notes: list[str] = []
        self.ended = False
        self.reading: Reading | None = None
        self.watcher: Watch | None = kept.watcher if kept is not None else None
        if kept is not None:
            kept.busy = True

    # -- what is to be read -----------------------------------------------------------------------------

    @property
    def target(self) -> tuple[Sequence, list[int]]:
        """The cache that the next pass writes to, and the tokens that belong in it."""
        stage = self.reading.stage if self.reading is not None else None
        return (stage.sequence, stage.ids) if stage is not None else (self.sequence, self.ids)

    @property
    def left(self) -> int:
        """Tokens not yet in the cache; none: the next one is to be chosen."""
        sequence, ids = self.target
        return len(ids) - sequence.length

    def over(self) -> bool:
        """Whether nobody waits for more."""
        late = self.options.deadline is not None and self.engine.now() > self.options.deadline
        return self.handle.cancelled or late

    def begin(self) -> None:
        """Take what the stores have, and room for the rest. Raises CacheFull, holding nothing."""
        engine, plan = self.engine, self.plan
        total = len(self.ids) + self.options.max_tokens
        self.rotation = engine.rotation(total)
        self.key = engine.key(plan, total)
        try:
            fresh = self.sequence.length == 0
            if fresh and self.whole.parallel:
                self.reading = Reading(engine, self.whole, plan, self.key, self.rotation)
                self.reading.begin()
                self._read_parts()
            else:
                if fresh:
                    self._find()
                engine.room(self.sequence, self.left + self.options.max_tokens)
        except BaseException:
            self._release()
            raise
        if plan.policy is not None and self.watcher is None:
            self.watcher = plan.policy.watch(engine.pools.shape)

    def _find(self) -> None:
        policy = self.plan.policy
        if self.plan.reuse and (policy is None or policy.rows is not None):
            spare = 1 if policy is None else max(1, policy.rows or 1)
            self.sequence.placed = self.engine.find(
                self.plan, self.key, self.ids[: max(0, self.prompt - spare)]
            )
            self.cached = self.sequence.length
            self.changed = self.cached if self.cached < self.prompt else None

    def next_count(self, chunk: int) -> int:
        """Rows of the next pass. Where blocks are encoded, those of one: same shapes, same bits."""
        tail = self.target[0].tail
        assert tail is not None
        return min(self.left, next(tail.strides(self.left))[1] if tail.encodes else chunk)

    def passed(self) -> bool:
        """A pass is over. True where all of the prompt is in the cache and a token is to be chosen."""
        if self.left:
            return False
        if self.reading is None:
            return True
        self.reading.advance()
        self._read_parts()
        return False

    def _read_parts(self) -> None:
        """Where all parts are read, stand on them and go on with the rest."""
        assert self.reading is not None
        if self.reading.stage is not None:
            return
        self.sequence.placed = self.reading.take()
        self.cached, self.changed = self.reading.cached, self.reading.changed
        if self.reading.moved:
            self.notes.append(
                f"approximate: {self.reading.moved} tokens of parallel parts were read behind another head"
            )
        self.reading.release()
        self.reading = None
        self.engine.room(self.sequence, self.left + self.options.max_tokens)

    # -- what is generated ------------------------------------------------------------------------------

    def chosen(self, logits: Tensor) -> None:
        """All of it is in the cache, these are the logits: choose, hand out, end where it ends."""
        if len(self.ids) == self.prompt:
            self._settled()
        elif self.watcher is not None:
            self._thin()
        options = self.options
        if options.max_tokens == 0:
            self.end("length")
            return
        token = self._choose(logits.float())
        if token in options.stop:
            self.end("stop")
            return
        self.ids.append(token)
        released, stopped = self.text.push(token) if self.text is not None else ("", False)
        if self.first == 0.0:
            self.first = self.engine.now() - self.started
        self.handle.put(Token(token, float(logits.float().log_softmax(-1)[token]), released))
        if stopped:
            self.end("stop")
        elif len(self.ids) - self.prompt >= options.max_tokens:
            self.end("length")

    def _choose(self, logits: Tensor) -> int:
        sampling = self.options.sampling
        if sampling.changes():
            logits = adjusted(logits, sampling, self.ids[: self.prompt], self.ids[self.prompt :])
        if self.constraint is not None:
            allowed = self.constraint.mask()
            if not bool(allowed.any()):
                raise BadReply("the grammar allows no further token")
            logits = logits.masked_fill(~allowed, -torch.inf)
        token = draw(logits, sampling, self.generator)
        if self.constraint is not None:
            self.constraint.accept(token)
        return token

    def _settled(self) -> None:
        """The prompt is in the cache whole: publish it, then let the policy thin it."""
        if self.plan.policy is None and self.plan.reuse:
            self.engine.publish(self.key, self.sequence, self.ids)
        if self.watcher is not None:
            self._thin()

    def _thin(self) -> None:
        assert self.watcher is not None
        self.watcher.settle(self.sequence, self.engine.pools)
        self.engine.room(self.sequence, self.options.max_tokens - (len(self.ids) - self.prompt))

    # -- how it ends ------------------------------------------------------------------------------------

    def end(self, how: Ended) -> None:
        """Give back what it holds and tell the reader. Idempotent."""
        if self.ended:
            return
        held = self.sequence.nbytes
        if how != "cancelled" and self.plan.policy is None and self.plan.reuse:
            self.engine.publish(self.key, self.sequence, self.ids)
        self._release()
        now = self.engine.now() - self.started
        self.handle.put(
            Report(
                ended=how,
                prompt=self.prompt,
                cached=self.cached,
                generated=len(self.ids) - self.prompt,
                changed=self.changed,
                first=self.first,
                total=now,
                bytes_held=held,
                rest=self.text.rest() if self.text is not None else "",
                notes=tuple(self.notes),
            )
        )

    def fail(self, error: BaseException) -> None:
        """Give back what it holds and raise the error where the tokens are read. Idempotent."""
        if not self.ended:
            self._release()
            self.handle.fail(error)

    def _release(self) -> None:
        self.ended = True
        if self.reading is not None:
            self.reading.release()
        if self.kept is None:
            self.sequence.release()
        else:
            self.kept.tokens, self.kept.watcher, self.kept.busy = self.ids, self.watcher, False
