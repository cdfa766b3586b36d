import io
import json

import pytest

from ctxeng.cli.main import main
from ctxeng.errors import BadInput

DOC = """\
# Returns

Books can be returned within 30 days. The receipt is shown at the counter.

## Exchanges

Gift cards are never exchanged.
"""


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "returns.md").write_text(DOC, encoding="utf-8")
    (folder / "hours.txt").write_text("The shop opens at nine.", encoding="utf-8")
    return folder


def test_a_question_is_answered_from_a_folder_of_documents_and_the_window_shown(cli, docs):
    ran = cli("run", "When can books be returned?", "--doc", docs)
    assert ran.code == 0
    assert ran.out.startswith("Books can be returned within 30 days.\n")
    assert "[returns.md#" in ran.out
    assert "← cited" in ran.out
    assert "that a prompt may have" in ran.out


def test_json_is_one_document_with_the_answer_and_every_section(cli, docs):
    ran = cli("run", "When can books be returned?", "--doc", docs, "--json", "--show-prompt")
    found = ran.json
    assert found["answer"] == "Books can be returned within 30 days."
    (cited,) = found["cited"]
    assert cited.startswith("returns.md#")
    window = found["window"]
    assert window["tokens"] == sum(window["spent"].values()) <= window["limit"]
    shown = [section["ref"] for section in window["sections"] if section["kind"] == "chunk"]
    assert cited in shown
    assert {ref.partition("#")[0] for ref in shown} == {"returns.md", "hours.txt"}
    assert "Gift cards" in found["prompt"]["messages"][-1]["content"]


def test_one_of_the_choices_is_chosen(cli):
    found = cli("run", "billing trouble", "--choice", "billing", "--choice", "login", "--json").json
    assert found["parsed"] == "billing"


def test_a_question_of_a_dash_is_read_from_stdin(cli, docs, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("When can books be returned?\n"))
    assert cli("run", "-", "--doc", docs, "--json").json["answer"].startswith("Books")


def test_tools_of_all_three_forms_are_in_the_window(cli, tmp_path):
    own = {"name": "search", "description": "Search the shop"}
    openai = {"type": "function", "function": {"name": "order", "parameters": {"type": "object"}}}
    mcp = {"name": "weather", "inputSchema": {"type": "object", "properties": {"city": {}}}}
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([own, openai, mcp]), encoding="utf-8")
    found = cli("run", "hello", "--tools", path, "--json").json
    tools = [section["ref"] for section in found["window"]["sections"] if section["kind"] == "tool"]
    assert tools == ["search", "order", "weather"]


def test_the_playbook_of_an_app_is_in_the_window_and_its_file_untouched(cli, book):
    before = book.read_bytes()
    found = cli("run", "Somebody wants a refund after 30 days", "--app", book, "--json").json
    assert "refund-k7q2m" in [section["ref"] for section in found["window"]["sections"]]
    assert book.read_bytes() == before


def test_what_a_document_says_cannot_drive_the_terminal(cli, tmp_path):
    path = tmp_path / "evil.txt"
    path.write_text("The answer is \x1b[31mred\x1b[0m.", encoding="utf-8")
    assert "\x1b" not in cli("run", "What is the answer?", "--doc", path).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", ""], "the question is empty"),
        (["run", "q", "--doc", "nothing.md"], "nothing.md: there is no such file or folder"),
        (["run", "q", "--doc", "image.txt"], "image.txt: not UTF-8"),
        (["run", "q", "--doc", "empty"], "no documents in"),
        (["run", "q", "--tools", "broken.json"], "broken.json:2:4: not JSON"),
        (["run", "q", "--tools", "object.json"], "object.json: not a list of tools"),
        (["run", "q", "--tools", "nameless.json"], "nameless.json: tool 1: name: Field required"),
        (["run", "q", "--schema", "list.json"], "a JSON Schema is an object"),
        (["run", "q", "--choice", "one"], "--choice: give two or more"),
        (["run", "q", "--choice", "a", "--choice", "b", "--schema", "object.json"], "exclude each other"),
        (
            ["run", "q", "--model", "gpt"],
            "unknown model 'gpt'; known: <provider>/<model>, cassette:<file>, local:<folder>, onbox",
        ),
        (["run", "q", "--window", "many"], "context.window"),
        (["run", "q", "--app", "absent.yaml"], "absent.yaml: cannot be read"),
        (["run", "q", "--app", "broken.yaml"], "broken.yaml:3:12: mapping values are not allowed"),
        (["run", "q", "--app", "newer.yaml"], "newer than this library knows"),
        (["run", "q", "--app", "strategy.yaml"], "unknown strategy"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    files = {
        "image.txt": b"\x89PNG\r\n\xff\xfe",
        "broken.json": b"[\n  {oops}]",
        "object.json": b"{}",
        "nameless.json": b'[{"description": "x"}]',
        "list.json": b"[]",
        "broken.yaml": b"ctxeng: 1\nentries:\n  - text: a: b\n",
        "newer.yaml": b"ctxeng: 99\n",
        "strategy.yaml": b"learning: {strategy: guess}\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    ran = cli(*arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_a_window_that_is_too_small_is_exit_code_1(cli):
    ran = cli("run", "q " * 3000, "--window", "2000")
    assert ran.code == 1
    assert "the window is too small" in ran.err


def test_debug_shows_where_an_error_comes_from(cli):
    with pytest.raises(BadInput):
        main(["run", "", "--debug"])
