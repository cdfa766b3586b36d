"""The vocabulary of the generated cases, and prose without content that evidence hides in."""

from __future__ import annotations

import random
from collections.abc import Mapping


def split(text: str) -> tuple[str, ...]:
    """The words of a text that lists them."""
    return tuple(text.split())


PLANTS = split(
    "Alder Aspen Bramble Briar Cedar Clover Cypress Elder Fennel Fern Foxglove Gorse Hawthorn Hazel "
    "Heather Hemlock Holly Juniper Larch Larkspur Laurel Linden Lupin Mallow Maple Marigold Myrtle Nettle "
    "Oleander Poplar Primrose Rowan Saffron Sorrel Spruce Tansy Teasel Thistle Willow Yarrow"
)
SITES = split(
    "archive bakery boathouse brewery chapel depot foundry garage granary hangar kiln laundry lighthouse "
    "mill nursery observatory pavilion quarry stable tannery"
)
TOWNS = split(
    "Abbenfeld Brisk Corrow Dunmere Eastwick Farrand Gilsby Harrowgate Inverlee Jorvale Kestrin Lowmoor "
    "Marrick Norwell Ostrava Penhallow Quillan Rothby Selwick Tarn Ulverby Varnholt Westray Yarborough"
)
PEOPLE = split("Ada Bela Carlo Dina Emil Farah Goran Hana Ivo Jonas Kaya Lena Milo Nadia Oskar Petra")
LAST_NAMES = split("Abel Brandt Costa Duarte Ekberg Fuchs Grau Holt Ilves Jansen Kovac Lund")
COMMON = split(
    "anchor basket candle dragon engine forest garden hammer island jacket kettle ladder magnet needle "
    "orange pencil quarry ribbon saddle tunnel umbrella violin window yellow"
)
# what a person does, and what such a person is called
TRADES: Mapping[str, str] = {
    "mends shoes": "cobbler",
    "bakes bread": "baker",
    "cuts hair": "barber",
    "pulls teeth": "dentist",
    "draws houses": "architect",
    "flies planes": "pilot",
    "sells flowers": "florist",
    "binds books": "stationer",
    "makes hats": "milliner",
    "teaches children": "schoolmaster",
    "lays pipes": "plumber",
    "shoes horses": "farrier",
    "blows glass": "artisan",
    "sews suits": "tailor",
    "grinds lenses": "optician",
    "treats animals": "vet",
}
HOBBIES: Mapping[str, str] = {
    "keeps bees": "apiarist",
    "runs marathons": "distance athlete",
    "catches trout": "fly angler",
    "watches stars": "hobby astronomer",
    "climbs cliffs": "mountaineer",
    "collects stamps": "philatelist",
    "plays chess": "grandmaster",
    "beats drums": "percussionist",
    "throws pots": "ceramicist",
    "breeds pigeons": "bird fancier",
    "rows boats": "sculler",
    "rides bicycles": "cyclist",
    "picks mushrooms": "fungus hunter",
    "writes verse": "poet",
    "takes photographs": "camera enthusiast",
    "explores caves": "potholer",
}

_SUBJECTS = (
    "the gardener",
    "a tall visitor",
    "the night porter",
    "her older cousin",
    "the ferry crew",
    "one of the clerks",
    "a travelling tailor",
    "the youngest apprentice",
    "our neighbour",
    "the choir",
)
_VERBS = (
    "watched the rain",
    "carried a basket of apples",
    "talked about the harvest",
    "repaired an old clock",
    "waited without a word",
    "painted the fence again",
    "read a letter aloud",
    "hummed a slow tune",
    "swept the stairs",
    "counted the swallows",
    "brewed a pot of tea",
)
_PLACES = (
    "by the river",
    "under the arcade",
    "behind the station",
    "on the upper terrace",
    "near the market",
    "in the small courtyard",
    "along the canal",
    "at the edge of the wood",
    "in front of the library",
)
_TIMES = (
    "before dawn",
    "in the late afternoon",
    "during the first frost",
    "while the bells rang",
    "for most of the week",
    "after the guests had gone",
    "on a windless day",
    "as the lamps were lit",
)
_FRAMES = len(_SUBJECTS) * len(_VERBS) * len(_PLACES) * len(_TIMES)


def filler(rng: random.Random, count: int) -> list[str]:
    """So many sentences of 8 to 16 words that state nothing anybody asks for (7,920 different ones)."""
    return [_sentence(rng.randrange(_FRAMES)) for _ in range(count)]


def _sentence(number: int) -> str:
    number, subject = divmod(number, len(_SUBJECTS))
    number, verb = divmod(number, len(_VERBS))
    when, place = divmod(number, len(_PLACES))
    text = f"{_SUBJECTS[subject]} {_VERBS[verb]} {_PLACES[place]} {_TIMES[when]}."
    return text[0].upper() + text[1:]


def hex_key(rng: random.Random) -> str:
    """A random key of 32 hexadecimal digits in the form of a UUID."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def sites(rng: random.Random, count: int) -> list[str]:
    """So many different names of buildings, such as Larkspur depot; 800 exist."""
    chosen = rng.sample(range(len(PLANTS) * len(SITES)), count)
    return [f"{PLANTS[number % len(PLANTS)]} {SITES[number // len(PLANTS)]}" for number in chosen]
