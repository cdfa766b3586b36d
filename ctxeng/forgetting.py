"""Forgetting on request: everything that an app holds of a tenant, a user or a session, wherever it is."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from ctxeng.errors import BadInput
from ctxeng.memory.shelf import searched_texts
from ctxeng.memory.store_remove import NotErased
from ctxeng.memory.stored import Forgotten
from ctxeng.record import TurnLog
from ctxeng.retrieval.embed import Embedder
from ctxeng.settings import App
from ctxeng.storage.setaside import SetAside
from ctxeng.tools.output import ClippedRunner
from ctxeng.turn import Scope, Turn, Value

BODIES = (".ctxeng", "bodies")
_TELLING = 16  # characters from which on a text cannot be somebody else's by chance


class Report(Value):
    """How many of each were removed."""

    sessions: int = 0
    records: int = 0
    edits: int = 0
    facts: int = 0
    files: int = 0
    turns: int = 0
    checkpoints: int = 0
    bodies: int = 0
    vectors: int = 0


def forget(app: App, scope: Scope) -> Report:
    """Remove what the app holds of this scope; empty fields match anything. No other process may write now.

    Memory (texts, summaries, facts, a user's files), the turn log, the bodies and checkpoints of turns,
    texts that were set aside, vectors. Playbook entries are not a user's own: `playbook redact` removes
    those. Raises BadInput for a scope without any field, NotErased where a database could not overwrite
    what was removed.
    """
    if not any(scope.model_dump().values()):
        raise BadInput("say whose: a tenant, a user or a session")
    turns, failed = _turns(app, scope), None
    memory, texts = Forgotten(), {text for turn in turns for text in _texts(turn)}
    owners = {(turn.request.scope.tenant, turn.request.scope.user) for turn in turns}
    owners.add((scope.tenant, scope.user))
    if app.memory.kept:
        known = (each.scope for each in app.memory.store.sessions(scope))
        owners |= {(each.tenant, each.user) for each in known}
        texts |= _searched(app, scope, owners)
        try:
            memory = app.memory.memory.forget(scope)
        except NotErased as error:  # the rest goes all the same; then it is said
            memory, failed = error.forgotten, error
        texts.update(memory.texts)
    encoder = app.local_encoder
    if isinstance(encoder, Embedder):
        encoder.forget(sorted(texts))
    if isinstance(app.toolkit.runner, ClippedRunner):
        app.toolkit.runner.aside.forget(scope)
    if app.preferences is not None and not scope.session:
        for tenant, who in sorted(pair for pair in owners if pair[1]):
            app.preferences.books.forget(Scope(tenant=tenant, user=who))
    files = app.memory.files.forget(scope) if app.memory.files else 0
    if isinstance(app.log, TurnLog) and app.log.path.exists():
        app.log.forget(scope)
    report = Report(
        sessions=memory.sessions,
        records=memory.records,
        edits=memory.edits,
        facts=memory.facts,
        files=files,
        turns=len(turns),
        checkpoints=_checkpoints(app, turns),
        bodies=_bodies(app, scope, texts),
        vectors=len(texts) if isinstance(encoder, Embedder) else 0,
    )
    if failed is not None:
        raise failed
    return report


def _turns(app: App, scope: Scope) -> list[Turn]:
    if not isinstance(app.log, TurnLog):
        return []
    return [turn for turn in app.log if _matches(turn.request.scope.model_dump(), scope)]


def _searched(app: App, scope: Scope, owners: Collection[tuple[str, str]]) -> set[str]:
    wholes = (Scope(tenant=tenant, user=who, session=scope.session) for tenant, who in owners)
    return {text for whole in wholes for text in searched_texts(app.memory.store, whole)}


def _texts(turn: Turn) -> list[str]:
    messages = [turn.request.query, *turn.request.history, *(step.answer.message for step in turn.steps)]
    results = [result.text for step in turn.steps for result in step.results]
    return [message.text for message in messages] + results


def _checkpoints(app: App, turns: Collection[Turn]) -> int:
    if app.checkpointer is None:
        return 0
    for turn in turns:
        app.checkpointer.delete_thread(turn.id)
    return len(turns)


def _bodies(app: App, scope: Scope, texts: Collection[str]) -> int:
    """Bodies of turns that are this scope's, by what they say of themselves or by the texts in them."""
    folder = app.path.parent.joinpath(*BODIES)
    if not folder.is_dir():
        return 0
    kept, telling = SetAside(folder), [text for text in texts if len(text) >= _TELLING]
    gone = [ref for ref in kept if _theirs(kept.get(ref), scope, telling)]
    return sum(kept.forget(ref) for ref in gone)


def _theirs(body: str, scope: Scope, telling: Collection[str]) -> bool:
    value = json.loads(body)
    whose = value.get("scope") or value.get("request", {}).get("scope") if isinstance(value, dict) else None
    if isinstance(whose, dict):
        return _matches(whose, scope)
    said = list(_strings(value))
    return any(text in each for text in telling for each in said)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _strings(each)]


def _matches(whose: dict[str, str], wanted: Scope) -> bool:
    return all(not value or whose.get(name) == value for name, value in wanted.model_dump().items())
