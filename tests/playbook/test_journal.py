"""The journal's lines: chained, torn, joined by git."""

import hashlib
import itertools
import random

import pytest

from ctxeng.errors import BadPlaybook
from ctxeng.playbook.delta import Add, Tag
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.journal import Body, Lines, decode, encode, heads, ordered

BODY = Body(by="ace", deltas=(Add(entry=Entry(id="x-aaaaa", text="a\nb \u2028 ü")),), why="w")


def chain(count, prev="", name="main"):
    lines = []
    for number in range(count):
        line, prev = encode(
            prev, Body(why=f"{name} {number}", deltas=(Tag(id="x-aaaaa", votes={"helpful": 1}),))
        )
        lines.append(line)
    return lines, prev


def test_a_record_is_one_line_and_comes_back():
    line, digest = encode("", BODY)
    assert line.count(b"\n") == 1
    [record] = decode(line, "j").records
    assert (record.body, record.hash, record.prev, record.line, record.start) == (BODY, digest, "", 1, 0)


def test_records_know_where_they_start():
    lines, _ = chain(3)
    records = decode(b"".join(lines), "j", 5, 100).records
    assert [record.line for record in records] == [5, 6, 7]
    assert records[2].start == 100 + len(lines[0]) + len(lines[1])


@pytest.mark.parametrize("cut", [1, 10, 80, 150, 200])
def test_a_torn_last_line_is_skipped_and_said(cut):
    lines, _ = chain(3)
    torn = lines[2][:cut]
    read = decode(b"".join(lines[:2]) + torn, "j")
    assert len(ordered(read, "j")) == 2
    assert read.notes == [f"j:3: skipped a torn line of {cut} bytes"]
    after, _ = chain(1, read.records[-1].hash)
    assert len(ordered(decode(b"".join([*lines[:2], torn, b"\n", *after]), "j"), "j")) == 3


def test_a_changed_record_in_the_middle_is_an_error_with_its_line_and_a_way_out():
    lines, _ = chain(4)
    lines[1] = lines[1].replace(b"helpful", b"harmful")
    with pytest.raises(BadPlaybook, match=r"j:3: the journal is damaged.*j:2.*restore the file from git"):
        ordered(decode(b"".join(lines), "j"), "j")
    with pytest.raises(BadPlaybook, match="j:2: the journal is damaged"):
        ordered(decode(b"".join([lines[0], lines[2], lines[3]]), "j"), "j")


def test_a_whole_record_of_a_later_library_is_not_taken_for_a_torn_one():
    line, _ = encode("", BODY)
    head, _, body = line.partition(b'","hash":"')
    written = b"{" + body[66:].replace(b'"op":"add"', b'"op":"fly"')
    digest = hashlib.sha256(written.rstrip(b"\n")).hexdigest().encode()
    with pytest.raises(BadPlaybook, match="later version"):
        decode(head + b'","hash":"' + digest + b'",' + written[1:], "j")


def test_branches_that_git_joined_have_one_order_whatever_the_lines():
    stem, tip = chain(2)
    ours, _ = chain(3, tip, "ours")
    theirs, _ = chain(2, tip, "theirs")
    reference = None
    for order in itertools.permutations([ours, theirs]):
        lines = [*stem, *itertools.chain(*order), *stem]  # a union may repeat lines
        read = decode(b"".join(lines), "j")
        assert len(read.records) == 7
        whys = [record.body.why for record in ordered(read, "j")]
        assert reference in (None, whys)
        reference = whys
        random.Random(7).shuffle(read.records)
        assert [record.body.why for record in ordered(read, "j")] == reference
        assert len(heads(read.records)) == 2
    assert sorted(reference[2:5]) in (["ours 0", "ours 1", "ours 2"], ["ours 0", "theirs 0", "theirs 1"])


def test_a_record_that_joins_branches_comes_behind_both():
    stem, tip = chain(1)
    ours, left = chain(2, tip, "ours")
    theirs, right = chain(2, tip, "theirs")
    joint, _ = encode(left, Body(why="joint", also=(right,)))
    read = decode(b"".join([joint, *theirs, *ours, *stem]), "j")
    assert ordered(read, "j")[-1].body.why == "joint"
    assert len(heads(read.records)) == 1


def test_conflict_markers_of_git_are_skipped():
    stem, tip = chain(1)
    ours, _ = chain(1, tip, "ours")
    theirs, _ = chain(1, tip, "theirs")
    lines = [*stem, b"<<<<<<< HEAD\n", *ours, b"=======\n", *theirs, b">>>>>>> branch\n"]
    read = decode(b"".join(lines), "j")
    assert len(ordered(read, "j")) == 3
    assert len(read.notes) == 3


def test_records_may_build_on_those_known_already():
    lines, _ = chain(1, "f" * 64)
    assert len(ordered(decode(b"".join(lines), "j"), "j", known=["f" * 64])) == 1
    assert ordered(Lines([], []), "j") == []


def test_words_that_utf_8_cannot_hold_do_not_stop_a_record():
    line, _ = encode("", Body(why="half \ud800 a pair", by='a \u2028 "name"'))
    [record] = decode(line, "j").records
    assert (record.body.why, record.body.by) == ("half ? a pair", 'a \u2028 "name"')
