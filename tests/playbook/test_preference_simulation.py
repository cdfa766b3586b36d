"""Simulated users with hidden preferences edit less and less, and least where contexts are told apart."""

import random
from dataclasses import dataclass, replace

import pytest

from ctxeng.feedback import edit_distance, tokens
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.learners.preference import PreferenceLearner
from ctxeng.playbook.learners.preference_near import closest, extract, together
from ctxeng.turn import Answer, Edited, Request, Turn, assistant, user

ROUNDS = 200
REQUESTS = {
    "email": (
        "Write an email to the customer {who} about the {thing}. Tell them where the order stands.",
        "Reply to the customer {who}, who asks by email about the delivery of the {thing}.",
        "The customer {who} wrote an email: the {thing} arrived broken. Answer the customer.",
        "Send the customer {who} an email with the invoice of the {thing}.",
    ),
    "notes": (
        "Draft the release notes of version {n} of the {thing} firmware for our engineers.",
        "Summarise the changes in firmware version {n} of the {thing} as release notes.",
        "Release notes are due: firmware {n} for the {thing} has a fix for its sensor.",
        "Our engineers need release notes on the {thing} firmware, version {n}.",
    ),
    "post": (
        "Write a post for the company blog that announces the new {thing}.",
        "Our blog needs a post on how the {thing} is made. Make readers curious.",
        "A blog post, please: the {thing} has won a prize and readers should hear of it.",
        "Announce on the company blog that the {thing} comes in green.",
    ),
}
THINGS = ("lamp", "kettle", "toaster", "heater", "radio", "clock", "blender", "scale", "router", "camera")
WHO = ("Mr Sato", "Ms Okafor", "Dr Lind", "Mrs Weber", "Mr Alvarez", "Ms Novak")
FACTS = (
    ("{p} tested the {thing} on Monday", "The report names {n} open points"),
    ("{p} {do_not} expect delays before the spring", "The warehouse holds {n} boxes of it"),
    ("{p} will check the {thing} again in week {n}", "It {is_not} sold in every region yet"),
    ("The price stays at {n} euros", "{p} {do_not} charge for the {thing} cable"),
    ("The manual has {n} pages now", "{p} welcome questions at any time"),
)


@dataclass(frozen=True)
class Style:
    """How somebody writes."""

    layout: str = "prose"
    mark: str = "!"
    greeting: str = "Hello"
    closing: str = "Best regards, The Team"
    words: int = 200
    contractions: bool = True
    person: str = "I"


USERS = {
    "ana": {
        "email": Style(
            mark=".", greeting="Dear", closing="Kind regards, Ana", contractions=False, person="we"
        ),
        "notes": Style(layout="bullets", mark=".", greeting="", closing="", words=40, contractions=False),
        "post": Style(greeting="", closing="Ana", words=40),
    },
    "ben": {
        "email": Style(layout="bullets", mark=".", greeting="Hi", closing="Ben", words=30),
        "notes": Style(layout="bullets", mark=".", greeting="Hi", closing="Ben", words=30),
        "post": Style(mark=".", greeting="Hi", closing="Ben"),
    },
    "cleo": {  # wants the same of everything: contexts have nothing to add
        kind: Style(layout="bullets", mark=".", closing="Cleo", words=30) for kind in REQUESTS
    },
}


def written(facts, style, values):
    """The facts in that style: as many sentences as come nearest to its number of words."""
    forms = {
        "p": "We" if style.person == "we" else "I",
        "do_not": "don't" if style.contractions else "do not",
        "is_not": "isn't" if style.contractions else "is not",
    }
    said = [fact.format(**values, **forms) + style.mark for fact in facts]
    kept = min(range(1, len(said) + 1), key=lambda n: abs(len(" ".join(said[:n]).split()) - style.words))
    said = said[:kept]
    body = "\n".join(f"- {each}" for each in said) if style.layout == "bullets" else " ".join(said)
    greeting = f"{style.greeting} {values['who']},\n" if style.greeting else ""
    closing = "\n" + style.closing.replace(", ", ",\n") if style.closing else ""
    return f"{greeting}{body}{closing}"


