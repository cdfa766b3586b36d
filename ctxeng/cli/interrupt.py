"""Ctrl-C between two tasks, where everything is kept, and not in the middle of somebody's C code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """A check that raises KeyboardInterrupt once Ctrl-C was pressed; a second Ctrl-C does so at once.

    An interrupt that arrives inside a compiled library can be swallowed there, and the run would go on.
    """
    pressed = threading.Event()

    def note(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's arguments
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check  # only the main thread may set a handler
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
