import pytest

from ctxeng.tokens import Exact
from ctxeng_evals import registry
from ctxeng_evals.bench.clipping import AIRLINE, CODE, Replay, half, rows_of, transcript
from ctxeng_evals.case import Case, Item

BYTES = Exact("bytes", lambda text: len(text.encode()))


def case(*messages):
    items = tuple(Item(id=str(at), role=role, text=text) for at, (role, text) in enumerate(messages))
    return Case(id="c", question="q", items=items, group="g")


LONG = (
    '{"name": "' + "so it goes " * 60 + '", "code": "XK42", "late": "ZQ99", "end": "' + "and on " * 60 + '"}'
)
STORY = case(
    ("system", "Be kind."),
    ("user", "What is my code? My id is ann_1."),
    ("assistant", 'look({"id": "ann_1"})'),
    ("tool", LONG),
    ("assistant", 'book({"code": "XK42", "id": "ann_1", "count": 12})'),
    ("tool", "done"),
    ("assistant", 'book({"code": "XK42"})'),
)


def test_only_values_that_results_alone_had_are_counted_and_each_once():
    needs = list(Replay(transcript(STORY), 200, BYTES).needs("g"))
    assert [(need.kept, need.middle, need.read) for need in needs] == [(True, False, True)]


def test_a_value_of_a_result_that_was_not_cut_is_not_at_risk():
    assert list(Replay(transcript(STORY), 5_000, BYTES).needs("g")) == []


def test_the_query_of_a_clip_holds_nothing_that_came_later():
    replay = Replay(transcript(STORY), 200, BYTES)
    assert "XK42" not in replay.asked["3"]
    assert "ann_1" in replay.asked["3"]


def test_a_command_in_a_fence_is_a_call_and_what_follows_is_its_result():
    told = case(
        ("system", "Act."),
        ("user", "Fix it."),
        ("assistant", "I open it.\n```\nopen src/a.py 1474\n```"),
        ("user", "1474: x"),
    )
    assert [message.role for message in transcript(told)] == ["system", "user", "assistant", "result"]
    assert transcript(told)[2].values == ("open", "src/a.py", "1474")
    assert transcript(told)[2].thought == "I open it.\n"


def test_both_ways_stay_within_the_allowance():
    replay = Replay(transcript(STORY), 200, BYTES)
    assert all(max(spent.clipped, spent.middle) <= 200 or spent.full <= 200 for spent in replay.spent)


@pytest.mark.parametrize("name", [AIRLINE, CODE])
def test_the_halves_share_no_group(data, name):
    cases = registry.load(name).cases
    tuned, fresh = half(cases, tuned=True), half(cases, tuned=False)
    assert not {each.group for each in tuned} & {each.group for each in fresh}
    assert len(tuned) + len(fresh) == len(cases)


def test_more_is_kept_than_by_head_and_tail_on_what_was_not_tuned_on(data):
    counter = Exact("words", lambda text: len(text) // 3 + 1)
    cases = half(registry.load(AIRLINE).cases, tuned=False)
    rows = rows_of("a", [(each.group, transcript(each)) for each in cases], 256, counter, 0)
    values = {row.name: row.value for row in rows}
    assert values["a: values kept, by kind"] > values["a: values kept, head and tail"]
    assert values["a: values kept or found by one read"] >= values["a: values kept, by kind"]
