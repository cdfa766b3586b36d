"""A session as complete segments: cut where the model's view was edited, every record in one of them."""

from __future__ import annotations

from ctxeng.memory.compaction import Compaction
from ctxeng.memory.record import Pruned
from ctxeng.memory.segments import segments
from ctxeng.memory.trigger import Condition
from ctxeng.message import assistant, user
from ctxeng.tokens import Estimate
from sessions import Recording, call, price, result, session, words


def cut(held):
    return list(segments(held.view.records, held.view.edits, price))


def test_a_session_without_edits_is_one_open_segment():
    held = session(user("go"), assistant("gone"))
    (one,) = cut(held)
    assert (one.cut, one.start, one.end) == ("open", 1, 2)
    assert list(one.messages) == held.view.messages


def test_each_summary_ends_a_segment_that_shows_what_the_model_saw():
    policy = Compaction(Recording(), Estimate(), Condition("tokens", 60), keep=10, room=20)
    held = session(policies=(policy,))
    seen = []
    for number in range(12):
        held.append(
            [
                (f"q{number}", user(words(10, f"q{number}"))),
                (f"a{number}", assistant(words(10, f"a{number}"))),
            ]
        )
        seen.append(list(held.view.messages))
        held.compact()
    found = cut(held)
    summaries = [edit.text for edit in held.view.edits]
    assert [each.text for each in found] == [*summaries, ""]
    assert [each.cut for each in found[:-1]] == ["summarised"] * len(summaries)
    assert all(list(each.messages) in seen for each in found[:-1])
    spans = [number for each in found for number in range(each.start, each.end + 1)]
    assert spans == sorted(set(spans)) == list(range(1, 25))


def test_an_agents_edit_ends_a_segment_with_its_note():
    held = session(user("go"), call("a"), result("a"), assistant("done"))
    held.edit(Pruned(numbers=(3,), text="(it was 42)"))
    first, last = cut(held)
    assert (first.cut, first.text) == ("pruned", "(it was 42)")
    assert len(first.messages) == 4
    assert [message.text for message in last.messages] == ["go", "(it was 42)", "done"]
