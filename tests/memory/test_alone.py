"""Memory in one call: a bounded window for any list, and errors that say what to do."""

from __future__ import annotations

import pytest

from ctxeng.errors import BadInput
from ctxeng.memory.alone import open_memory
from ctxeng.message import assistant, user
from ctxeng.turn import Scope
from transcripts import invalid, transcript


def test_a_long_list_stays_within_the_limit_at_every_step():
    memory, messages = open_memory(limit=600), []
    for number in range(80):
        messages += [
            user(f"question {number} " + "word " * 20),
            assistant(f"answer {number} " + "word " * 20),
        ]
        window = memory.compact(messages)
        assert sum(memory.price(message) for message in window) <= 600
    assert len(memory.session(Scope(session="default")).view.records) == 160


def test_broken_lists_become_valid_windows():
    memory = open_memory(limit=400)
    for seed in range(150):
        messages = transcript(seed, 30)
        scope = Scope(session=f"s{seed}")
        for end in range(0, len(messages) + 1, 3):
            assert not invalid(memory.compact(messages[:end], scope))


def test_a_limit_that_holds_nothing_and_a_url_that_is_none_are_refused():
    with pytest.raises(BadInput, match="give 256 or more"):
        open_memory(limit=100)
    with pytest.raises(BadInput, match="sqlite"):
        open_memory("mongodb://nowhere")
