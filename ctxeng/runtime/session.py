"""A conversation that stays in the cache: extend, generate, fork, crop, save, close."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctxeng.errors import BadInput
from ctxeng.kv.policy import Forgets, Watch
from ctxeng.kv.sequence import Sequence as Cache
from ctxeng.runtime.job import Generate, Handle, Report
from ctxeng.runtime.kept import Kept
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.storage.atomic import write_atomic

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine


class Session:
    """One conversation with an engine. Its methods wait for the loop; one generation runs at a time.

    Close it, or use it as a context manager, else its blocks stay taken.
    """

    def __init__(self, engine: Engine, plan: CachePlan | None = None, tokens: Sequence[int] = ()) -> None:
        self.engine, self.plan = engine, plan or CachePlan()
        self._kept = Kept(Cache(engine.pools, self.plan.codec), list(tokens))

    @property
    def tokens(self) -> list[int]:
        """All tokens so far, those generated included."""
        return list(self._kept.tokens)

    @property
    def nbytes(self) -> int:
        """Bytes of the cache it holds; what it shares with others is counted too."""
        return self._kept.cache.nbytes

    @property
    def meter(self) -> Watch | None:
        """The policy at work, as it stands; None before the first generation, and without a policy."""
        return self._kept.watcher

    def generate(self, prompt: Prompt | Sequence[int] = (), options: Generate | None = None) -> Handle:
        """Read these tokens, or none, behind what is there, and generate. BadInput while another one runs.

        Parallel parts may stand in the first prompt only; behind what was thinned, some token is to be read.
        """
        kept = self._kept
        if kept.busy:
            raise BadInput("this session is generating: read its handle to the end, or cancel it, first")
        if kept.tokens or not isinstance(prompt, Prompt):
            new = prompt.ids if isinstance(prompt, Prompt) else prompt
            if kept.tokens and not len(new) and kept.cache.length == len(kept.tokens):
                self._last_anew()
            parts = prompt.parts if isinstance(prompt, Prompt) else (Part("text", tuple(prompt)),)
            if any(part.parallel for part in parts):
                raise BadInput("parallel parts may stand in the first prompt of a session only")
            prompt = Prompt((Part("text", tuple(kept.tokens)), *parts))
        return self.engine.start(prompt, options or Generate(), self.plan, kept)

    def extend(self, prompt: Prompt | Sequence[int]) -> Report:
        """Read these tokens and generate nothing."""
        return self.generate(prompt, Generate(max_tokens=0)).result()[1]

    def fork(self) -> Session:
        """A second session that goes on from here; what both share is held once. Raises CacheFull."""
        self._idle("fork")
        child = Session(self.engine, self.plan, self._kept.tokens)
        child._kept.cache = self.engine.call(lambda: self.engine.fork(self._kept.cache))
        child._kept.watcher = copy.deepcopy(self._kept.watcher)  # what was thinned once stays as it is
        return child

    def crop(self, length: int) -> None:
        """Forget all tokens from number `length` on.

        Raises BadInput where they cannot be taken apart, CacheFull where a block shared with a fork has no
        room for a copy; nothing is forgotten then.
        """
        self._idle("crop")
        kept = self._kept
        if not 0 <= length <= len(kept.tokens):
            raise BadInput(f"cannot crop to {length} tokens: there are {len(kept.tokens)}")
        if not kept.cache.plain and length < kept.cache.sealed_tokens:
            raise BadInput(
                f"cannot crop to {length}: tokens before {kept.cache.sealed_tokens} were thinned, "
                "or stand side by side; begin a new session"
            )
        self._forget(length)
        del kept.tokens[length:]

    def _forget(self, length: int) -> None:
        """Take the rows from `length` on out of the cache, and out of what the policy remembers."""
        kept = self._kept
        before = kept.cache.length
        rows = self.engine.call(lambda: self.engine.with_room(lambda: kept.cache.crop(length)))
        if isinstance(kept.watcher, Forgets) and rows < before:
            kept.watcher.crop(rows, before - rows)

    def _last_anew(self) -> None:
        """Nothing new is to be read: the last token is read again, for what comes next depends on it."""
        kept, last = self._kept, len(self._kept.tokens) - 1
        if not kept.cache.plain and last < kept.cache.sealed_tokens:
            raise BadInput(
                "the tokens so far were thinned, or stand side by side: give some to read behind them"
            )
        self._forget(last)

    def save(self, path: str | Path) -> None:
        """Write the session: its tokens here, its full blocks to the folder of the engine's prefix store.

        A process that opens it again encodes only what is in no full block. Raises BadInput without a folder.
        """
        self._idle("save")
        if self.engine.store.folder is None:
            raise BadInput("saving a session needs an engine whose PrefixStore has a folder")
        self.engine.call(self._publish)
        facts = {"ctxeng_session": 1, "model": self.engine.identity, "tokens": self._kept.tokens}
        write_atomic(Path(path), json.dumps(facts))

    def _publish(self) -> None:
        key = self.engine.key(self.plan, 0)
        self.engine.publish(key, self._kept.cache, self._kept.tokens)
        self.engine.store.persist()

    @classmethod
    def open(cls, engine: Engine, path: str | Path, plan: CachePlan | None = None) -> Session:
        """A saved session, with the same model. Raises BadInput for any other file."""
        try:
            facts = json.loads(Path(path).read_text(encoding="utf-8"))
            tokens = [int(token) for token in facts["tokens"]]
            model = facts["model"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: not a saved session ({error})") from None
        if model != engine.identity:
            raise BadInput(f"{path}: saved with another model or tokenizer; its tokens would mean other text")
        return cls(engine, plan, tokens)

    def close(self) -> None:
        """Give back all it holds. Idempotent."""
        self.engine.call(self._kept.cache.release)

    def __enter__(self) -> Session:  # noqa: PYI034 - it is never subclassed
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _idle(self, what: str) -> None:
        if self._kept.busy:
            raise BadInput(f"cannot {what} while this session is generating")
