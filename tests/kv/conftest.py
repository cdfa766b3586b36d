"""One engine for all tests of a module."""

import pytest

from ctxeng.runtime.engine import Engine
from kv_sessions import DECODER


@pytest.fixture(scope="module")
def engine():
    with Engine(DECODER, memory=1 << 25, chunk=100) as engine:
        yield engine
