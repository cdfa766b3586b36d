"""The report in a browser: it opens fast, works by keyboard, is for everybody, and runs no strangers."""

import shutil
from pathlib import Path

import pytest

from ctxeng_evals.criteria import Verdict
from ctxeng_evals.log import ResultLog
from ctxeng_evals.report.html import page
from ctxeng_evals.report.view import view_of
from ctxeng_evals.run import Run
from small_suites import LINES, dataset, plan, run

api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
OPENED = 2_000  # milliseconds that 10,000 rows may take
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
SUBJECTS = {
    "bm25": {"select": "bm25"},
    "recency": {"select": "recency"},
    "flaky": {"python": "small_suites:fails_sometimes", "sweep": {}},
}


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(found).exists():
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=found, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def opened(browser):
    """Opens a file in a fresh page; the test fails where the page's console hears of an error."""
    errors, contexts = [], []

    def opener(path, scheme="light", **options):
        context = browser.new_context(color_scheme=scheme, **options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(path.as_uri())
        shown.wait_for_selector("html[data-ready]")
        return shown

    yield opener
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A page of one run, one of two."""
    folder = tmp_path_factory.mktemp("pages")
    fields = {"sweep": {"budget": [12, 25]}, "metrics": ["exact", "all_gold"], "by": ["parity"]}
    made = plan(folder, subjects=SUBJECTS, **fields)
    better = plan(
        folder, subjects={**SUBJECTS, "flaky": {"python": "small_suites:target", "sweep": {}}}, **fields
    )
    run(made, folder / "run")
    run(better, folder / "better")
    criteria = [Verdict("exact of flaky >= 0.5", ok=True), Verdict("exact of bm25 >= 0.5", ok=False)]
    one, two = folder / "one.html", folder / "two.html"
    one.write_text(page(view_of(folder / "run", made, criteria=criteria)))
    two.write_text(page(view_of(folder / "better", better, other=(folder / "run", made))))
    return one, two


def rows(shown):
    return shown.locator("#rows .row")


def test_filters_leave_the_rows_that_match(opened, files):
    shown = opened(files[0])
    assert rows(shown).count() == 60
    assert rows(shown).first.inner_text().startswith("failed")
    shown.select_option("#status", "failed")
    assert rows(shown).count() == 1
    shown.select_option("#status", "")
    shown.select_option("#subject", "recency")
    assert shown.locator("#count").inner_text() == "24 of 60 rows"
    shown.fill("#search", "BOX 7")
    assert rows(shown).count() == 2
    shown.fill("#search", "no such thing")
    assert rows(shown).count() == 0


def test_a_case_opens_and_closes_by_keyboard_and_shows_its_window(opened, files):
    shown = opened(files[0])
    shown.keyboard.press("/")
    shown.keyboard.type("What does box 7")
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("j")
    shown.keyboard.press("k")
    shown.keyboard.press("Enter")
    first = rows(shown).first
    assert first.get_attribute("aria-expanded") == "true"
    case = shown.locator(f"#{first.get_attribute('aria-controls')}")
    assert "Box 7 holds thing-7." in case.inner_text()
    assert "gold" in case.inner_text()
    assert "Window: " in case.inner_text()
    shown.keyboard.press("Escape")
    assert first.get_attribute("aria-expanded") == "false"
    assert case.count() == 0
    assert first.evaluate("row => row === document.activeElement")


def test_the_theme_follows_the_system_until_it_is_toggled(opened, files):
    shown = opened(files[0], scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = shown.evaluate(paper)
    shown.click("#theme")
    assert shown.evaluate(paper) != dark
    shown.click("#theme")
    assert shown.evaluate(paper) == dark


def test_two_runs_stand_side_by_side(opened, files):
    shown = opened(files[1])
    shown.check("#changed")
    assert rows(shown).count() == 2
    assert "failed → 1.000" in rows(shown).first.inner_text()
    rows(shown).first.click()
    boxes = [each.bounding_box() for each in shown.locator(".sides > section").all()]
    assert len(boxes) == 2
    assert boxes[0]["y"] == boxes[1]["y"]
    assert "out of paper" in shown.locator(".sides > section").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", [0, 1])
def test_axe_finds_no_violations(opened, files, scheme, which):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    shown = opened(files[which], scheme=scheme)
    rows(shown).first.click()
    rows(shown).nth(5).click()
    found = axe.Axe().run(shown)
    assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []


def test_nothing_is_wider_than_a_phone_and_print_hides_the_controls(opened, files):
    shown = opened(files[1], viewport={"width": 390, "height": 844})
    rows(shown).first.click()
    assert shown.evaluate("document.documentElement.scrollWidth") == 390
    shown.emulate_media(media="print")
    assert not shown.locator("#filters").is_visible()
    assert shown.locator("table").first.is_visible()


def test_what_a_model_wrote_does_not_run(opened, tmp_path):
    lines = [{**LINES[0], "question": HOSTILE, "target": HOSTILE, "choices": [HOSTILE, "b"]}]
    made = plan(tmp_path, dataset=dataset(tmp_path, lines), subjects={"s": {"python": "small_suites:target"}})
    run(made, tmp_path / "run")
    (tmp_path / "page.html").write_text(page(view_of(tmp_path / "run", made)))
    shown = opened(tmp_path / "page.html")
    rows(shown).first.click()
    assert shown.locator(".case h3").inner_text() == HOSTILE
    assert shown.locator("img").count() == 0
    assert shown.title() == "test: evaluation report"


def test_ten_thousand_rows_open_in_two_seconds(opened, tmp_path):
    lines = [
        {**LINES[0], "id": f"c{case}", "question": f"Question {case}: {'what of it? ' * 9}"}
        for case in range(5_000)
    ]
    made = plan(tmp_path, dataset=dataset(tmp_path, lines), metrics=["exact"])
    job = Run(made, tmp_path / "run")
    (tmp_path / "run").mkdir()
    job._claim()
    window = [["bm25", "chunk", "g0", 9], ["bm25", "chunk", "d0", 14]]
    with ResultLog(tmp_path / "run") as log:
        for slot in range(10_000):
            scores = {"exact": float(slot % 3 > 0)}
            about = {"answer": f"Answer {slot}: {'so it is. ' * 20}", "spent": {"bm25": 23}, "window": window}
            case = f"c{slot // 2}"
            log.add(
                [{"slot": slot, "column": slot % 2, "case": case, "scores": scores, **about, "seconds": 0.01}]
            )
    (tmp_path / "page.html").write_text(page(view_of(tmp_path / "run", made)))
    shown = opened(tmp_path / "page.html")
    ready = int(shown.evaluate("document.documentElement.dataset.ready"))
    print(f"10,000 rows: {ready} ms, {(tmp_path / 'page.html').stat().st_size:,} bytes")
    assert ready < OPENED
    assert rows(shown).count() == 200
    shown.click("#more")
    assert rows(shown).count() == 400
    started = shown.evaluate("performance.now()")
    shown.fill("#search", "question 4999")
    assert rows(shown).count() == 2
    assert shown.evaluate("performance.now()") - started < OPENED
