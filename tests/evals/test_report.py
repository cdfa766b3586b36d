"""A report says what the run found, worst first, and nothing that a model wrote can do more than be read."""

import dataclasses
import json
import re
from xml.etree import ElementTree as ET

import pytest

from ctxeng_evals.criteria import Verdict
from ctxeng_evals.log import ResultLog
from ctxeng_evals.report.breakdown import Curve
from ctxeng_evals.report.html import embedded, page
from ctxeng_evals.report.junit import junit
from ctxeng_evals.report.markdown import markdown
from ctxeng_evals.report.pareto import frontier
from ctxeng_evals.report.plots import plots
from ctxeng_evals.report.view import view_of
from ctxeng_evals.run import Run
from ctxeng_evals.stats import Estimate
from small_suites import LINES, dataset, plan, run

OWNED = "document.title='owned'"
HOSTILE = f'</script><script>{OWNED}</script><img src=x onerror="{OWNED}">\u2028\x00\x1b'
CRITERIA = (
    Verdict("recall of bm25 >= 0.5", ok=True),
    Verdict("recall of | recency | >= 2 \ud800\x07", ok=False),
)


def suite(folder, **fields):
    fields.setdefault("by", ["parity"])
    return plan(
        folder,
        subjects={
            "bm25": {"select": "bm25"},
            "recency": {"select": "recency"},
            "flaky": {"python": "small_suites:fails_sometimes", "sweep": {}},
        },
        sweep={"budget": [12, 25]},
        metrics=["exact", "all_gold", "tokens"],
        **fields,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of real subjects, one of which fails for one case."""
    folder = tmp_path_factory.mktemp("report")
    made = suite(folder)
    run(made, folder / "run")
    return made, folder / "run"


def by_hand(made, out, records):
    """A run of these records."""
    out.mkdir()
    job = Run(made, out)
    job._claim()
    with ResultLog(out) as log:
        log.add([{"slot": slot, "seconds": 0.01, **record} for slot, record in enumerate(records)])
    job.summarize()
    return out


def data(text):
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def summary(out):
    return json.loads((out / "summary.json").read_text())


def test_failures_come_first_then_the_lowest_scores_in_the_order_of_the_run(done):
    made, out = done
    rows = view_of(out, made).listing.rows
    failed = ["x" in row["e"][0] for row in rows]
    scores = [row["e"][0]["s"][0] for row in rows if row["e"][0]["s"] and row["e"][0]["s"][0] is not None]
    assert len(rows) == made.total()
    assert sum(failed) == 1
    assert failed[0]
    assert scores == sorted(scores)


def test_a_page_needs_nothing_from_anywhere(done):
    made, out = done
    text = page(view_of(out, made, criteria=CRITERIA))
    assert set(re.findall(r"[a-z]+://[^\s\"'<>)]*", text)) == {"http://www.w3.org/2000/svg"}
    assert all(place.startswith("#") for place in re.findall(r"url\((.*?)\)", text))
    assert "default-src 'none'" in text
    assert not re.search(r"<(link|iframe|object|embed|base)\b|@import|\bsrc=", text)


def test_equal_input_gives_equal_bytes_and_every_id_is_given_once(done):
    made, out = done
    first, second = (page(view_of(out, made, criteria=CRITERIA)) for _ in range(2))
    assert first == second
    ids = re.findall(r'<[^>]*\bid="([^"]+)"', first.split('id="data"')[0])
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', first))
    assert used <= {*ids, "cases"}


def test_the_figures_of_the_page_are_the_summary_s(done):
    made, out = done
    text = page(view_of(out, made))
    for column in summary(out)["columns"]:
        for figure in filter(None, column["metrics"].values()):
            assert f"{figure['mean']:.3f}" in text or f"{figure['mean']:,.0f}" in text
    assert "cases.jsonl" not in text
    assert "cases: exact by parity" in text
    assert text.count('role="img"') == len(re.findall("<figure>", text)) == 3


def test_texts_stand_once_and_rows_refer_to_them(done):
    made, out = done
    found = data(page(view_of(out, made)))
    texts, cases = found["texts"], found["cases"]
    assert len(texts) == len(set(texts))
    row = next(row for row in found["rows"] if row["e"][0].get("w") and cases[row["k"]]["id"] == "c7")
    assert texts[row["e"][0]["w"][0][4]] in {"Box 7 holds thing-7.", LINES[7]["items"][1]["text"]}
    assert cases[row["k"]]["q"] == "What does box 7 hold?"
    assert [ref for ref, _ in cases[row["k"]]["g"]] == ["g7"]


def test_details_end_where_their_room_does_worst_rows_keep_theirs(done):
    made, out = done
    view = view_of(out, made, detail_bytes=3_000)
    detailed = ["f" in row for row in view.listing.rows]
    assert 0 < sum(detailed) < len(detailed)
    assert detailed == sorted(detailed, reverse=True)
    assert all("b" in row["e"][0] for row in view.listing.rows if "x" not in row["e"][0] and row["c"] < 4)
    assert any(f"The {sum(detailed)} worst rows have" in note for note in view.notes)
    assert len(json.dumps([view.listing.texts, view.listing.cases])) < 5_000


def test_a_dataset_that_is_gone_leaves_what_the_records_hold(tmp_path):
    made = suite(tmp_path)
    run(made, tmp_path / "run")
    again = suite(tmp_path)
    (tmp_path / "cases.jsonl").unlink()
    view = view_of(tmp_path / "run", again)
    assert "cannot be opened any more" in view.notes[0]
    assert len(view.listing.rows) == 60
    assert "What does box" not in page(view)


def test_a_dataset_that_changed_since_the_run_is_told_of(tmp_path):
    run(suite(tmp_path), tmp_path / "run")
    changed = suite(tmp_path, dataset=dataset(tmp_path, LINES[:5]))
    view = view_of(tmp_path / "run", changed)
    assert "have changed since this run" in view.notes[0]
    assert len(view.listing.rows) == 60


def test_two_runs_stand_side_by_side_matched_by_column_and_case(tmp_path):
    made = plan(tmp_path, subjects={"s": {"python": "small_suites:target"}}, metrics=["exact"])
    run(made, tmp_path / "before")
    worse = plan(tmp_path, subjects={"s": {"python": "small_suites:fails_sometimes"}}, metrics=["exact"])
    run(worse, tmp_path / "after")
    view = view_of(tmp_path / "after", worse, other=(tmp_path / "before", made))
    assert view.runs == ("before", "after")
    assert [row.get("z", 0) for row in view.listing.rows] == [1, 1, *[0] * 10]
    old, new = view.listing.rows[0]["e"]
    assert (old["s"], new["x"]) == ([1.0], "RuntimeError: out of paper")
    text = page(view)
    assert "Two runs side by side" in text
    assert 'id="changed"' in text
    assert "-0.091 (" in text


def test_what_models_wrote_is_text(tmp_path):
    lines = [{**LINES[0], "question": HOSTILE, "target": HOSTILE, "tags": {HOSTILE: HOSTILE}}]
    made = plan(tmp_path, dataset=dataset(tmp_path, lines), subjects={"s": {"python": "small_suites:target"}})
    window = [[HOSTILE, HOSTILE, "", 3, HOSTILE]]
    said = {"answer": {HOSTILE: [HOSTILE, float("nan")]}, "window": window, "spent": {HOSTILE: 3}}
    record = {"column": 0, "case": "c0", "scores": {}, "error": HOSTILE, **said}
    out = by_hand(made, tmp_path / "run", [record])
    view = view_of(out, made, criteria=[Verdict(f"{HOSTILE}\ud800", ok=False)])
    view = dataclasses.replace(view, about=HOSTILE, title=HOSTILE)
    text = page(view)
    text.encode()
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert not re.search("[\x00-\x08\u2028\ud800]", text.split('id="data"')[1])
    assert data(text)["rows"][0]["e"][0]["a"] == {HOSTILE: [HOSTILE, None]}


def test_json_in_a_page_holds_nothing_that_could_end_it():
    text = str(embedded({"a": "</script><!-- & \u2028\u2029", "b": float("inf")}))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028\u2029", "b": None}


def test_markdown_has_the_summary_s_figures_with_the_best_in_bold(done):
    _, out = done
    found = summary(out)
    text = markdown(found, CRITERIA)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(found["columns"])
    for column in found["columns"]:
        point = "".join(f" (budget {value})" for value in column["point"].values())
        (row,) = [line for line in rows if line.startswith(f"| {column['subject']}{point} |")]
        for figure in filter(None, column["metrics"].values()):
            assert f"{figure['mean']:.3f}" in row
        assert row.endswith(f"| {column['failed']} of {column['cases']} |")
    best = max(c["metrics"]["all_gold"]["mean"] for c in found["columns"] if c["point"] == {"budget": 12})
    assert f"**{best:.3f}**" in text
    assert "1 of 2 criteria fulfilled; 1 of 60 cases failed." in text
    assert r"**FAIL**: recall of \| recency \|" in text


def test_junit_agrees_with_the_summary(done):
    made, out = done
    root = ET.fromstring(junit(made, ResultLog(out), CRITERIA))
    suites = {each.get("name"): each for each in root}
    for column in summary(out)["columns"]:
        mine = suites[column["name"]]
        assert int(mine.get("tests")) == len(mine) == column["cases"]
        assert int(mine.get("errors")) == column["failed"]
        assert float(mine.get("time")) > 0
    (error,) = root.iter("error")
    assert (error.get("type"), error.get("message")) == ("RuntimeError", "out of paper")
    assert suites["criteria"].get("failures") == "1"
    assert "\N{REPLACEMENT CHARACTER}" in suites["criteria"][1].get("name")
    assert int(root.get("tests")) == made.total() + 2


def test_junit_holds_what_xml_cannot(tmp_path):
    made = plan(tmp_path, subjects={"s": {"python": "small_suites:target"}}, metrics=["exact"])
    record = {"column": 0, "case": "c0", "scores": {}, "error": f"Bad: {HOSTILE}\uffff"}
    out = by_hand(made, tmp_path / "run", [record, {"column": 0, "case": "c0", "repeat": 1, "scores": {}}])
    root = ET.fromstring(junit(made, ResultLog(out)))
    assert [case.get("name") for case in root.iter("testcase")] == ["c0", "c0 (repeat 2)"]
    assert OWNED in root.find(".//error").text


def test_a_column_that_learns_has_a_curve(tmp_path):
    (tmp_path / "app.yaml").write_text("")
    subjects = {"before": {"app": "app.yaml"}, "learning": {"app": "app.yaml", "with": {"learn": True}}}
    lines = [{"id": f"c{number}", "question": "?", "target": "a"} for number in range(40)]
    made = plan(tmp_path, dataset=dataset(tmp_path, lines), subjects=subjects, metrics=["exact"])
    records = [
        {"column": column, "case": f"c{case}", "scores": {"exact": float(column and case > 19)}}
        for column in (0, 1)
        for case in range(40)
    ]
    view = view_of(by_hand(made, tmp_path / "run", records), made)
    assert [curve.learns for curve in view.curves] == [False, True]
    assert [tenth.mean for tenth in view.curves[1].tenths] == [0.0] * 5 + [1.0] * 5
    (group,) = plots(view)
    assert group.title == "Learning"
    assert "learning from 0.000 to 1.000" in group.panels[0].svg


def test_plots_escape_names_follow_the_theme_and_are_left_out_where_there_is_nothing_to_say(done):
    made, out = done
    view = view_of(out, made)
    tenths = (Estimate(0.5, 0.4, 0.6, 9, 9),) * 10
    hostile = Curve("$\\frac{<b>", "_<b>\U0001f600$", "exact", learns=True, tenths=tenths)
    groups = plots(dataclasses.replace(view, curves=(hostile,)))
    drawn = [str(panel.svg) for group in groups for panel in group.panels]
    assert [group.title for group in groups] == [
        "Against budget",
        "Learning",
        "Quality and size of the window",
    ]
    assert all("<b>" not in each and "#0a0" not in each and "var(--series-1)" in each for each in drawn[:1])
    assert all(ET.fromstring(each) is not None for each in drawn)
    bare = {**view.summary, "columns": [{**view.summary["columns"][0]}]}
    assert plots(dataclasses.replace(view, summary=bare)) == ()


def test_the_frontier_holds_what_nothing_smaller_beats():
    points = {"a": (10, 0.5), "b": (20, 0.4), "c": (20, 0.7), "d": (30, 0.7), "e": (9, 0.1)}
    assert frontier(points, higher=True) == ["e", "a", "c"]
    assert frontier(points, higher=False) == ["e"]
