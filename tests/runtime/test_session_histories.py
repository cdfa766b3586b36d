"""Sessions through histories at random, failures among them: answers are those of a fresh reading."""

import random

import pytest

from ctxeng.errors import CacheFull, Cancelled
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.session import Session
from ctxeng.runtime.speculative import PromptLookup
from tiny_model import tiny, tokens

STEPS = 40
MEMORY = {"dense": 1 << 20, "int8": 3 << 18, "int4": 5 << 17}  # bytes: some of it does not fit


@pytest.fixture(scope="module")
def decoder():
    return tiny()


class Walk:
    """Some sessions of one engine; another engine, with all the room it wants, knows what they should say."""

    def __init__(self, engine, fresh, plan, seed):
        self.engine, self.fresh, self.plan, self.rng = engine, fresh, plan, random.Random(seed)
        self.sessions = [Session(engine, plan)]

    def step(self, number, folder):
        session = self.rng.choice(self.sessions)
        move = self.rng.choice(["say", "say", "extend", "fork", "crop", "close", "save", "cancel", "draft"])
        if move in ("say", "draft"):
            self.say(session, number, draft=move == "draft")
        elif move == "extend":
            least = [0] if session.tokens else [1]
            new = tokens(self.rng.choice([*least, 1, 63, 64, 65, 130]), number)
            self.fitting(lambda: session.extend(new))
        elif move == "fork" and len(self.sessions) < 4:
            made = self.fitting(session.fork)
            self.sessions += [made] if made else []
        elif move == "crop":
            length = self.rng.randint(0, len(session.tokens))
            self.fitting(lambda: session.crop(length))
        elif move == "close" and len(self.sessions) > 1:
            self.sessions.remove(session)
            session.close()
        elif move == "save":
            self.reopen(session, folder / f"{number}.json")
        elif move == "cancel":
            handle = self.fitting(lambda: session.generate(tokens(70, number), Generate(40)))
            if handle:
                handle.cancel()
                self.fitting(handle.result)

    def say(self, session, number, *, draft):
        before = list(session.tokens)
        new = tokens(self.rng.choice([1, 5, 60, 64, 70]), number)
        if draft:
            new = [*new, *new]  # something to guess from
        ask = Generate(6, drafter=PromptLookup() if draft else None)
        said = self.fitting(lambda: session.generate(new, ask).result())
        if said is None:
            return
        assert session.tokens == [*before, *new, *said[0]]
        assert said[0] == self.fresh.submit([*before, *new], Generate(6), self.plan).result()[0]

    def reopen(self, session, path):
        if self.fitting(lambda: session.save(path) or True):
            self.sessions.remove(session)
            held = session.tokens
            session.close()
            self.sessions.append(Session.open(self.engine, path, self.plan))
            assert self.sessions[-1].tokens == held

    @staticmethod
    def fitting(call):
        """What it gives; None where there is no room, or it was cancelled."""
        try:
            return call()
        except (CacheFull, Cancelled):
            return None


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happened_before_an_answer_is_that_of_a_fresh_reading(decoder, tmp_path, codec, seed):
    plan = CachePlan(codec)
    with (
        Engine(decoder, memory=MEMORY[codec], store=PrefixStore(tmp_path / "blocks", 8)) as engine,
        Engine(decoder, memory=64 << 20) as fresh,
    ):
        walk = Walk(engine, fresh, plan, seed)
        for number in range(STEPS):
            walk.step(number, tmp_path)
        for session in walk.sessions:
            session.close()
        stored = len(engine.store) * decoder.config.layers * decoder.config.kv_heads
        assert engine.describe()["blocks_in_use"] == stored
    assert engine.describe()["cache_used"] == 0
