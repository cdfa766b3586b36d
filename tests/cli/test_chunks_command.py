import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "film.md").write_text(
        "# Big Stone Gap\n\nBig Stone Gap is a film. Adriana Trigiani directed it.\n"
    )
    (folder / "people.md").write_text(
        "# Adriana Trigiani\n\nShe lives in Greenwich Village. She likes tea.\n"
    )
    (folder / "stones.md").write_text("# Stones\n\nA big stone is a rock. Stones lie in fields.\n")
    (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    return folder


@pytest.fixture
def app_file(docs):
    path = docs.parent / "app.yaml"
    path.write_text("playbook: p\ncontext: {sources: {chunks: {from: ./docs, select: greedy}}}\n")
    return path


QUESTION = "Where does the director of Big Stone Gap live?"


def test_indexing_counts_documents_and_says_what_was_passed_over(cli, app_file):
    found = cli("chunks", "index", "--app", app_file, "--json").json
    assert found["documents"] == 3
    assert found["added"] + found["kept"] == 3
    assert [each["path"] for each in found["skipped"]] == ["photo.png"]
    again = cli("chunks", "index", "--app", app_file)
    assert "3 documents, 3 chunks: 0 new, 0 removed" in again.out
    assert "photo.png" in again.err


def test_searching_prints_the_nearest_chunks_best_first(cli, docs):
    ran = cli("chunks", "search", "Greenwich Village", "--docs", docs, "-k", "1")
    assert ran.code == 0
    assert "people.md#" in ran.out
    assert "stones" not in ran.out
    found = cli("chunks", "search", "Greenwich Village", "--docs", docs, "--json").json
    assert found[0]["source"] == "people.md"


def test_an_explanation_says_why_each_piece_was_taken_or_left(cli, docs):
    ran = cli("chunks", "explain", QUESTION, "--docs", docs, "--tokens", "90")
    assert ran.code == 0
    assert "Greenwich Village" in ran.out
    assert "reached from film.md#" in ran.out
    found = cli("chunks", "explain", QUESTION, "--docs", docs, "--tokens", "60", "--json").json
    assert found["spent"] <= found["tokens"] == 60
    taken = [reason for reason in found["reasons"] if reason["taken"]]
    assert sum(reason["cost"] for reason in taken) == found["spent"]
    assert sorted(found["order"]) == sorted(reason["ref"] for reason in taken)
    assert any("does not fit" in reason["why"] for reason in found["reasons"])


def test_the_search_tree_is_drawn(cli, docs, tmp_path):
    tree = tmp_path / "tree.svg"
    ran = cli("chunks", "explain", QUESTION, "--docs", docs, "--select", "mcts", "--svg", tree, "--json")
    assert ran.code == 0
    assert ET.parse(tree).getroot().tag.endswith("svg")
    assert ran.json["calls"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "q"], "give either --docs or --app"),
        (["search", "q", "--docs", "nowhere"], "there is no such file or folder"),
        (["explain", "q", "--docs", "docs", "--select", "best"], "context.sources.chunks.select"),
        (["explain", "q", "--docs", "docs", "--svg", "x.svg"], "give --select mcts too"),
    ],
)
def test_bad_input_is_one_clear_line(cli, docs, monkeypatch, arguments, said):
    monkeypatch.chdir(docs.parent)
    ran = cli("chunks", *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_a_settings_file_without_documents_is_told_how_to_name_them(cli, tmp_path):
    (tmp_path / "bare.yaml").write_text("playbook: p\n")
    ran = cli("chunks", "search", "q", "--app", tmp_path / "bare.yaml")
    assert ran.code == 2
    assert "from: ./docs" in ran.err
