"""A suite with a hosted model is recorded once and replayed with neither server nor key."""

import asyncio

import pytest

from ctxeng_evals.log import ResultLog
from hosted import MARKS
from small_suites import LINES, dataset, plan, results, run

pytestmark = MARKS


@pytest.fixture(autouse=True)
def no_stray_loop():
    asyncio.run(asyncio.sleep(0))


def hosted(folder, url, **options):
    (folder / "app.yaml").write_text(
        f"ctxeng: 1\nplaybook: app\nmodels: {{answer: {{id: openai/tiny, base_url: '{url}', retries: 0}}}}\n"
    )
    given = {"cassette": "tape.jsonl", **options}
    return plan(
        folder,
        dataset=dataset(folder, LINES[:4]),
        subjects={"app": {"app": "app.yaml", "with": given}},
        metrics=["exact", "tokens_in", "tokens_out", "tokens_cached", "tokens_in.answer"],
        workers=2,
    )


def test_what_was_recorded_is_replayed_with_the_same_results(wire, tmp_path):
    for number in range(4):
        wire.say(f"thing-{number}")
    made = hosted(tmp_path, wire.url)
    assert run(made, tmp_path / "first", mode="record").failed == 0
    assert len(wire.requests) == 4
    assert run(made, tmp_path / "again", mode="replay").failed == 0
    assert len(wire.requests) == 4
    assert results(tmp_path / "again") == results(tmp_path / "first")
    record = next(ResultLog(tmp_path / "again").records())
    assert record["scores"]["tokens_in"] == record["scores"]["tokens_in.answer"] == 100
    assert record["scores"]["tokens_cached"] == 40


def test_a_case_that_was_not_recorded_fails_and_says_what_changed(wire, tmp_path):
    for number in range(4):
        wire.say(f"thing-{number}")
    run(hosted(tmp_path, wire.url), tmp_path / "first", mode="record")
    made = hosted(tmp_path, wire.url, set={"context.system": "Be brief."})
    assert run(made, tmp_path / "changed", mode="replay").failed == 4
    errors = {record["error"].split(":")[0] for record in ResultLog(tmp_path / "changed").records()}
    assert errors == {"CassetteMiss"}


def test_a_server_that_fails_makes_failed_cases(wire, tmp_path):
    wire.say("thing-0").fail(500).say("thing-2").fail(400, "no")
    made = hosted(tmp_path, wire.url)
    made = type(made)(made.suite.model_copy(update={"workers": 1}), made.folder)
    assert run(made, tmp_path / "run", mode="record").failed == 2
