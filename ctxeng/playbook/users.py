"""One playbook for each user: a folder of playbooks by scope, opened when wanted and forgotten on request."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ctxeng.errors import BadInput, CtxengError, StoreLocked
from ctxeng.playbook.entry import slug
from ctxeng.playbook.store import PlaybookStore
from ctxeng.turn import Scope

FILE = "preferences.yaml"
_GONE = ".gone-"


class PreferenceBooks:
    """Playbooks by tenant and user below `folder`; sessions of one user share theirs. Safe with threads.

    Each has a folder of its own, so nothing of a user lies in a file that another user has too. At most
    `most` stores stay open beyond those lent at the moment; the least recently used is closed first.
    """

    def __init__(self, folder: Path | str, most: int = 64, timeout: float = 30.0) -> None:
        self.folder, self.most, self.timeout = Path(folder), most, timeout
        self._open: OrderedDict[str, PlaybookStore] = OrderedDict()
        self._lent: dict[str, int] = {}  # how many hold it now; -1: it is being forgotten
        self._changed = threading.Condition()
        for left in self.folder.glob(f"{_GONE}*"):  # a kill came between two steps of forgetting
            with suppress(FileNotFoundError):  # another process does the same
                shutil.rmtree(left)

    def path(self, scope: Scope) -> Path:
        """The YAML of the scope's playbook, whether or not it is there. BadInput for a scope of no user."""
        return self.folder / _name(scope) / FILE

    @contextmanager
    def lent(self, scope: Scope) -> Iterator[PlaybookStore]:
        """The scope's store, open; committed when the last who holds it lets go.

        A user who is new gets an empty playbook; its file is written with the first commit that has
        something to say. BadInput for a scope of no user, StoreLocked while it is being forgotten.
        """
        name = _name(scope)
        store = self._borrow(name)
        try:
            yield store
        finally:
            self._give_back(name)

    def forget(self, scope: Scope) -> bool:
        """Every byte of the user's playbook gone: YAML, journal, cache, lock. Whether there was one.

        Waits for those who hold it: StoreLocked after the timeout. Other processes must have let go, and
        copies (backups, git) are beyond reach; logs of turns have a `forget` of their own.
        """
        name = _name(scope)
        with self._changed:
            if not self._changed.wait_for(lambda: not self._lent.get(name), self.timeout):
                raise StoreLocked(f"the playbook of {name} is in use after {self.timeout:g} s; try again")
            self._lent[name] = -1
            store = self._open.pop(name, None)
        try:
            if store is not None:
                with suppress(CtxengError):  # a file that cannot be read goes like any other
                    store.close()
            gone = self.folder / f"{_GONE}{uuid.uuid4().hex}"
            with suppress(FileNotFoundError):
                (self.folder / name).rename(gone)  # one step: nobody ever sees half of it
                shutil.rmtree(gone)
                return True
            return False
        finally:
            with self._changed:
                del self._lent[name]
                self._changed.notify_all()

    def close(self) -> None:
        """Commits and closes all that nobody holds. They may be lent again."""
        with self._changed:
            for name in [each for each in self._open if each not in self._lent]:
                self._open.pop(name).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _borrow(self, name: str) -> PlaybookStore:
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent.get(name, 0) >= 0, self.timeout):
                raise StoreLocked(f"the playbook of {name} is being forgotten; try again")
            store = self._open.get(name)
            if store is None:
                home = self.folder / name
                home.mkdir(mode=0o700, parents=True, exist_ok=True)
                store = PlaybookStore(home / FILE)
                store.open()
                self._open[name] = store
            self._lent[name] = self._lent.get(name, 0) + 1
            self._open.move_to_end(name)
            return store

    def _give_back(self, name: str) -> None:
        with self._changed:
            try:
                if self._lent[name] == 1 and name in self._open:
                    self._open[name].commit()
            finally:
                self._lent[name] -= 1
                if not self._lent[name]:
                    del self._lent[name]
                self._shrink()
                self._changed.notify_all()

    def _shrink(self) -> None:
        """Closes the least recently used of those that nobody holds."""
        for name in [each for each in self._open if each not in self._lent]:
            if len(self._open) - len(self._lent) <= self.most:
                break
            self._open.pop(name).close()


def _name(scope: Scope) -> str:
    """The folder's name: readable, and by 128 bits of hash nobody else's."""
    if not scope.user:
        raise BadInput("a playbook of preferences is one user's: give a scope with a user")
    key = json.dumps([scope.tenant, scope.user]).encode()
    readable = slug(f"{scope.tenant} {scope.user}")
    return f"{readable}-{hashlib.sha256(key).hexdigest()[:32]}"
