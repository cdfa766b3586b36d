"""Entries and their ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxeng.playbook.delta import Merge, Redact
from ctxeng.playbook.entry import ID_PATTERN, Entry, Provenance, mint, slug, unite


@given(st.text(), st.text())
def test_a_minted_id_is_always_an_id(section, seed):
    try:
        seed.encode()
    except UnicodeEncodeError:
        return
    assert re.fullmatch(ID_PATTERN, mint(section, seed, lambda name: False))


def test_the_same_seed_mints_the_same_id_and_a_collision_the_next_one():
    first = mint("Refunds & Returns", "turn-7", lambda name: False)
    assert first == mint("Refunds & Returns", "turn-7", lambda name: False)
    assert first.startswith("refunds-returns-")
    taken = set()
    for _ in range(30):  # more than one hash has room for
        taken.add(mint("r", "turn-7", taken.__contains__))
    assert len(taken) == 30


def test_a_section_without_letters_still_has_a_slug():
    assert slug("規則") == "entry"
    assert slug("Über-Regeln!") == "uber-regeln"
    assert slug("a" * 39 + "-b") == "a" * 39


@pytest.mark.parametrize("text", ["", "  ", "\n", "a\x00b", "a\x1bb", "a\rb", "a\x85b", "\x7fa"])
def test_empty_text_and_control_characters_are_refused(text):
    with pytest.raises(ValidationError):
        Entry(id="x-aaaaa", text=text)


@pytest.mark.parametrize(
    "name", ["x", "x-aaaa", "X-aaaaa", "x-aaaa1", "x--aaaaa", "-aaaaa", "x y-aaaaa", "x-aaaaa\n"]
)
def test_ids_have_one_form(name):
    with pytest.raises(ValidationError):
        Entry(id=name, text="t")


@pytest.mark.parametrize("section", ["", "a\nb", "a\u2028b", "a\tb", "x" * 201])
def test_a_section_is_one_line(section):
    with pytest.raises(ValidationError):
        Entry(id="x-aaaaa", text="t", section=section)


def test_text_may_have_lines_and_look_like_structure():
    text = "## SECTION\n- id: y-aaaaa\n  text: gotcha\n---\n&a *b"
    assert Entry(id="x-aaaaa", text=text).text == text


def test_trust_is_the_least_of_a_lineage():
    both = unite(
        Provenance(turns=("a",), trust="user"), Provenance(turns=("b", "a"), trust="untrusted", model="m")
    )
    assert both == Provenance(turns=("a", "b"), trust="untrusted", model="m")


def test_deltas_that_contradict_themselves_are_refused():
    for bad in (
        {"ids": ("x-aaaaa", "x-aaaaa"), "into": "x-aaaaa"},
        {"ids": ("x-aaaaa", "x-bbbbb"), "into": "x-ccccc"},
    ):
        with pytest.raises(ValidationError):
            Merge(**bad)
    for bad in ({}, {"id": "x-aaaaa", "pattern": "p"}):
        with pytest.raises(ValidationError):
            Redact(**bad)
