import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from ctxeng.playbook.delta import Tag
from ctxeng.playbook.store import PlaybookStore


@pytest.fixture
def learned(cli, tmp_path, tasks):
    """A playbook that has learned twelve lessons."""
    path = tmp_path / "learned.yaml"
    cli("learn", path, tasks, "--limit", 12, "--no-plot", "--json")
    return path


def test_show_lists_the_entries_with_their_votes(cli, book):
    with PlaybookStore(book) as store:
        store.apply([Tag(id="refund-k7q2m", votes={"helpful": 3})], by="test")
    ran = cli("playbook", "show", book)
    assert "refund-k7q2m" in ran.out
    assert "Offer store credit first." in ran.out
    assert "2 entries, support at version" in ran.out
    rows = cli("playbook", "show", book, "--json").json["entries"]
    assert rows[0]["votes"] == {"helpful": 3}


def test_show_one_entry_tells_where_it_comes_from_and_what_happened_to_it(cli, learned):
    name = PlaybookStore(learned).open().own[0].id
    found = cli("playbook", "show", learned, "--entry", name, "--json").json
    assert found["provenance"]["strategy"] == "onbox"
    assert found["history"][-1]["deltas"][0]["op"] == "add"
    assert "history" in cli("playbook", "show", learned, "--entry", name).out


def test_an_unknown_entry_is_named_with_those_that_look_like_it(cli, book):
    ran = cli("playbook", "show", book, "--entry", "refund-zzzzz")
    assert ran.code == 2
    assert "known: refund-k7q2m" in ran.err


def test_the_log_says_who_did_what_when_and_why(cli, learned):
    ran = cli("playbook", "log", learned, "--limit", 3)
    assert "learn" in ran.out
    assert "step 0.0" in ran.out
    records = cli("playbook", "log", learned, "--limit", 3, "--json").json
    assert len(records) == 3
    assert records[0]["after"] == PlaybookStore(learned).open().version


def test_diff_shows_the_last_step_and_any_two_versions(cli, learned):
    last = cli("playbook", "diff", learned)
    assert last.out.count("\n+- id: ") == 1
    versions = [record["after"] for record in cli("playbook", "log", learned, "--json").json]
    some = cli("playbook", "diff", learned, versions[5][:8], versions[2], "--json").json
    assert [change["what"] for change in some["changes"]] == ["added"] * 3
    whole = cli("playbook", "diff", learned, f"~{len(versions)}", "--json").json
    assert len(whole["changes"]) == 12


