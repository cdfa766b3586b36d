import sqlite3

import pytest

from ctxeng.retrieval.texts import Record, Texts


def test_a_text_that_changes_gets_a_new_row_and_no_number_comes_twice(tmp_path):
    texts = Texts(tmp_path / "texts.sqlite")
    assert list(texts.put([Record("a", "one"), Record("b", "two")]).new) == [1, 2]
    change = texts.put([Record("b", "other"), Record("a", "one", payload="beside")])
    assert (list(change.new), change.gone) == ([3], [2])
    assert texts.remove(["b", "nobody"]).gone == [3]
    (row,) = texts.put([Record("b", "other")]).new
    assert row > 3
    texts.close()
    again = Texts(tmp_path / "texts.sqlite")
    assert list(again.rows()) == [(1, "a"), (row, "b")]
    assert again.get(["a"]) == {"a": Record("a", "one", "beside")}
    again.remove(["b"])
    (next_row,) = again.put([Record("c", "third")]).new
    assert next_row > row
    again.close()


def test_the_last_of_equal_ids_is_kept():
    texts = Texts()
    change = texts.put([Record("a", "one"), Record("a", "two")])
    assert [record.text for record in change.new.values()] == ["two"]
    assert texts.get(["a"])["a"].text == "two"
    texts.close()


def test_many_ids_are_asked_for_in_pieces():
    texts = Texts()
    texts.put([Record(f"t{number}", f"text {number}") for number in range(1_300)])
    assert len(texts) == len(texts.get([f"t{number}" for number in range(1_300)])) == 1_300
    assert dict(texts.read(range(1, 1_301)))[1_300] == "text 1299"
    texts.close()


def test_all_records_are_kept_or_none(tmp_path):
    texts = Texts(tmp_path / "texts.sqlite")
    texts.put([Record("a", "one")])
    other = sqlite3.connect(tmp_path / "texts.sqlite", isolation_level=None)
    other.execute(
        "CREATE TRIGGER no BEFORE INSERT ON texts WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        texts.put([Record("a", "changed"), Record("c", "new"), Record("bad", "refused")])
    assert list(texts.rows()) == [(1, "a")]
    assert texts.get(["a"])["a"].text == "one"
    other.close()
    texts.close()
