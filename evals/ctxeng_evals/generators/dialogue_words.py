"""What users of the dialogue family talk about: facts that change, facts that cannot, and other people."""

from __future__ import annotations

import random
from collections.abc import Mapping

from ctxeng_evals.generators.words import TOWNS

CHANGING: Mapping[str, tuple[str, ...]] = {
    "home town": TOWNS[:12],
    "employer": ("Arcovia", "Belmora", "Cintro", "Dravex", "Elporta", "Finmark", "Gravana"),
    "favourite dish": ("Couscous", "Dumplings", "Goulash", "Lasagne", "Paella", "Ramen", "Risotto"),
    "phone brand": ("Axento", "Brello", "Corvi", "Dexmo", "Evira", "Falto"),
    "football club": ("Rovers", "Wanderers", "Rangers", "Albion", "Athletic", "Harriers"),
    "choice of sport": ("Badminton", "Climbing", "Fencing", "Rowing", "Swimming", "Yoga"),
    "usual drink": ("Cider", "Cocoa", "Espresso", "Lemonade", "Mate", "Rooibos"),
    "boss": ("Anders", "Beatrix", "Cornel", "Dorothea", "Edgar", "Frida"),
}
FIXED: Mapping[str, tuple[str, ...]] = {
    "birthplace": TOWNS[12:],
    "month of birth": ("January", "March", "April", "June", "August", "October", "December"),
    "mother tongue": ("Basque", "Breton", "Catalan", "Finnish", "Frisian", "Maltese", "Welsh"),
    "middle name": ("Ambrose", "Clement", "Felicity", "Gideon", "Mabel", "Rufus", "Winifred"),
    "eldest sibling": ("Agnes", "Bruno", "Clara", "Dominic", "Esther", "Florian"),
    "first school": ("Ashgrove", "Beechwood", "Chalkhill", "Dovecote", "Elmfield", "Fairmead"),
}
REPLIES = ("Thank you for telling me.", "I see.", "That is good to know.", "Noted.", "Of course.")
_OPENINGS = ("By the way, my", "Just so that you know, my", "My", "As for me, my")
_UPDATES = ("Something has changed: my", "You can forget what I said before, my", "Since last week, my")
_OTHERS = ("My neighbour's", "A friend's", "My colleague's", "Our landlord's")


def statement(rng: random.Random, noun: str, value: str, *, update: bool) -> str:
    """The user's statement of a fact; an update says that it takes the place of the one before."""
    if update and noun in CHANGING:
        return f"{rng.choice(_UPDATES)} {noun} is now {value}."
    return f"{rng.choice(_OPENINGS)} {noun} is {value}."


def other(rng: random.Random) -> str:
    """A remark about somebody else, in nearly the words in which users talk about themselves."""
    noun, values = rng.choice([*CHANGING.items(), *FIXED.items()])
    return f"{rng.choice(_OTHERS)} {noun} is {rng.choice(values)}."
