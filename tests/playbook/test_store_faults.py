"""The store: many processes, and processes that die."""

import itertools
import random
import signal
import subprocess
import sys
import time

import pytest

from ctxeng.playbook.delta import Tag
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.journal import decode, ordered
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import dump, parse

WRITER = """
import sys
from ctxeng.playbook.delta import Add, Tag, Update
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.store import PlaybookStore

path, name, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
store = PlaybookStore(path)
store.open()
for number in range(count):
    base = store.playbook.version
    deltas = [Tag(id="shared-aaaaa", votes={"helpful": 1, name: 1}, base=base)]
    if number % 2:
        entry = Entry(id=f"{name}-{number}-aaaaa", text=f"{name} learned {number}")
        deltas.append(Add(entry=entry, base=base))
    store.apply(deltas, by=name, key=f"{name} {number}")
    print(number, flush=True)
    if number % 10 == 9 and pause == "commit":
        store.commit()
store.close()
"""


def start(path, name, count, pause="commit"):
    command = [sys.executable, "-c", WRITER, str(path), name, str(count), pause]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shared.yaml"
    path.write_text("# ours\nentries:\n" + dump(Entry(id="shared-aaaaa", text="Everybody's."), "  "))
    return path


def check_nothing_lost(path, processes, count):
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    playbook = PlaybookStore(path, cache=False).open()
    assert playbook.votes("shared-aaaaa")["helpful"] == len(processes) * count
    assert len(playbook) == 1 + len(processes) * (count // 2)
    assert PlaybookStore(path).open() == playbook
    assert parse(path.read_text()).entries == playbook.own
    assert path.read_text().startswith("# ours\n")


def test_eight_processes_lose_nothing(path):
    check_nothing_lost(path, [start(path, f"w{number}", 100) for number in range(8)], 100)


@pytest.mark.slow
def test_eight_processes_of_a_thousand_deltas_lose_nothing(path):
    began = time.monotonic()
    check_nothing_lost(path, [start(path, f"w{number}", 1000, "none") for number in range(8)], 1000)
    print(f"8 x 1,000 deltas in {time.monotonic() - began:.1f} s")


def test_kill_9_at_random_moments_loses_nothing_that_was_acknowledged(path):
    chance = random.Random(3)
    acknowledged = -1
    for _ in range(6):
        process = start(path, "w", 100_000, chance.choice(["commit", "none"]))
        seen = chance.randrange(1, 60)
        for line in process.stdout:
            acknowledged = max(acknowledged, int(line))
            seen -= 1
            if not seen:
                break
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        whole = rest[: rest.rfind("\n") + 1].split()
        acknowledged = max([acknowledged, *map(int, whole)])
        votes = PlaybookStore(path).open().votes("shared-aaaaa")["helpful"]
        assert votes in {acknowledged + 1, acknowledged + 2}, "the last one may be written and not yet said"
    journal = path.with_name("shared.journal.jsonl")
    records = ordered(decode(journal.read_bytes(), "j"), "j")
    assert all(after.prev == before.hash for before, after in itertools.pairwise(records))


def test_a_run_that_was_killed_and_run_again_ends_as_one_that_was_not(path, tmp_path):
    straight = tmp_path / "straight" / "shared.yaml"
    straight.parent.mkdir()
    straight.write_text(path.read_text())
    start(straight, "w", 120).communicate()
    chance = random.Random(5)
    while True:
        process = start(path, "w", 120)
        for _, _line in zip(range(chance.randrange(5, 60)), process.stdout, strict=False):
            pass
        if chance.random() < 0.7:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
    assert PlaybookStore(path).open() == PlaybookStore(straight).open()
    assert path.read_text() == straight.read_text()


def test_a_child_that_was_forked_does_not_share_its_parents_lock(path):
    script = """
import os, sys
from ctxeng.playbook.delta import Tag
from ctxeng.playbook.store import PlaybookStore
store = PlaybookStore(sys.argv[1])
store.apply([Tag(id="shared-aaaaa", votes={"helpful": 1})], by="parent")
children = []
for number in range(4):
    child = os.fork()
    if not child:
        for _ in range(25):
            store.apply([Tag(id="shared-aaaaa", votes={"helpful": 1})], by="child")
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
assert store.refresh().votes("shared-aaaaa") == {"helpful": 101}
store.close()
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


def test_power_loss_between_the_yaml_and_its_commit_record_is_mended(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="shared-aaaaa", votes={"helpful": 1})], by="ace")
        before = store.playbook
    journal = path.with_name("shared.journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            assert store.playbook == before
            assert store.log(limit=1)[0].body.by == "ace"
