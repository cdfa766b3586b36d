"""The words of the tool zoo: each verb, noun and server with its name, its description and a paraphrase."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A part of a tool: in its name, in its description, and in a query that means it."""

    name: str
    about: str
    asked: str


VERBS = (
    Word("create", "Creates", "set up"),
    Word("delete", "Deletes", "get rid of"),
    Word("update", "Updates the fields of", "correct what we have noted about"),
    Word("list", "Lists every instance of", "go through all that counts as"),
    Word("find", "Searches by text for", "help me track down"),
    Word("export", "Exports as a file", "let me download"),
    Word("share", "Grants another user access to", "show my colleague"),
    Word("archive", "Archives", "put away for the record"),
    Word("approve", "Approves", "sign off on"),
    Word("assign", "Assigns an owner to", "make somebody responsible for"),
)
NOUNS = (
    Word("invoice", "an invoice", "a bill for a customer"),
    Word("ticket", "a support ticket", "a complaint that came in"),
    Word("shipment", "a shipment", "a parcel on its way"),
    Word("employee", "an employee profile", "somebody who works here"),
    Word("contract", "a contract", "a signed agreement"),
    Word("meeting", "a calendar meeting", "an appointment"),
    Word("page", "a wiki page", "an article for readers in the house"),
    Word("lead", "a sales lead", "a possible buyer"),
    Word("campaign", "an email campaign", "a letter to thousands"),
    Word("dataset", "a dataset", "a table of figures"),
    Word("device", "a network device", "a machine on our wires"),
    Word("budget", "a budget", "a spending plan"),
)
SERVERS = (
    Word("finance", "in the finance system", "for those who keep the books"),
    Word("helpdesk", "in the help desk", "for those who answer callers"),
    Word("warehouse", "in the warehouse system", "for those who pack goods"),
    Word("hr", "in the human resources system", "for those who hire"),
    Word("legal", "in the legal department's system", "for our lawyers"),
    Word("crm", "in the customer relations system", "for those who sell"),
    Word("marketing", "in the marketing suite", "for those who advertise"),
    Word("lab", "in the research platform", "for our scientists"),
)
