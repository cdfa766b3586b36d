"""The playbook as a source: whole while it fits, searched beyond, stable from turn to turn."""

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add
from ctxeng.playbook.entry import Entry, Provenance
from ctxeng.playbook.pick import EntryPicker
from ctxeng.protocols import Allowance
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.turn import Request, user

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOPICS = ["invoices", "refunds", "passwords", "shipping", "warranty", "downtime"]
ENTRIES = [
    Entry(id=f"rules-aaaa{LETTERS[i]}", text=f"About {topic}: follow the {topic} rule.")
    for i, topic in enumerate(TOPICS)
]


def words(section):
    return len(section.body.text.split())


def picker(playbook, **options):
    return EntryPicker(lambda: playbook, Hybrid, **options)


def refs(sections):
    return [section.ref for section in sections]


def request(text, shown=()):
    return Request(query=user(text), shown={"playbook": tuple(shown)})


def test_the_whole_playbook_is_shown_in_its_own_order_while_it_fits():
    sections = picker(Playbook.of(ENTRIES)).gather(request("shipping"), Allowance(1_000, words))
    assert refs(sections) == [entry.id for entry in ENTRIES]


def test_beyond_its_allowance_the_entries_found_for_the_query_are_shown():
    sections = picker(Playbook.of(ENTRIES)).gather(request("a question on warranty"), Allowance(13, words))
    assert ENTRIES[4].id in refs(sections)
    assert sum(section.tokens for section in sections) <= 13


def test_an_entry_shown_last_turn_keeps_its_place_and_new_ones_come_behind():
    shown = [ENTRIES[2].id, ENTRIES[0].id]
    sections = picker(Playbook.of(ENTRIES), stickiness=5.0).gather(
        request("warranty", shown), Allowance(18, words)
    )
    assert refs(sections)[:2] == shown
    assert refs(sections)[2:] == [ENTRIES[4].id]


def test_without_stickiness_the_query_alone_decides():
    shown = [ENTRIES[2].id]
    sections = picker(Playbook.of(ENTRIES), stickiness=0.0).gather(
        request("warranty", shown), Allowance(6, words)
    )
    assert refs(sections) == [ENTRIES[4].id]


def test_a_learning_step_only_appends_to_what_is_shown():
    playbook = Playbook.of(ENTRIES)
    before = picker(playbook).gather(request("x"), Allowance(1_000, words))
    grown = playbook.apply([Add(entry=Entry(id="rules-bbbbb", text="A new one."))]).playbook
    after = picker(grown).gather(request("x"), Allowance(1_000, words))
    assert after[: len(before)] == before


def test_retired_entries_and_other_audiences_are_left_out():
    playbook = Playbook.of(
        [
            ENTRIES[0].model_copy(update={"status": "retired"}),
            ENTRIES[1].model_copy(update={"audience": ("writer",)}),
            ENTRIES[2],
        ]
    )
    asked = Request(query=user("x"), agent="reviewer")
    assert refs(picker(playbook).gather(asked, Allowance(1_000, words))) == [ENTRIES[2].id]


def test_a_candidate_is_shown_as_untrusted_or_not_at_all():
    candidate = Entry(id="rules-ccccc", text="Maybe.", status="candidate")
    playbook = Playbook.of([ENTRIES[0], candidate])
    (_, shown) = picker(playbook).gather(request("x"), Allowance(1_000, words))
    assert shown.trust == "untrusted"
    assert len(picker(playbook, candidates=False).gather(request("x"), Allowance(1_000, words))) == 1


def test_an_entry_is_trusted_no_more_than_its_lineage():
    add = Add(entry=Entry(id="rules-ddddd", text="From a user."), provenance=Provenance(trust="user"))
    playbook = Playbook.of([ENTRIES[0]]).apply([add]).playbook
    assert [s.trust for s in picker(playbook).gather(request("x"), Allowance(1_000, words))] == [
        "trusted",
        "user",
    ]


def test_select_is_the_verb_for_those_who_want_only_this_piece():
    found = picker(Playbook.of(ENTRIES)).select(Playbook.of(ENTRIES), "my refunds are late", 1)
    assert [entry.id for entry in found] == [ENTRIES[1].id]