def obedient(preference):
    """The style of a writer who does what the preference says, read as words, and knows nothing else."""
    style = Style()
    for wish in preference.removeprefix("The user wants ").removesuffix(".").split("; "):
        quoted = wish.partition("“")[2].partition("”")[0]
        heeded = {
            "bullet points": {"layout": "bullets"},
            "prose": {"layout": "prose"},
            "words": {"words": int("".join(c for c in wish if c.isdigit()) or 0)},
            "exclamation": {"mark": "." if wish.startswith("no") else "!"},
            "greeting": {"greeting": quoted},
            "closing": {"closing": quoted},
            "contractions": {"contractions": not wish.startswith("no")},
            ", not “": {"person": quoted},
        }
        for cue, fields in heeded.items():
            style = replace(style, **fields) if cue in wish else style
    return style


def simulate(learner, recall, styles, rounds=ROUNDS, seed=7):
    """(distance of each round's edit in tokens, the playbook at the end)."""
    chance = random.Random(seed)
    book, distances = Playbook(), []
    for number in range(rounds):
        kind = chance.choice(sorted(styles))
        values = {"thing": chance.choice(THINGS), "who": chance.choice(WHO), "n": chance.randrange(2, 90)}
        facts = [fact for pair in chance.sample(FACTS, len(FACTS)) for fact in pair]
        query = chance.choice(REQUESTS[kind]).format(**values)
        draft = written(facts, obedient(recall(book, query)), values)
        edit = written(facts, styles[kind], values)
        distances.append(edit_distance(tokens(draft), tokens(edit)))
        turn = Turn(
            id=f"t{number}",
            request=Request(query=user(query)),
            answer=Answer(message=assistant(draft)),
            feedback=Edited.of(draft, edit),
        )
        if learner is not None:
            book = book.apply(learner.propose([turn], book).deltas).playbook
    return distances, book


LEARNER = PreferenceLearner()


def nothing(book, query):
    return ""


def nearby(k, within=0.5):
    def recall(book, query):
        return together(closest(book, extract(query), k, LEARNER.embed), within)

    return recall


def run(mode, styles, seed=7):
    match mode:
        case "none":
            return simulate(None, nothing, styles, seed=seed)
        case "global":
            return simulate(PreferenceLearner(about=lambda _: ""), nearby(1), styles, seed=seed)
        case k:
            return simulate(LEARNER, nearby(k), styles, seed=seed)


@pytest.fixture(scope="module")
def totals():
    """Tokens edited in all rounds, by user and mode."""
    modes = ("none", "global", 1, 5)
    return {who: {mode: sum(run(mode, styles)[0]) for mode in modes} for who, styles in USERS.items()}


@pytest.mark.parametrize("k", [1, 5])
def test_users_edit_less_than_a_fifth_of_what_they_edit_without_learning(totals, k):
    for who, total in totals.items():
        assert total[k] < 0.2 * total["none"], who


@pytest.mark.parametrize("k", [1, 5])
def test_preferences_by_context_beat_one_global_list_where_contexts_differ(totals, k):
    for who in ("ana", "ben"):
        assert totals[who][k] < 0.5 * totals[who]["global"], who


def test_one_global_list_is_enough_for_a_user_who_wants_the_same_of_everything(totals):
    assert totals["cleo"]["global"] < 0.2 * totals["cleo"]["none"]


def test_the_cost_falls_and_the_playbook_stays_small():
    for who, styles in USERS.items():
        distances, book = run(1, styles)
        blank, _ = run("none", styles)
        assert sum(distances[-50:]) < 0.2 * sum(blank[-50:]), who
        assert sum(distances[-100:]) < sum(distances[:100]), who
        assert len(book) <= 12, who


def test_the_simulation_is_deterministic():
    assert run(5, USERS["ana"]) == run(5, USERS["ana"])
