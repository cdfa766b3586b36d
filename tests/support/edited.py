"""Turns that a user edited, and playbooks that learned from them."""

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.preference import PreferenceLearner
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.turn import (
    Answer,
    Edited,
    Request,
    Turn,
    assistant,
    user,
)

EMBED = HashingEmbedder().embed
MAIL = "Write an email to the customer about the late delivery of the lamp."
MAIL_AGAIN = "Write an email to the customer about the late delivery of the kettle."
NOTES = "Draft release notes for the firmware of the lamp."
DRAFT = "The lamp is late! The report is done! It comes on Monday!"
BULLETS = "- The lamp is late!\n- The report is done!\n- It comes on Monday!"
CALM = DRAFT.replace("!", ".")
FREE = Entry(id="preferences-aaaaa", kind="preference", section="preferences", when=MAIL, text="Be kind.")


def turn(edit, question=MAIL, draft=DRAFT, name="t1", **fields):
    return Turn(
        id=name,
        request=Request(query=user(question)),
        answer=Answer(message=assistant(draft)),
        feedback=Edited.of(draft, edit),
        **fields,
    )


def grown(*turns, book=None, **options):
    """The playbook after each turn was learned by itself, as feedback comes in."""
    book, learner = book or Playbook(), PreferenceLearner(**options)
    for number, each in enumerate(turns):
        named = each.model_copy(update={"id": f"t{number}"})
        book = book.apply(learner.propose([named], book).deltas).playbook
    return book


def entries(book):
    return [(entry.when, entry.text) for entry in book.own]
