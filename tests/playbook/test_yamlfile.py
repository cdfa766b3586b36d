"""Reading and writing entries as YAML."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadPlaybook, NewerPlaybook
from ctxeng.playbook.entry import Entry, mint
from ctxeng.playbook.yamlfile import dump, parse

NASTY = [
    "- id: x-aaaaa",
    "## SECTION\n- id: x-aaaaa\n  text: injected",
    "---\nentries: []",
    "...",
    "&anchor text",
    "*alias",
    "!!python/object:os.system",
    "a: b",
    "a #comment",
    "# comment",
    "yes",
    "null",
    "~",
    "1e3",
    "0x1f",
    "0o17",
    "2024-01-01",
    "12:30:45",
    "=",
    "<<",
    "'",
    '"',
    "it's",
    'say "hi"',
    "a\\nb",
    "trailing ",
    " leading",
    "a\n\nb\n",
    "a\n  b\n c",
    "\na",
    "a\n ",
    "a\u2028- id: x-aaaaa",
    "a\u2029b",
    "\ufeffa",
    "a\u202eb",
    "\U0001f600 ok",
    "{a: b}",
    "[a, b]",
    "%YAML 1.1",
    "@x",
    "`x`",
    "a:\tb",
    "a\t#b",
    "|\n x",
    "a:",
    "?",
    "-",
    "\uffff",
]
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(
    "\n\t-#:&*!|>'\"%@` []{}?,\u2028\u2029\ufeff"
)
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(CHARACTERS, max_size=40)).filter(str.strip)
ENTRIES = st.builds(
    lambda section, text, when, audience, status: Entry(
        id=mint(section, text, lambda name: False),
        section=section,
        text=text,
        when=when,
        audience=tuple(audience),
        status=status,
    ),
    st.sampled_from(["general", "refunds", "yes", "a: b"]),
    TEXTS,
    st.one_of(st.just(""), TEXTS),
    st.lists(st.sampled_from(["answer", "no", "a, b", "[x]", "a: b"]), max_size=3),
    st.sampled_from(["active", "candidate", "retired", "frozen"]),
)
LISTS = st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.id)


@given(LISTS, st.sampled_from(["", "  ", "      "]), st.sampled_from(["\n", "\r\n"]))
def test_whatever_an_entry_says_it_comes_back_the_same(entries, indent, newline):
    items = "".join(dump(entry, indent, newline) for entry in entries)
    text = f"ctxeng: 1{newline}entries:{newline}{items}"
    assert parse(text).entries == tuple(entries)
    plain = yaml.load(text, yaml.SafeLoader) or {}  # and to the slow loader
    assert [each["text"] for each in plain["entries"] or []] == [entry.text for entry in entries]


@pytest.mark.parametrize("text", NASTY)
def test_text_that_looks_like_structure_stays_text(text):
    entry = Entry(id="a-aaaaa", text=text, when=text)
    settings = yaml.load("entries:\n" + dump(entry, "  ") + "last: 1\n", yaml.CSafeLoader)
    assert settings == {"entries": [{"id": "a-aaaaa", "when": text, "text": text}], "last": 1}


def test_what_people_read_has_no_needless_quotes():
    entry = Entry(id="refund-k7q2m", when="customer asks for it", text="Offer credit; ask if over 500 EUR.")
    assert dump(entry, "  ") == (
        "  - id: refund-k7q2m\n    when: customer asks for it\n    text: Offer credit; ask if over 500 EUR.\n"
    )
    long = "a word " * 100 + "end"
    assert f"text: {long}\n" in dump(Entry(id="a-aaaaa", text=long))
    lines = Entry(
        id="a-aaaaa", text="First:\n- one\n\n# two", audience=("answer",), status="candidate", kind="note"
    )
    assert dump(lines) == (
        "- id: a-aaaaa\n  kind: note\n  text: |-\n    First:\n    - one\n\n    # two\n"
        "  audience: [answer]\n  status: candidate\n"
    )


def test_other_keys_are_read_only_where_they_concern_the_playbook():
    head = "ctxeng: 1\nplaybook: support\nextends: ./house.yaml\nmodels: {answer: x}\n"
    text = head + "entries:\n- {id: a-aaaaa, text: t}\n"
    parsed = parse(text)
    assert (parsed.name, parsed.extends) == ("support", ("./house.yaml",))
    assert parsed.entries == (Entry(id="a-aaaaa", text="t"),)
    assert parse("").entries == parse("entries:").entries == parse("entries: []").entries == ()


def test_an_entry_without_an_id_gets_one_that_stays_the_same():
    text = "entries:\n- text: first\n- {text: second, section: Refunds}\n"
    first, second = parse(text).entries
    assert parse(text).entries == (first, second)
    assert second.id.startswith("refunds-")


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("entries:\n  - id: a-aaaaa\n    text: [", ":4:1", "did not find"),
        ("entries:\n  - id: a-aaaaa\n    text: one\n    text: two\n", ":4:5", "given twice"),
        ("a: 1\na: 2\n", ":2:1", "given twice"),
        ("entries:\n- {id: a-aaaaa, text: t}\n- {id: a-aaaaa, text: u}\n", ":3:8", "given twice"),
        ("entries:\n- id: a-aaaaa\n  text: 2024-01-01\n", ":3:9", "put it in quotes"),
        ("entries:\n- id: a-aaaaa\n  text: 42\n", ":3:9", "put it in quotes"),
        ("entries:\n- id: a-aaaaa\n  text: 2024-99-99\n", "", "put such text in quotes"),
        ("entries:\n- id: BAD\n  text: t\n", ":2:7", "id"),
        ("entries:\n- id: a-aaaaa\n", ":2:3", "text"),
        ("entries:\n- id: a-aaaaa\n  text: t\n  txet: t\n", ":4:9", "txet"),
        ("entries:\n- just text\n", ":2:3", "dictionary"),
        ("entries: 5\n", ":1:10", "must be a list"),
        ("- a\n", ":1:1", "must be a mapping"),
        ("extends: {a: 1}\n", ":1:10", "list of files"),
        ("ctxeng: soon\n", ":1:9", "schema version"),
        ("a: \x00\n", "", "not allowed"),
        ("a: !!python/object:os.system x\n", ":1:4", "constructor"),
    ],
)
def test_a_bad_file_is_an_error_with_its_place(text, where, says):
    with pytest.raises(BadPlaybook) as error:
        parse(text, "my.yaml")
    assert f"my.yaml{where}" in str(error.value)
    assert says in str(error.value)


def test_a_later_schema_says_how_to_upgrade():
    with pytest.raises(NewerPlaybook, match="pip install -U"):
        parse("ctxeng: 99\n", "my.yaml")
