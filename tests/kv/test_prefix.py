"""Stored prefixes: found by what came before, refused where they are not what they say."""

import pytest
import torch
from safetensors.torch import save_file

from ctxeng.kv.prefix import PrefixStore, chain
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from tiny_model import greedy, tiny, tokens

MEMORY = 1 << 24


@pytest.fixture(scope="module")
def decoder():
    return tiny()


def ask(engine, prompt, count=4, plan=None):
    handle = engine.submit(prompt, Generate(count), plan or CachePlan())
    found = [token.id for token in handle]
    return found, handle.report


def test_a_name_depends_on_all_tokens_before_and_on_the_key():
    names = chain("key", tokens(200))
    assert len(names) == 3
    assert chain("key", tokens(150)) == names[:2]
    changed = tokens(200)
    changed[10] += 1
    assert not set(chain("key", changed)) & set(names)
    assert not set(chain("other", tokens(200))) & set(names)


def test_prompts_share_their_common_blocks(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        ask(engine, tokens(130))
        stored = engine.describe()["cache_used"]
        _, report = ask(engine, [*tokens(130), *tokens(70, 1)])
        assert report.cached == 128
        assert engine.describe()["cache_used"] <= stored * 1.6


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
def test_blocks_on_disk_serve_the_next_process(decoder, tmp_path, codec):
    plan = CachePlan(codec)
    with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        want, _ = ask(engine, tokens(200), plan=plan)
    with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        found, report = ask(engine, tokens(200), plan=plan)
        assert (found, report.cached) == (want, 192)
        assert engine.store.refused == []


def spoil_bytes(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 255
    path.write_bytes(data)


def spoil_length(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil_kind(path):
    save_file({"array0": torch.zeros(2)}, path)


def spoil_all(path):
    path.write_bytes(b"nothing of the kind")


@pytest.mark.parametrize("spoil", [spoil_bytes, spoil_length, spoil_kind, spoil_all])
def test_a_file_that_is_not_what_it_says_is_refused_and_its_block_read_anew(decoder, tmp_path, spoil):
    with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        want, _ = ask(engine, tokens(200))
        second = chain(engine.key(CachePlan(), 0), tokens(200))[1]
    spoil(tmp_path / f"{second}.safetensors")
    with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
        found, report = ask(engine, tokens(200))
        assert (found, report.cached) == (want, 64)
        assert second in engine.store.refused[0]


def test_blocks_of_another_model_are_not_found(tmp_path):
    for seed in (0, 1):
        decoder = tiny(seed)
        decoder = type(decoder)(**{**vars(decoder), "fingerprint": f"model {seed}"})
        with Engine(decoder, memory=MEMORY, store=PrefixStore(tmp_path)) as engine:
            found, report = ask(engine, tokens(200))
            assert report.cached == 0
            assert found == greedy(decoder, tokens(200), 4)


def test_a_limit_drops_what_was_of_no_use_for_longest_and_ends_before_beginnings(decoder):
    with Engine(decoder, memory=MEMORY, store=PrefixStore(limit=4)) as engine:
        ask(engine, tokens(130))
        ask(engine, tokens(200, 1))
        assert len(engine.store) == 4
        _, report = ask(engine, tokens(200, 1))
        assert report.cached == 192
        _, report = ask(engine, tokens(130))
        assert report.cached == 64


def test_requests_that_do_not_want_it_neither_look_nor_leave(decoder):
    with Engine(decoder, memory=MEMORY) as engine:
        ask(engine, tokens(200), plan=CachePlan(reuse=False))
        assert len(engine.store) == 0
        ask(engine, tokens(200))
        _, report = ask(engine, tokens(200), plan=CachePlan(reuse=False))
        assert report.cached == 0
