"""The tree of what can go wrong.

CtxengError
 +- BadInput                what a person has to mend: a file, an option, a name
 |   +- BadSettings         the YAML file, with line and column
 |   +- BadPlaybook         a playbook or its journal cannot be read as one
 |   |   +- NewerPlaybook   written by a later version of the library
 |   +- BadTask             a task file's line
 |   +- UnknownName         a name we do not know, with those we do
 |   +- MissingExtra        an optional dependency is not installed
 |   +- MissingKey          no credentials for a provider
 +- WindowTooSmall          what must be in the window does not fit
 +- OverAllowance           a source spent more than it was given
 +- LoopSpent               the reserve for tool steps is used up
 +- DeltaRefused            a batch of deltas does not apply; nothing was changed
 +- Conflict                somebody else changed the same thing
 +- StoreLocked             another process holds the store
 |   +- NotErased           rows are removed, their bytes are not all overwritten yet (memory.store_remove)
 +- StoreUnreachable        a database does not answer
 +- CacheFull               blocks of the on-box cache are used up
 +- ModelError              a model could not answer
 |   +- ContextOverflow     the provider says the prompt is too long
 |   +- RateLimited         still limited after all retries
 |   +- BadReply            the reply does not have the form that was asked for
 |   +- CassetteMiss        nothing recorded for this request
 |   +- Cancelled           the caller asked to stop
 +- UnknownTurn             no such turn in the log
 +- ApprovalNeeded          a person has to decide before the turn goes on
"""

from collections.abc import Mapping, Sequence


class CtxengError(Exception):
    """Root of everything this library raises on purpose."""


class BadInput(CtxengError):
    """Something the user wrote cannot be used; the message says what and how to mend it."""


class BadSettings(BadInput):
    """A settings file does not fit its schema."""


class BadPlaybook(BadInput):
    """A playbook file or its journal cannot be read as one."""


class NewerPlaybook(BadPlaybook):
    """The playbook's schema version is newer than this library."""

    def __init__(self, path: str, version: int, known: int) -> None:
        super().__init__(
            f"{path}: playbook schema {version} is newer than this library knows ({known}); "
            "upgrade with: pip install -U ctxeng-framework"
        )
        self.path, self.version, self.known = path, version, known


class BadTask(BadInput):
    """A line of a task file cannot be used."""


class UnknownName(BadInput):
    """A name that is not registered."""

    def __init__(self, what: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown {what} {name!r}; known: {', '.join(sorted(known)) or 'none'}")
        self.what, self.name, self.known = what, name, tuple(known)


class MissingExtra(BadInput):
    """An optional dependency is not installed; the message is the pip line that mends it."""

    def __init__(self, extra: str, package: str = "") -> None:
        needed = f"{package} is not installed; " if package else ""
        super().__init__(f"{needed}pip install 'ctxeng-framework[{extra}]'")
        self.extra, self.package = extra, package


class MissingKey(BadInput):
    """No credentials for a provider."""


class WindowTooSmall(CtxengError):
    """What must be in the window (system text, query, open calls) does not fit it."""

    def __init__(self, needed: int, window: int, what: str) -> None:
        super().__init__(f"the window is too small: {what} needs {needed} tokens, {window} are available")
        self.needed, self.window, self.what = needed, window, what


class OverAllowance(CtxengError):
    """A source returned more than its allowance."""

    def __init__(self, source: str, spent: int, allowance: int) -> None:
        super().__init__(f"source {source!r} spent {spent} tokens of an allowance of {allowance}")
        self.source, self.spent, self.allowance = source, spent, allowance


class LoopSpent(CtxengError):
    """A step does not fit what is left of the loop reserve; the window has to be assembled anew."""

    def __init__(self, needed: int, left: int) -> None:
        super().__init__(f"a step needs {needed} tokens, the loop reserve has {left} left")
        self.needed, self.left = needed, left


class DeltaRefused(CtxengError):
    """A batch of deltas does not apply; nothing was changed. `results` has one code per delta."""

    def __init__(self, results: Sequence[str]) -> None:
        bad = [f"#{index}: {result}" for index, result in enumerate(results) if result != "ok"]
        super().__init__("deltas refused, nothing was changed: " + "; ".join(bad))
        self.results = tuple(results)


class Conflict(CtxengError):
    """Two writers changed the same thing and code cannot decide."""


class StoreLocked(CtxengError):
    """Another process holds the store."""


class StoreUnreachable(CtxengError):
    """A database does not answer, or can take nothing more; the message says what is in doubt."""


class CacheFull(CtxengError):
    """The key-value cache has no room; nothing was changed. All three figures are bytes."""

    def __init__(self, needed: int, free: int, cap: int) -> None:
        super().__init__(
            f"the key-value cache needs {needed:,} bytes more, {free:,} of {cap:,} are free: "
            "ask for fewer tokens, raise the cap, or name a codec or policy that holds less"
        )
        self.needed, self.free, self.cap = needed, free, cap


class ModelError(CtxengError):
    """A model could not answer."""


class ContextOverflow(ModelError):
    """The provider says the prompt is longer than its window."""


class RateLimited(ModelError):
    """The provider still limits the rate after all retries."""


class BadReply(ModelError):
    """A reply does not have the form that was asked for."""


class CassetteMiss(ModelError):
    """A replayed cassette has nothing for this request; the message says what changed."""


class Cancelled(ModelError):
    """The caller asked to stop."""


class UnknownTurn(CtxengError):
    """No such turn in the log."""


class ApprovalNeeded(CtxengError):
    """A person has to decide before a turn, or learning from it, goes on.

    `waiting` maps what waits (a tool call's id, or "deltas") to what it is.
    """

    def __init__(self, turn: str, waiting: Mapping[str, object]) -> None:
        super().__init__(f"turn {turn} waits for a person's approval of: {', '.join(waiting)}")
        self.turn, self.waiting = turn, dict(waiting)
