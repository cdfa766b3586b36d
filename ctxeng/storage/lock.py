"""A lock that threads and processes share, cheap enough to take for every delta."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from ctxeng.errors import StoreLocked

if sys.platform == "win32":
    from filelock import FileLock
else:
    import fcntl

_FIRST_PAUSE, _LONGEST_PAUSE = 0.000_05, 0.002  # seconds


class ProcessLock:
    """`with` holds it; StoreLocked after `timeout` seconds of waiting. Not re-entrant.

    On POSIX it is flock(2) on a descriptor that stays open, on Windows the filelock library. The kernel
    frees it when its holder dies, so there is no stale lock to mend.
    """

    # Why not filelock everywhere: it opens, stats and closes the file each time (see figures in
    # tests/storage/test_lock.py), where flock on an open descriptor is two system calls.

    def __init__(self, path: Path | str, timeout: float = 30.0) -> None:
        self.path, self.timeout = Path(path), timeout
        self._threads = threading.Lock()  # flock does not keep threads of one descriptor apart
        self._descriptor = -1
        self._process = 0

    def __enter__(self) -> None:
        give_up = time.monotonic() + self.timeout
        if not self._threads.acquire(timeout=self.timeout):
            raise StoreLocked(f"{self.path}: another thread has held the store for {self.timeout:g} s")
        try:
            self._lock(give_up)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._unlock()
        finally:
            self._threads.release()

    def close(self) -> None:
        """The descriptor is closed; the next `with` opens it again."""
        if self._descriptor >= 0 and self._process == os.getpid():
            os.close(self._descriptor)
        self._descriptor = -1

    if sys.platform == "win32":

        def _lock(self, give_up: float) -> None:
            self._file_lock = FileLock(self.path)
            try:
                self._file_lock.acquire(timeout=max(0.0, give_up - time.monotonic()))
            except TimeoutError as error:
                raise StoreLocked(self._sentence()) from error

        def _unlock(self) -> None:
            self._file_lock.release()

    else:

        def _lock(self, give_up: float) -> None:
            if self._process != os.getpid():  # a forked child would share its parent's lock
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
                self._process = os.getpid()
            elif self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            pause = _FIRST_PAUSE
            while True:
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    if time.monotonic() > give_up:
                        raise StoreLocked(self._sentence()) from error
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                else:
                    return

        def _unlock(self) -> None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _sentence(self) -> str:
        return f"{self.path}: another process has held the store for {self.timeout:g} s"
