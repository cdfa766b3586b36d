"""Texts by content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, UnknownName
from ctxeng.storage.setaside import MemorySetAside, SetAside, reference


@pytest.fixture(params=["folder", "memory"])
def texts(request, tmp_path):
    return SetAside(tmp_path / "texts") if request.param == "folder" else MemorySetAside()


def test_a_text_comes_back_by_its_reference(texts):
    ref = texts.put("a long result\r\n\u2028ü")
    assert texts.get(ref) == "a long result\r\n\u2028ü"
    assert texts.put("a long result\r\n\u2028ü") == ref == reference("a long result\r\n\u2028ü")
    assert ref in texts
    assert list(texts) == [ref]


def test_an_unknown_reference_is_an_error_by_name(texts):
    for ref in ("0" * 64, "../../etc/passwd", ""):
        assert ref not in texts
        assert not texts.forget(ref)
        with pytest.raises(UnknownName, match="set-aside text"):
            texts.get(ref)


def test_a_forgotten_text_is_gone(texts):
    ref = texts.put("secret")
    assert texts.forget(ref)
    assert ref not in texts
    with pytest.raises(UnknownName):
        texts.get(ref)


def test_a_text_that_was_changed_on_disk_is_not_handed_out(tmp_path):
    texts = SetAside(tmp_path)
    ref = texts.put("true")
    (tmp_path / ref[:2] / ref).write_text("false")
    with pytest.raises(BadInput, match="not the one that was set aside"):
        texts.get(ref)


@given(st.text())
def test_any_text_survives(tmp_path_factory, text):
    texts = SetAside(tmp_path_factory.getbasetemp() / "any")
    assert texts.get(texts.put(text)) == text
    assert texts.get(texts.put(text + "\ud800")) == text + "\ud800"
