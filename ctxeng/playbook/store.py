"""A playbook on disk: a YAML file that people edit, a journal beside it, and many writers at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal

from ctxeng.errors import BadPlaybook
from ctxeng.playbook import cache as cachefile
from ctxeng.playbook.book import Applied, Playbook
from ctxeng.playbook.delta import Delta, Redact
from ctxeng.playbook.diff import edits
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.history import History, Stats, undoing
from ctxeng.playbook.journal import Body, Record, decode, encode, now, ordered
from ctxeng.playbook.journalfile import JournalFile
from ctxeng.playbook.rebase import Rebased, rebase
from ctxeng.playbook.redaction import scrub_journal, scrub_yaml, words_of
from ctxeng.playbook.replay import Ledger
from ctxeng.playbook.splice import splice
from ctxeng.playbook.yamlfile import Parsed, header, parse
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock

HAND_EDIT = "person:hand-edit"
_WORTH_A_CACHE = 100  # entries or records


class PlaybookStore:
    """Opens, changes and writes one playbook; any number of processes and threads may at once.

    The journal is the truth between commits. What `apply` returned survives kill -9; a power loss takes at
    most what came after the last commit, and nothing with sync="always". `.playbook` is a frozen snapshot.
    """

    def __init__(
        self,
        path: Path | str,
        sync: Literal["batch", "always"] = "batch",
        *,
        cache: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.path = Path(path)
        self.sync = sync
        self.cache = cache
        stem = self.path.name.removesuffix(".yaml").removesuffix(".yml")
        self._folder = self.path.parent / ".ctxeng"
        self._cache_path = self._folder / f"{stem}.cache.json"
        self._journal = JournalFile(self.path.with_name(f"{stem}.journal.jsonl"))
        self._lock = ProcessLock(self._folder / f"{stem}.lock", timeout)
        self._ledger: Ledger | None = None
        self._seen = ("", ())  # sha256 and entries of a YAML that holds a hand edit

    # -- reading

    def open(self) -> Playbook:
        """The playbook as YAML and journal have it. BadPlaybook or NewerPlaybook where they cannot be read."""
        with self._held():
            return self._current().playbook

    @property
    def playbook(self) -> Playbook:
        """The newest version this store knows of; never blocks, once it was opened."""
        return self._ledger.playbook if self._ledger else self.open()

    def refresh(self) -> Playbook:
        """The newest version, with what other processes and hand edits brought."""
        with self._held():
            ledger = self._current()
            self._notice_hand_edit(ledger)
            return ledger.playbook
