"""Only the lines of changed entries change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadPlaybook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.splice import splice, without_entries
from ctxeng.playbook.yamlfile import dump, parse

FILE = """\
# our support playbook
ctxeng: 1
playbook: support   # the name
context: {window: 32k}

entries:
  # --- refunds ---
  - id: refund-aaaaa
    # finance wants this
    text: >
      Offer credit
      first.

  - text: "Ask for the order:
      number"   # odd but legal
    id: order-bbbbb

  # --- login ---
  -
    id: login-ccccc
    text: |
      Reset the password
      # not a comment

      - id: fake-aaaaa
    status: candidate
  # the end of the list

# after
learning: {strategy: ace}
"""
FIRST, SECOND, THIRD = parse(FILE).entries
NEW = Entry(id="new-ddddd", text="A new one: yes")


def test_nothing_changed_means_the_same_bytes():
    assert splice(FILE, [FIRST, SECOND, THIRD], [FIRST, SECOND, THIRD]) == FILE


def test_an_update_changes_the_lines_of_that_entry():
    out = splice(FILE, [FIRST, SECOND, THIRD], [FIRST, SECOND.model_copy(update={"text": "Ask."}), THIRD])
    old = '  - text: "Ask for the order:\n      number"   # odd but legal\n    id: order-bbbbb\n'
    assert out == FILE.replace(old, "  - id: order-bbbbb\n    text: Ask.\n")


def test_a_removal_takes_those_lines_and_a_restored_entry_comes_back_in_its_place():
    gone = splice(FILE, [FIRST, SECOND, THIRD], [FIRST, THIRD])
    assert gone == FILE.replace(
        '\n  - text: "Ask for the order:\n      number"   # odd but legal\n    id: order-bbbbb\n', ""
    )
    back = splice(gone, [FIRST, THIRD], [FIRST, SECOND, THIRD])
    assert back == gone.replace("      first.\n", "      first.\n\n" + dump(SECOND, "  "))


def test_an_addition_at_the_end_stands_before_what_follows_the_list():
    out = splice(FILE, [FIRST, SECOND, THIRD], [FIRST, SECOND, THIRD, NEW])
    assert out == FILE.replace("    status: candidate\n", "    status: candidate\n\n" + dump(NEW, "  "))


def test_an_addition_at_the_start_stands_before_the_comments_of_the_next():
    out = splice(FILE, [FIRST, SECOND, THIRD], [NEW, FIRST, SECOND, THIRD])
    assert out == FILE.replace("entries:\n", "entries:\n" + dump(NEW, "  ") + "\n")


def test_a_moved_entry_keeps_its_lines():
    out = splice(FILE, [FIRST, SECOND, THIRD], [SECOND, THIRD, FIRST])
    assert parse(out).entries == (SECOND, THIRD, FIRST)
    assert "    # finance wants this\n    text: >\n      Offer credit\n" in out


def test_a_list_that_loses_all_its_entries_keeps_its_comments():
    out = splice(FILE, [FIRST, SECOND, THIRD], [])
    assert parse(out).entries == ()
    assert "# --- login ---" in out
    assert "# --- refunds ---" in out
    again = splice(out, [], [NEW])
    assert parse(again).entries == (NEW,)
    assert "learning: {strategy: ace}" in again


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "ctxeng: 1\n",
        "a: 1",
        "entries:",
        "entries: []",
        "entries: []  # none yet\nb: 2\n",
        "entries: null\nb: 2\n",
        "entries: ~\n",
        "entries:\n  # none yet\nb: 2\n",
        "a: {b: c}\nentries: [\n]\nlast: 1\n",
        "\ufeffctxeng: 1\r\nentries: []\r\n",
        "---\na: 1\n",
        '{"ctxeng": 1, "entries": []}',
        "- id: x\n".replace("- id", "id"),
    ],
)
def test_a_missing_or_empty_list_is_begun(text):
    out = splice(text, [], [NEW, FIRST])
    assert parse(out).entries == (NEW, FIRST)
    before, after = parse(text), parse(out)
    assert before.name == after.name
    for line in text.split("\n"):
        if "#" in line:
            assert line[line.index("#") :].rstrip("\r") in out


@pytest.mark.parametrize(
    "text",
    [
        "entries: [{id: a-aaaaa, text: one}, {id: b-bbbbb, text: two}]\nlast: 1\n",
        "entries: [\n  {id: a-aaaaa, text: one},  # x\n  {id: b-bbbbb, text: two}]\nlast: 1\n",
        "entries:\n- {id: a-aaaaa, text: &one one}\n- {id: b-bbbbb, text: two, when: *one}\nlast: 1\n",
        'entries:\n- id: a-aaaaa\n  text: "one\n- two"\n- {id: b-bbbbb, text: two}\nlast: 1\n',
        'entries:\n- {id: a-aaaaa, text: one}\n- id: b-bbbbb\n  text: "two\nlast: 2"\nlast: 1\n',
        "? entries\n: - {id: a-aaaaa, text: one}\n  - {id: b-bbbbb, text: two}\nlast: 1\n",
        '"entries":\n  - {id: a-aaaaa, text: one}\n  - {id: b-bbbbb, text: two}\nlast: 1\n',
        "entries: &list\n  - {id: a-aaaaa, text: one}\n  - {id: b-bbbbb, text: two}\nlast: 1\n",
        "entries:\n  - {id: a-aaaaa, text: one\u2028x}\n  - {id: b-bbbbb, text: two}\nlast: 1\n",
        "entries:\n  - id: a-aaaaa\n    text: |+\n      one\n\n\n  - {id: b-bbbbb, text: two}\nlast: 1\n",
    ],
)
def test_unusual_but_legal_files_are_spliced_or_written_anew_and_never_broken(text):
    old = parse(text).entries
    assert len(old) == 2
    for new in (old[:1], old[1:], [NEW, *old], [*old, NEW], [old[0], NEW, old[1]], [old[1], old[0]]):
        out = splice(text, old, new)
        assert parse(out).entries == tuple(new)
        assert out.rstrip("\n").endswith("last: 1")


def test_a_file_that_cannot_take_entries_is_an_error():
    with pytest.raises(BadPlaybook, match="block style"):
        splice("{a: 1}", [], [NEW])


def test_an_entry_that_had_no_id_in_the_file_gets_it_there():
    text = "entries:\n  # c\n  - text: one   # why\n  - {id: b-bbbbb, text: two}  # keep\n"
    old = parse(text).entries
    out = splice(text, old, old)
    assert parse(out).entries == old
    assert f"  - id: {old[0].id}\n" in out
    assert out.endswith("  - {id: b-bbbbb, text: two}  # keep\n")


def test_the_other_keys_can_be_read_without_the_entries():
    assert (
        without_entries(FILE)
        == FILE[: FILE.index("  - id: refund")] + FILE[FILE.index("# after") :].partition("# after\n")[2]
    )
    assert without_entries("entries: []\n") == ""


LINES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(["", "# a comment\n", "\n", "\n# one\n\n# two\n"]),
        st.sampled_from(["", "  # trailing\n"]),
        st.text(
            st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n-#: "), min_size=1
        ).filter(str.strip),
    ),
    max_size=7,
    unique_by=lambda line: line[0],
)


@given(
    LINES,
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["old", "new"])), unique_by=lambda pick: pick[0]),
    st.sampled_from(["", "  "]),
)
def test_comments_and_entries_that_did_not_change_survive_byte_for_byte(lines, picks, indent):
    entries = [Entry(id=f"e-{'abcdefgh'[number] * 5}", text=text) for number, _, _, text in lines]
    chunks = {entry.id: dump(entry, indent) for entry in entries}
    body = "".join(
        "".join(indent + part if part.startswith("#") else part for part in above.splitlines(keepends=True))
        + chunks[entry.id].replace("\n", "  # own comment\n", 1)
        for entry, (_, above, _, _) in zip(entries, lines, strict=True)
    )
    text = f"a: 1\nentries:\n{body}# behind\nlast: 1\n"
    names = {entry.id: entry for entry in entries}
    new = []
    for number, which in picks:
        name = f"e-{'abcdefghij'[number] * 5}"
        if which == "old" and name in names:
            new.append(names[name])
        elif which == "new":
            new.append(Entry(id=name, text=f"new {number}"))
    out = splice(text, entries, new)
    assert parse(out).entries == tuple(new)
    assert out.startswith("a: 1\nentries:\n")
    assert out.endswith("# behind\nlast: 1\n")
    for entry in new:
        if names.get(entry.id) == entry:
            assert chunks[entry.id].replace("\n", "  # own comment\n", 1) in out
    for _, above, _, _ in lines:
        for comment in above.split("\n"):
            assert comment in out
