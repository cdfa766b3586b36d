"""A generation from the loop's side: its tokens, its cache, and what it does when a token is chosen."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctxeng.errors import BadReply
from ctxeng.kv.policy import Watch
from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.checks import check
from ctxeng.runtime.job import Ended, Generate, Handle, Report, Token
from ctxeng.runtime.kept import Kept
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.sampling import adjusted, draw
from ctxeng.runtime.stages import Reading
from ctxeng_kernels.pack import BLOCK

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine

_CLOSE = 1e-4  # two logits nearer than this may change places with the shape of a pass


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
        check(prompt, ids, options, plan, engine.decoder.config.vocab)
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
        self.notes = list(prompt.notes)
        self.ended = False
        self.guesses: list[int] = []
        self.choices = 0
        self.drafted = self.accepted = self.close = 0
        self.drafting: Watch | None = None
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
    def watching(self) -> Watch | None:
        """The policy that looks on at the next pass."""
        stage = self.reading.stage if self.reading is not None else None
        return stage.watcher if stage is not None else self.watcher

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
            lots = self.whole.lots(plan.kinds) if fresh else []
            if plan.policy is not None and self.watcher is None:
                self.watcher = plan.policy.watch(engine.pools.shape)
            if lots:
                self.reading = Reading(engine, lots, plan, self.key, self.rotation)
                self.reading.begin()
                self._read_parts()
            else:
                if fresh:
                    self._find()
                engine.room(self.sequence, self.left + self.options.max_tokens)
        except BaseException:
            self._give_back()
            raise

    def _find(self) -> None:
        policy = self.plan.policy
        if self.plan.reuse and (policy is None or policy.rows is not None):
            spare = 1 if policy is None else max(1, policy.rows or 1)
            self.sequence.placed = self.engine.find(
                self.plan, self.key, self.ids[: max(0, self.prompt - spare)]
            )
            self.cached = self.sequence.length
            self.changed = self.cached if self.cached < self.prompt else None

    def next_rows(self, chunk: int) -> tuple[Sequence, list[int]]:
        """The cache and the tokens of the next pass, guesses behind them.

        Where blocks are encoded, those of one block only: same shapes, same bits; and guesses never end one.
        """
        sequence, ids = self.target
        tail = sequence.tail
        assert tail is not None
        room = next(tail.strides(self.left))[1] if tail.encodes else chunk
        tokens = ids[sequence.length : sequence.length + min(self.left, room)]
        ends = self.reading is None and len(tokens) == self.left
        self.guesses = self._guessed() if ends and len(self.ids) > self.prompt else []
        self.choices = 1 + len(self.guesses) if ends else 0
        return sequence, tokens + self.guesses

    def _guessed(self) -> list[int]:
        drafter, tail = self.options.drafter, self.sequence.tail
        if drafter is None or tail is None:
            return []
        most = self.options.max_tokens - (len(self.ids) - self.prompt) - 1
        if tail.encodes:
            most = min(most, BLOCK - tail.length % BLOCK - 1)
        most = min(most, tail.capacity - tail.length - 1)
        vocabulary = self.engine.decoder.config.vocab
        guesses = drafter.propose(self.engine, self, most)[: max(0, most)] if most > 0 else []
        return list(itertools.takewhile(lambda token: 0 <= token < vocabulary, guesses))

    def passed(self, span: Span, logits: Tensor) -> None:
        """A pass is over: its rows count; `logits` [choices, vocab] where a token is to be chosen."""
        if self.ended:
            return
        CachedAttention.commit(span, span.count - len(self.guesses))
        if self.choices:
            self.drafted += len(self.guesses)
            self.chosen(logits, span)
        elif self.reading is not None and not self.left:
            self.reading.advance()
            self._read_parts()

    def _read_parts(self) -> None:
        """Where all parts are read, stand on them and go on with the rest."""
        assert self.reading is not None
        if self.reading.stage is not None:
            return
        self.sequence.placed, choosing = self.reading.take()
        if choosing is not None:
            choosing.rest, self.watcher = self.watcher, choosing
        self.cached, self.changed = self.reading.cached, self.reading.changed
        self.notes += self.reading.notes
        if self.reading.moved:
            self.notes.append(
                f"approximate: {self.reading.moved} tokens of stored parts were read behind another head"
            )
        self.reading.release()
        self.reading = None
        self.engine.room(self.sequence, self.left + self.options.max_tokens)

    # -- what is generated ------------------------------------------------------------------------------

    def chosen(self, logits: Tensor, span: Span) -> None:
        """Choose from each row, as long as the guesses behind it are right."""
        if len(self.ids) == self.prompt:
            self._settled()
        elif self.watcher is not None:
            self._thin()
        if self.options.max_tokens == 0:
            self.end("length")
        for row, guess in zip(logits, [*self.guesses, None], strict=True):
            if self.ended:
                return
            token = self._give(row.float())
            if token != guess:
                return
            self.accepted += 1
            if not self.ended:
                CachedAttention.commit(span, 1)

    def _give(self, logits: Tensor) -> int:
        """Choose a token, hand it out, end where it ends."""
        options = self.options
        token = self._choose(logits)
        if token in options.stop:
            self.end("stop")
            return token
        self.ids.append(token)
        released, stopped = self.text.push(token) if self.text is not None else ("", False)
        if self.first == 0.0:
            self.first = self.engine.now() - self.started
        self.handle.put(Token(token, float(logits.log_softmax(-1)[token]), released))
        if stopped:
            self.end("stop")
        elif len(self.ids) - self.prompt >= options.max_tokens:
            self.end("length")
        return token

    def _choose(self, logits: Tensor) -> int:
        sampling = self.options.sampling
        if sampling.changes():
            logits = adjusted(logits, sampling, self.ids[: self.prompt], self.ids[self.prompt :])
        if self.constraint is not None:
            allowed = self.constraint.mask()
            if not bool(allowed.any()):
                raise BadReply("the grammar allows no further token")
            logits = logits.masked_fill(~allowed, -torch.inf)
        first, second = logits.topk(2).values.tolist() if len(logits) > 1 else (0.0, -1.0)
        self.close += first - second < _CLOSE
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
        self.engine.thin(self.watcher, self.sequence)
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
                drafted=self.drafted,
                accepted=self.accepted,
                close=self.close,
            )
        )

    def fail(self, error: BaseException) -> None:
        """Give back what it holds and raise the error where the tokens are read. Idempotent."""
        if not self.ended:
            self._release()
            self.handle.fail(error)

    def _give_back(self) -> None:
        if self.reading is not None:
            self.reading.release()
            self.reading = None
        if self.kept is None:
            self.sequence.release()

    def _release(self) -> None:
        self.ended = True
        self._give_back()
        if self.kept is not None:
            self.kept.tokens, self.kept.watcher, self.kept.busy = self.ids, self.watcher, False
