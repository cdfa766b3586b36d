"""What every test that asks litellm needs."""

import asyncio

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_stray_loop():
    """After one asyncio.run, litellm's get_event_loop no longer makes a loop that nobody closes."""
    asyncio.run(asyncio.sleep(0))
