"""The starter playbooks load, are what they claim to be, and survive the store byte for byte."""

from pathlib import Path

import pytest

from ctxeng import settings
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import dump, parse
from ctxeng.render import text_of
from ctxeng.tokens import Estimate
from ctxeng.turn import Note, Section

FILES = sorted(Path(__file__).parent.parent.joinpath("playbooks").glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


def entries_of(path):
    return parse(path.read_text(encoding="utf-8"), str(path)).entries


def test_three_starter_playbooks_ship():
    assert {path.stem for path in FILES} >= {"support-triage", "sql-analyst", "code-review"}


def test_its_settings_are_valid_and_named_after_the_file(path):
    assert settings.read(path).playbook == path.stem


def test_it_has_fifteen_to_thirty_entries_each_under_a_section_and_a_condition(path):
    entries = entries_of(path)
    assert 15 <= len(entries) <= 30
    assert all(entry.section != "general" and entry.when for entry in entries)


def test_every_id_is_its_sections_slug_and_is_used_once_in_all_playbooks(path):
    assert all(entry.id.rpartition("-")[0] == entry.section for entry in entries_of(path))
    suffixes = [entry.id[-5:] for file in FILES for entry in entries_of(file)]
    assert len(set(suffixes)) == len(suffixes)


def test_no_two_entries_say_the_same(path):
    entries = entries_of(path)
    assert len({entry.text.casefold() for entry in entries}) == len(entries)
    assert len({entry.when.casefold() for entry in entries}) == len(entries)


def test_no_two_entries_share_most_of_their_words(path):
    bags = [set(f"{entry.when} {entry.text}".lower().split()) for entry in entries_of(path)]
    alike = [len(a & b) / len(a | b) for index, a in enumerate(bags) for b in bags[:index]]
    assert max(alike) < 0.35


def test_the_whole_playbook_fits_four_thousand_tokens_by_the_cautious_estimate(path):
    rendered = "\n".join(
        text_of(Section(kind="playbook", source="playbook", body=Note(text=e.text, when=e.when), ref=e.id))
        for e in entries_of(path)
    )
    assert Estimate().count(rendered) <= 4_000


def test_an_entry_is_short_enough_to_be_read_at_a_glance(path):
    assert all(len(entry.text.split()) <= 60 for entry in entries_of(path))


def test_its_entries_stand_as_the_store_would_write_them_so_that_learning_leaves_clean_diffs(path):
    text = path.read_text(encoding="utf-8")
    assert all(dump(entry, "  ") in text for entry in entries_of(path))


def test_opening_and_committing_leaves_every_byte(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    with PlaybookStore(copy) as store:
        assert store.playbook.own == entries_of(path)
        store.commit()
    assert copy.read_bytes() == path.read_bytes()


def test_it_names_no_model_that_needs_a_key_unless_commented_out(path):
    assert settings.read(path).models.answer.id == "onbox"
    assert "# models:" in path.read_text(encoding="utf-8")
