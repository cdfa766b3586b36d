"""A user's own app as a subject: every case is a turn of its orchestrator; it may learn as it goes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from ctxeng import render
from ctxeng.models.cassette import Cassette
from ctxeng.protocols import Model
from ctxeng.record import slim
from ctxeng.settings import App, read
from ctxeng.settings_schema import Settings, overridden
from ctxeng.storage.progress import Progress
from ctxeng.turn import Section, Truth, Turn
from ctxeng_evals.case import Case, Dataset, Outcome, Piece, Solver
from ctxeng_evals.subjects.requests import Asked, asked

_BLOCK = 512  # bytes of a prompt that are compared as one
_LOCK = threading.Lock()  # a playbook's store opens once at a time


@dataclass(frozen=True)
class AppSubject:
    """The app of a YAML file, with its own log left out and its playbook never written.

    `budget` is the most its prompts may have, in tokens. With `learn`, cases come in order, on a copy of the
    playbook in `folder`: those of one group are answered before their labels are learned from. `set`
    changes settings by their place ("learning.judge"). `cassette` records the model, or replays it.
    """

    path: Path
    folder: Path
    budget: int | None = None
    learn: bool = False
    cassette: Path | None = None
    mode: Literal["auto", "record", "replay"] = "auto"
    set: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def sequential(self) -> bool:
        """Whether it learns from case to case."""
        return self.learn

    def open(self, dataset: Dataset) -> Solver:
        """A solver over the dataset's cases. Raises BadSettings, MissingExtra, MissingKey."""
        app = self._app()
        if self.learn:
            return _Stream(app, dataset, Progress(self.folder / "progress.jsonl")).solve
        orchestrator = app.orchestrator()

        def solve(case: Case) -> Outcome:
            given = asked(case, dataset)
            turn = orchestrator.invoke(given.request, want=given.want, turn_id=_turn_id(case))
            return outcome_of(turn, given)

        return solve

    def _app(self) -> App:
        settings = self._settings()
        path = self.path
        if self.learn:
            path = self.folder / self.path.name
            if not path.exists():  # a resumed run goes on with its own copy
                self.folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.path, path)
        app = App(path, settings)
        model: Model | None = None
        if self.cassette is not None:
            inner = app.models.role("answer") if self.mode != "replay" else None
            model = Cassette(self.cassette, inner, self.mode)
        app = App(path, settings, model=model)
        with _LOCK:
            _ = app.store
        return app

    def _settings(self) -> Settings:
        settings = overridden(read(self.path), self.set)
        given: dict[str, Any] = {}
        if self.budget is not None:
            given["context.window"] = self.budget + settings.context.reply
        settings = overridden(settings, given)
        return settings.model_copy(update={"log": None})


def outcome_of(turn: Turn, given: Asked) -> Outcome:
    """What a turn made of a case."""
    pieces = tuple(_piece(section, given) for section in turn.context.sections)
    answer = turn.answer
    said: JsonValue = None
    if answer is not None:
        said = answer.text if answer.parsed is None else answer.parsed
    items = set(given.item_of.values())
    return Outcome(
        answer=said,
        selected=tuple(piece.ref for piece in pieces if piece.ref in items),
        window=pieces,
        usage=turn.usage,
    )


def _piece(section: Section, given: Asked) -> Piece:
    item = given.item_of.get(section.ref)
    return Piece(
        source=section.source,
        kind=section.kind,
        ref=item or section.ref,
        tokens=section.tokens,
        text="" if item else render.text_of(section),
    )


class _Stream:
    """Test, then learn: a group's turns are judged and learned from once its last case is answered.

    What was answered is kept on disk before anything is learned from it, and a learning step has a key of
    its own: killed at any moment and begun again, it ends with the same playbook.
    """

    def __init__(self, app: App, dataset: Dataset, progress: Progress) -> None:
        self._app, self._dataset, self._progress = app, dataset, progress
        self._orchestrator = app.orchestrator()
        self._done = progress.read()
        self._pending: list[tuple[Case, Turn]] = []
        self._seen = 0
        self._blocks: list[str] = []

    def solve(self, case: Case) -> Outcome:
        """The answer to the next case; the group before it has been learned from."""
        while self._seen < len(self._dataset.cases):
            following = self._dataset.cases[self._seen]
            self._seen += 1
            if following.id == case.id:
                break
            if following.id in self._done:
                self._take(following)  # answered before the run was resumed
        return self._take(case)

    def _take(self, case: Case) -> Outcome:
        group = case.group or case.id
        if self._pending and (self._pending[0][0].group or self._pending[0][0].id) != group:
            self._learn()
        given = asked(case, self._dataset)
        if case.id in self._done:
            record = self._done[case.id]
            self._blocks = record["blocks"]
            self._pending.append((case, Turn.model_validate(record["turn"])))
            return Outcome.model_validate(record["outcome"])
        turn = self._orchestrator.invoke(given.request, want=given.want, turn_id=_turn_id(case))
        blocks, before = self._prompt(turn), self._blocks
        outcome = outcome_of(turn, given).model_copy(update={"prefix": _kept(before, blocks)})
        record = {
            "turn": slim(turn).model_dump(mode="json"),
            "outcome": outcome.model_dump(mode="json", exclude_defaults=True),
            "blocks": blocks,
        }
        self._progress.add(case.id, record)
        self._blocks = blocks
        self._pending.append((case, turn))
        return outcome

    def _learn(self) -> None:
        learning = self._app.learning
        key = f"eval:{self._pending[0][0].id}"
        if not learning.store.has(key):
            judged = [
                learning.judged(turn, None if case.target is None else Truth(target=case.target))
                for case, turn in self._pending
            ]
            deltas = learning.propose(judged).deltas
            learning.apply(deltas, by="learn", why=key, key=key)
        self._pending.clear()

    def _prompt(self, turn: Turn) -> list[str]:
        """The prompt as hashes of its blocks: what a prefix cache compares, and small enough to keep."""
        layout = self._app.models.role("answer").layout
        prompt = render.chat(turn.context, layout).text.encode()
        starts = range(0, len(prompt), _BLOCK)
        return [sha256(prompt[start : start + _BLOCK]).hexdigest()[:8] for start in starts]


def _kept(before: Sequence[str], now: Sequence[str]) -> float | None:
    """The share of the last prompt's blocks that this one begins with."""
    if not before:
        return None
    same = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), len(now))
    return min(same, len(before)) / len(before)


def _turn_id(case: Case) -> str:
    return sha256(case.id.encode()).hexdigest()[:16]
