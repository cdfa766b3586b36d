"""The local server that speaks the OpenAI format, for every test that wants one."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

_PATH = Path(__file__).parents[1] / "wire" / "server.py"


def _load():
    # by its path: test folders are no packages, and other people's distributions have a `tests` too
    spec = importlib.util.spec_from_file_location("ctxeng_test_wire", _PATH)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_SERVER = _load()


@pytest.fixture
def wire():
    """A running server; script it with say, call and fail, then read what it was asked in `requests`."""
    with _SERVER.serve() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def no_stray_loop():
    """After one asyncio.run, litellm's get_event_loop no longer makes a loop that nobody closes."""
    asyncio.run(asyncio.sleep(0))
