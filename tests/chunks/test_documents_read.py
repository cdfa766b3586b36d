"""Files as documents: kinds, titles, encodings, JSON lines, folders."""

import sys

import pytest

from ctxeng.chunks.documents.folder import read_folder
from ctxeng.chunks.documents.read import read_document, read_documents
from ctxeng.errors import BadInput, MissingExtra

TEXT = "Größe: 3 €.\nZweite Zeile."


@pytest.mark.parametrize(
    ("name", "content", "kind", "title"),
    [
        ("a.txt", "x", "text", "a"),
        ("LICENSE", "x", "text", "LICENSE"),
        ("guide.rst", "Guide\n=====\n", "text", "guide"),
        ("a.md", "Intro.\n\n# The *Manual* #\n", "markdown", "The *Manual*"),
        ("b.MD", "The Manual\n==========\n", "markdown", "The Manual"),
        ("c.md", "no heading", "markdown", "c"),
        ("a.py", "x = 1", "python", "a"),
        ("a.rs", "fn main() {}", "code", "a"),
        ("Makefile", "all:\n", "code", "Makefile"),
        ("a.html", "<title>Hi &amp; ho</title><h1>One</h1>", "markdown", "Hi & ho"),
        ("unknown.xyz", "x", "text", "unknown"),
    ],
)
def test_the_name_says_the_kind_and_the_text_the_title(tmp_path, name, content, kind, title):
    (tmp_path / name).write_text(content)
    found = read_document(tmp_path / name)
    assert (found.source, found.kind, found.title, found.trust) == (name, kind, title, "untrusted")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_8_and_16_and_32_are_read_with_or_without_a_mark(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert read_document(tmp_path / "a.txt").text == TEXT


def test_an_unknown_encoding_and_a_binary_file_are_refused_by_name(tmp_path):
    (tmp_path / "old.txt").write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(BadInput, match=r"old\.txt: not UTF-8 \(byte 2: .*save it as UTF-8"):
        read_document(tmp_path / "old.txt")
    (tmp_path / "program.txt").write_bytes(b"\x7fELF\0\1\2\0abc\0\0")
    with pytest.raises(BadInput, match=r"program\.txt: a binary file"):
        read_document(tmp_path / "program.txt")
    with pytest.raises(BadInput, match=r"none\.txt: cannot be read \(No such file"):
        read_document(tmp_path / "none.txt")


def test_an_html_page_is_read_as_it_declares(tmp_path):
    page = '<html><head><meta charset="{}"></head><body><p>Größe</p></body></html>'
    (tmp_path / "a.html").write_bytes(page.format("ISO-8859-1").encode("cp1252"))
    assert read_document(tmp_path / "a.html").text == "Größe"
    (tmp_path / "b.html").write_bytes(page.format("klingon").encode())
    with pytest.raises(BadInput, match=r"b\.html: declares the encoding 'klingon'"):
        read_document(tmp_path / "b.html")


def test_json_lines_are_a_document_a_line(tmp_path):
    path = tmp_path / "faq.jsonl"
    path.write_text('{"text": "One.", "title": "First"}\n\n{"text": "Two.", "id": "two"}\n')
    found = list(read_documents(path, "help/faq.jsonl", trust="user"))
    assert [(each.source, each.title, each.text, each.trust) for each in found] == [
        ("help/faq.jsonl:1", "First", "One.", "user"),
        ("help/faq.jsonl:two", "", "Two.", "user"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ('{"body": 1}', "line 2: not an object with a text"),
        ("[1]", "line 2: not an object with a text"),
        ('{"id": "a", "text": "x"}', "line 2: the id 'a' is that of an earlier line"),
    ],
)
def test_a_line_that_is_no_document_is_named(tmp_path, line, said):
    (tmp_path / "faq.jsonl").write_text('{"id": "a", "text": "x"}\n' + line)
    with pytest.raises(BadInput, match=rf"faq\.jsonl: {said}"):
        list(read_documents(tmp_path / "faq.jsonl"))


# -- folders ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder with some of everything."""
    root = tmp_path / "docs"
    files = {
        "b.md": b"# B",
        "a/z.txt": b"z",
        "a/c.py": b"c = 1",
        "B.txt": b"B",
        ".hidden.md": b"x",
        ".git/config.txt": b"x",
        "node_modules/pkg/readme.md": b"x",
        "image.png": b"\x89PNG\0\0",
        "broken.txt": b"\xff\xfa\xff",
        "large.txt": b"x" * 2_000,
        "faq.jsonl": b'{"text": "One."}\n{"text": "Two."}',
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_a_folder_is_read_in_order_and_says_what_it_passed_over(folder):
    skipped = {}
    found = list(read_folder(folder, largest=1_000, on_skip=skipped.__setitem__))
    assert [each.source for each in found] == [
        "B.txt",
        "b.md",
        "faq.jsonl:1",
        "faq.jsonl:2",
        "a/c.py",
        "a/z.txt",
    ]
    assert skipped.pop("broken.txt").startswith("not UTF-8 (byte 0")
    assert skipped.pop("image.png").startswith("its suffix is none")
    assert skipped == {
        ".hidden.md": "hidden",
        ".git/": "hidden",
        "node_modules/": "installed or generated",
        "large.txt": "0.0 MiB, over the limit of 0.0 MiB",
    }
    assert found == list(read_folder(folder, largest=1_000))


def test_patterns_choose_among_relative_paths(folder):
    assert [each.source for each in read_folder(folder, ["a/*", "*.md"])] == ["b.md", "a/c.py", "a/z.txt"]
    skipped = {}
    assert list(read_folder(folder, ["*.png"], on_skip=skipped.__setitem__)) == []
    assert skipped["image.png"] == "a binary file, not text"
    assert skipped["b.md"] == "matches no pattern"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_that_lead_outside_are_not_followed(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "more.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "other")
    (folder / "inside.md").symlink_to(folder / "b.md")
    (folder / "dangling.md").symlink_to(folder / "gone.md")
    skipped = {}
    found = {each.source: each.text for each in read_folder(folder, on_skip=skipped.__setitem__)}
    assert "secret" not in found.values()
    assert found["inside.md"] == "# B"
    assert skipped["link.txt"] == "a link that leads outside the folder"
    assert skipped["linked/"] == "a link to a folder"
    assert skipped["dangling.md"] == "not a file, or a link to nothing"


def test_without_its_library_a_format_names_the_pip_line(folder, monkeypatch):
    (folder / "a.html").write_text("<p>x")
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    with pytest.raises(MissingExtra, match=r"selectolax is not installed; pip install '.*\[docs\]'"):
        list(read_folder(folder))


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nowhere: no such folder"):
        list(read_folder(tmp_path / "nowhere"))
