"""PDF files, made here: pages, titles, and what cannot be read."""

import io

import pypdf
import pytest
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from ctxeng.chunks.documents.read import read_document
from ctxeng.chunks.split.names import splitter
from ctxeng.errors import BadInput


def pdf(*pages, title="", password=None):
    """A PDF with a line of text for each line of each page."""
    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(595, 842)
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n")) if text else ""
        stream = StreamObject()
        stream.set_data(f"BT /F1 12 Tf 72 720 Td {shown}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
    if title:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture
def read(tmp_path):
    def reading(raw, name="report.pdf"):
        (tmp_path / name).write_bytes(raw)
        return read_document(tmp_path / name)

    return reading


def test_pages_are_kept_so_that_offsets_can_be_cited_by_page(read):
    found = read(pdf("First page.\nMore of it.", "", "Third page."), "a.pdf")
    assert found.kind == "text"
    assert found.title == "a"
    assert [found.page_of(found.text.index(word)) for word in ("First", "More", "Third")] == [1, 1, 3]
    assert [found.text[start : start + 5] for start in found.pages][::2] == ["First", "Third"]
    assert len(found.pages) == 3


def test_chunks_of_a_pdf_name_their_page(read):
    found = splitter("sentence").split(read(pdf("One is here.", "Two is here.", title="The report")))
    assert [(chunk.title, chunk.text) for chunk in found] == [
        ("The report, page 1", "One is here."),
        ("The report, page 2", "Two is here."),
    ]


def test_a_hyphenated_word_is_put_together(read):
    assert "compensation and" in read(pdf("We pay a compen-\nsation and more.")).text


def test_a_pdf_is_known_by_its_content_too(read):
    assert read(pdf("Hello there."), "download").text == "Hello there."


def test_an_empty_password_is_tried_and_another_one_refused(read):
    assert read(pdf("Hello there.", password="")).text == "Hello there."
    with pytest.raises(BadInput, match=r"report\.pdf: encrypted with a password; save a copy without one"):
        read(pdf("Hello there.", password="secret"))


def test_scanned_pages_are_refused(read):
    with pytest.raises(BadInput, match=r"report\.pdf: no text on its 2 pages; scanned pages need"):
        read(pdf("", ""))


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.7\n", b"not a pdf", b"%PDF-1.4\n%%EOF", pdf("Hello.")[:300]])
def test_a_damaged_file_is_refused_by_name(read, raw):
    with pytest.raises(BadInput, match=r"report\.pdf: not a PDF that can be read"):
        read(raw)
