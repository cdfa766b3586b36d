import logging

import pytest

from ctxeng.chunks.folder_corpus import FolderCorpus
from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder


class Counting(HashingEmbedder):
    """Hashed words, and how many texts were encoded."""

    texts = 0

    def embed(self, texts):
        Counting.texts += len(texts)
        return super().embed(texts)


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "refunds.md").write_text(
        "# Refunds\n\nRefunds take ten days.\n\n# Returns\n\nReturns are free.\n"
    )
    (folder / "rooms.txt").write_text("The blue room seats forty people.\n")
    return folder


def corpus(docs, **options):
    return FolderCorpus([docs], encoder=HashingEmbedder(64), **options)


def test_passages_are_found_by_words_and_cite_their_place_in_the_file(docs):
    opened = corpus(docs).open()
    (best, *_) = opened.search("how long do refunds take", 3)
    assert "ten days" in best.text
    assert best.source == "refunds.md"
    text = (docs / "refunds.md").read_text()
    assert text[best.start : best.end] == best.text


def test_only_what_changed_is_encoded_at_the_next_opening(docs, tmp_path):
    given = FolderCorpus([docs], index=tmp_path / "index", encoder=Counting(64))
    given.open().close()
    Counting.texts = 0
    given.open().close()
    assert Counting.texts == 0
    (docs / "rooms.txt").write_text("The green room seats four people.\n")
    opened = given.open()
    assert Counting.texts == 1
    assert "green" in opened.search("room", 1)[0].text
    assert not any("blue" in chunk.text for chunk in opened.near("blue room"))
    opened.close()


def test_a_file_that_went_away_is_forgotten(docs, tmp_path):
    given = corpus(docs, index=tmp_path / "index")
    given.open().close()
    (docs / "rooms.txt").unlink()
    opened = given.open()
    assert all(chunk.source == "refunds.md" for chunk in opened.near("room people refunds"))
    opened.close()


def test_where_another_has_the_index_one_is_made_in_memory_and_said(docs, tmp_path, caplog):
    given = corpus(docs, index=tmp_path / "index")
    first = given.open()
    with caplog.at_level(logging.WARNING):
        second = given.open()
    assert "another process has the index" in caplog.text
    assert [c.id for c in second.search("refunds", 2)] == [c.id for c in first.search("refunds", 2)]
    first.close()
    second.close()


def test_two_folders_may_have_files_of_one_name(docs, tmp_path):
    other = tmp_path / "more"
    other.mkdir()
    (other / "rooms.txt").write_text("The attic is locked.\n")
    found = FolderCorpus([docs, other], encoder=None).open()
    assert len({chunk.source for chunk in found.search("room attic locked blue", 9)}) >= 2


@pytest.mark.parametrize(("make", "said"), [(False, "no such file or folder"), (True, "no documents in")])
def test_nothing_to_read_is_an_error_that_names_the_place(tmp_path, make, said):
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    with pytest.raises(BadInput, match=said):
        FolderCorpus([folder]).open()


def test_a_passage_that_a_hit_names_is_near(tmp_path):
    (tmp_path / "a.md").write_text("# Zeta\n\nThe zeta film was made by Adriana Trigiani.\n")
    (tmp_path / "b.md").write_text("# Adriana Trigiani\n\nShe lives in the Village.\n")
    for n in range(6):
        (tmp_path / f"c{n}.md").write_text(f"# Page {n}\n\nzeta zeta {n}\n")
    opened = FolderCorpus([tmp_path]).open()
    opened.each = opened.index.depth = 7
    assert any("Village" in chunk.text for chunk in opened.near("Who made the zeta film?"))