def test_diff_of_two_files_leads_from_one_to_the_other(cli, book, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(book.read_text().replace("store credit", "a voucher"), encoding="utf-8")
    ran = cli("playbook", "diff", book, other)
    assert "-  text: Offer store credit first." in ran.out
    assert "+  text: Offer a voucher first." in ran.out


def test_undo_takes_the_last_steps_back(cli, learned):
    ran = cli("playbook", "undo", learned, 5, "--json")
    assert [change["what"] for change in ran.json["changes"]] == ["removed"] * 5
    assert len(PlaybookStore(learned).open().own) == 7
    too_many = cli("playbook", "undo", learned, 99)
    assert too_many.code == 2
    assert "cannot undo 99 batches: 7 can be undone" in too_many.err


def test_rollback_goes_by_version_by_its_beginning_and_by_steps(cli, learned):
    versions = [record["after"] for record in cli("playbook", "log", learned, "--json").json]
    assert cli("playbook", "rollback", learned, versions[3]).code == 0
    assert PlaybookStore(learned).open().version == versions[3]
    assert cli("playbook", "rollback", learned, versions[8][:6]).code == 0
    assert cli("playbook", "rollback", learned, "~1", "--json").json["new"] == versions[3]
    unknown = cli("playbook", "rollback", learned, "ffff")
    assert unknown.code == 2
    assert "unknown version 'ffff'; known:" in unknown.err


def test_merge_joins_both_sides_and_keeps_comments(cli, book, tmp_path):
    text = book.read_text()
    (tmp_path / "a.yaml").write_text(text.replace("store credit", "a voucher"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(text + "  - id: new-abcde\n    text: Be kind.\n", encoding="utf-8")
    merged = tmp_path / "merged.yaml"
    ran = cli("playbook", "merge", book, tmp_path / "a.yaml", tmp_path / "b.yaml", "-o", merged)
    assert ran.code == 0, ran.err
    assert "a voucher" in merged.read_text()
    assert "Be kind." in merged.read_text()
    assert "# the team's own words" in merged.read_text()


def test_merge_lists_conflicts_and_exits_with_1(cli, book, tmp_path):
    text = book.read_text()
    for name, words in (("a", "a voucher"), ("b", "nothing")):
        (tmp_path / f"{name}.yaml").write_text(text.replace("store credit", words), encoding="utf-8")
    sides = [book, tmp_path / "a.yaml", tmp_path / "b.yaml"]
    ran = cli("playbook", "merge", *sides, "-o", tmp_path / "m.yaml")
    assert ran.code == 1
    assert "conflict refund-k7q2m: both sides changed its text" in ran.out
    found = cli("playbook", "merge", *sides, "-o", tmp_path / "m.yaml", "--json").json
    assert found["conflicts"][0]["b"]["text"] == "Offer nothing first."


def test_import_brings_in_ace_text_with_its_votes(cli, book, tmp_path):
    file = tmp_path / "ace.txt"
    file.write_text("## STRATEGIES\n[str-00001] helpful=3 harmful=1 :: Count twice.\n", encoding="utf-8")
    ran = cli("playbook", "import", book, file)
    assert ran.code == 0, ran.err
    with PlaybookStore(book) as store:
        new = store.playbook.own[-1]
        assert (new.section, new.text) == ("strategies", "Count twice.")
        assert dict(store.playbook.votes(new.id)) == {"helpful": 3, "harmful": 1}
    assert "# the team's own words" in book.read_text()


def test_import_names_the_lines_it_does_not_understand(cli, book, tmp_path):
    file = tmp_path / "ace.txt"
    file.write_text("## A\n[a-00001] helpful=0 harmful=0 :: Good.\n[oops] harmful= ::\n", encoding="utf-8")
    ran = cli("playbook", "import", book, file)
    assert ran.code == 1
    assert f"{file}:3: looks like an entry and is none" in ran.err


def test_import_of_another_playbook_leaves_what_is_there(cli, book, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(book.read_text() + "  - id: new-abcde\n    text: Be kind.\n", encoding="utf-8")
    assert [c["id"] for c in cli("playbook", "import", book, other, "--json").json["changes"]] == [
        "new-abcde"
    ]
    assert "nothing new in it" in cli("playbook", "import", book, other).err


def test_an_exported_playbook_stands_alone_and_can_be_loaded(cli, learned, tmp_path):
    copy = tmp_path / "copy.yaml"
    assert cli("playbook", "export", learned, "--with-stats", "-o", copy).code == 0
    assert PlaybookStore(copy).open().version == PlaybookStore(learned).open().version
    assert "onbox" in copy.read_text()
    found = cli("playbook", "export", learned, "--format", "json", "--with-stats").json
    assert found["entries"][0]["provenance"]["strategy"] == "onbox"
    assert cli("playbook", "export", learned, "--format", "ace").out.startswith("## CASES\n[cases-")
    wrong = cli("playbook", "export", learned, "--format", "xml")
    assert "unknown format 'xml'; known: ace, json, yaml" in wrong.err


def test_redact_takes_a_text_out_of_yaml_and_journal(cli, book):
    cli("playbook", "show", book)
    refused = cli("playbook", "redact", book, "--pattern", "store credit")
    assert refused.code == 2
    assert "--yes says that you mean it" in refused.err
    ran = cli("playbook", "redact", book, "--pattern", "store credit", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["places"]
    for file in [file for file in book.parent.rglob("*") if file.is_file()]:
        assert b"store credit" not in file.read_bytes(), file


def test_redact_names_the_files_where_the_text_still_stands(cli, book):
    book.write_text(book.read_text().replace("ctxeng: 1", "ctxeng: 1\nlog: turns.jsonl"), encoding="utf-8")
    (book.parent / "turns.jsonl").write_text(json.dumps({"q": "store credit"}) + "\n", encoding="utf-8")
    left = cli("playbook", "redact", book, "--pattern", "store credit", "--yes", "--json").json["left"]
    assert len(left) == 1
    assert "turns.jsonl (the turn log" in left[0]


def test_stats_count_entries_votes_and_records(cli, learned):
    found = cli("playbook", "stats", learned, "--json").json
    assert found["entries"] == 12
    assert found["sections"] == {"cases": 12}
    assert "journal bytes" in cli("playbook", "stats", learned).out


def test_schema_is_a_json_schema_that_the_playbook_fits(cli, book):
    schema = cli("playbook", "schema").json
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(book.read_text()))


def test_lint_finds_nothing_in_a_good_playbook(cli, book):
    ran = cli("playbook", "lint", book, "--no-similar")
    assert ran.code == 0
    assert "nothing to mend" in ran.err


def test_lint_says_what_is_wrong_and_where(cli, tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text(
        """\
learning: {budget: {entries: 2}}
entries:
  - id: one-abcde
    text: Say hello.
  - id: two-abcde
    text: say  HELLO
  - id: three-abcde
    kind: exemplar
    text: billing
""",
        encoding="utf-8",
    )
    with PlaybookStore(path) as store:
        store.apply([Tag(id="one-abcde", votes={"harmful": 2, "helpful": 1})], by="test")
    ran = cli("playbook", "lint", path, "--json", "--no-similar")
    assert ran.code == 1
    found = {(each["where"], each["entry"]) for each in ran.json["problems"]}
    assert found == {
        (f"{path}:3:5", "one-abcde"),
        (f"{path}:5:5", "two-abcde"),
        (f"{path}:7:5", "three-abcde"),
        (str(path), ""),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entries:\n  - text: a: b\n", ":2:12: mapping values are not allowed"),
        ("entries:\n  - id: Bad Id\n    text: x\n", ":2:9: id: String should match pattern"),
        ("entries:\n  - text: x\n    txt: y\n", ":3:10: txt: Extra inputs"),
        (
            "entries:\n  - id: a-abcde\n    text: x\n  - id: a-abcde\n    text: y\n",
            "'a-abcde' is given twice",
        ),
        ("context: {reply: lots}\n", ":1:18: context.reply"),
        ("learning: {strategy: guess}\n", "unknown strategy"),
        ("ctxeng: 99\n", "newer than this library knows"),
        ("extends: absent.yaml\n", "absent.yaml"),
    ],
)
def test_lint_reports_what_keeps_a_playbook_from_being_read(cli, tmp_path, text, message):
    path = tmp_path / "b.yaml"
    path.write_text(text, encoding="utf-8")
    ran = cli("playbook", "lint", path, "--no-similar")
    assert ran.code == 1
    assert message in ran.out
    assert "Traceback" not in ran.out


@pytest.mark.parametrize("command", ["show", "log", "diff", "stats", "export", "lint", "undo"])
def test_every_command_says_that_there_is_no_such_playbook(cli, tmp_path, command):
    ran = cli("playbook", command, tmp_path / "absent.yaml")
    assert ran.code == 2
    assert "no such playbook" in ran.err
    folder = cli("playbook", command, tmp_path)
    assert "is a directory; name the YAML file" in folder.err


def test_square_brackets_in_a_lesson_are_text(cli, book):
    book.write_text(book.read_text().replace("store credit", "[red]credit[/red]"), encoding="utf-8")
    assert "[red]credit[/red]" in cli("playbook", "show", book).out
    assert "[red]credit[/red]" in cli("playbook", "show", book, "--entry", "refund-k7q2m").out


def test_candidates_are_accepted_by_a_person(cli, tmp_path):
    book = tmp_path / "b.yaml"
    book.write_text("entries:\n  - {id: rules-k7q2m, text: Maybe., status: candidate}\n")
    assert cli("playbook", "mark", book, "active", "all").code == 0
    assert "status" not in book.read_text()
    wrong = cli("playbook", "mark", book, "splendid", "all")
    assert wrong.code == 2
    assert "active, candidate, frozen, retired" in wrong.err
    assert "unknown entry 'rules-zzzzz'" in cli("playbook", "mark", book, "frozen", "rules-zzzzz").err
