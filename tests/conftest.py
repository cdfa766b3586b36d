"""Offline by construction: a socket to anywhere but this machine is an error."""

import os
import socket
from pathlib import Path

import pytest

from ctxeng.turn import Context, Section, user
from wire_server import serve

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
_connect = socket.socket.connect


def _only_loopback(self, address):
    host = address[0] if isinstance(address, tuple) else ""
    if self.family != socket.AF_UNIX and not str(host).startswith(_LOOPBACK):
        raise RuntimeError(f"a test tried to reach {address!r}: tests are offline by construction")
    return _connect(self, address)


socket.socket.connect = _only_loopback


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared real data; tests that need it skip with a reason where it is absent."""
    folder = Path(os.environ.get("CTXENG_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set CTXENG_DATA)")
    return folder


@pytest.fixture
def question() -> Context:
    """A context of one question."""
    return Context(sections=(Section(kind="query", source="request", body=user("What is up?")),))


@pytest.fixture
def wire():
    """A running server; script it with say, call and fail, then read what it was asked in `requests`."""
    with serve() as running:
        yield running
