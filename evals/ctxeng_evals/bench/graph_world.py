"""A made-up world of facts with questions over one to three of them, whose triples are known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from ctxeng.chunks.graph.triples import Triple

_FIRST = "Ada Ben Cleo Dov Edda Finn Gita Hugo Ines Jonas Kira Lev Mona Nils Olga Pablo Rosa Sven Tara Umar"
_LAST = (
    "Abbot Brandt Castell Dorn Egger Falk Grieg Holm Ivers Juhl Karras Lund Moro Nagy Orso Pohl Quist Rask"
)
_TONES = "Blue Red Silent Broken Golden Hidden Winter Distant Burning Paper Hollow Crooked Amber Velvet Iron"
_THINGS = "Harbour Lantern Orchard Signal Mirror Staircase Compass Meadow Ferry Archive Garden Bridge Clock"
_PLACES = "Bran Cold Dun Esk Fen Gal Hart Ilm Kel Lor Mar Nor Ost Pel Ral Sel Tor Ulm Ver Wex"
_ENDINGS = "by ford mouth haven stead"
_COUNTRIES = "Valdoria Norlund Sestria Quarn Ombria Teland Rovia Maristan"
_NOISE = (
    "plays the cello in", "gave a speech in", "owns a house near", "spent a summer in",
    "opened a school in", "wrote a letter about", "painted a view of", "ran a marathon in",
)  # fmt: skip
_FILM_NOISE = (
    "was shown at a festival in", "has a scene that was shot near", "won a prize given by the town of",
    "was restored in an archive in", "is the subject of an exhibition in",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked, how many facts one after another it takes, and their places in the world's triples."""

    text: str
    hops: int
    gold: tuple[int, ...]
    kind: str


@dataclass
class World:
    """Triples, drawn from a seed: films, people, companies, towns, countries, and a crowd of small facts."""

    seed: int = 0
    films: int = 120
    noise: int = 6  # small facts about each film and each person
    triples: list[Triple] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)  # noqa: S311 - seeded
        pairs = [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]
        self.people = draw.sample(pairs, self.films)
        titles = [f"The {tone} {thing}" for tone in _TONES.split() for thing in _THINGS.split()]
        self.titles = draw.sample(titles, self.films)
        towns = draw.sample([place + end for place in _PLACES.split() for end in _ENDINGS.split()], 40)
        companies = [f"{last} Pictures" for last in _LAST.split()]
        self._fact: dict[tuple[str, str], int] = {}
        for town in towns:
            self._add(town, "lies in", draw.choice(_COUNTRIES.split()), "towns.csv")
        for company in companies:
            self._add(company, "has its seat in", draw.choice(towns), "companies.csv")
        for person in self.people:
            self._add(person, "was born in", draw.choice(towns), "people.csv")
            self._add(person, "works for", draw.choice(companies), "people.csv")
            for said in draw.sample(_NOISE, min(self.noise, len(_NOISE))):
                self._add(person, said, draw.choice(towns), "people.csv")
        for title in self.titles:
            self._add(title, "was directed by", draw.choice(self.people), "films.csv")
            self._add(title, "was first shown in", str(draw.randint(1950, 2020)), "films.csv")
            for said in draw.sample(_FILM_NOISE, min(self.noise, len(_FILM_NOISE))):
                self._add(title, said, draw.choice(towns), "films.csv")

    def questions(self, count: int) -> list[Question]:
        """So many questions, of every kind in turn."""
        draw = random.Random(self.seed + 1)  # noqa: S311 - seeded
        found = self._questions(draw)
        return [next(found) for _ in range(count)]

    def _questions(self, draw: random.Random) -> Iterator[Question]:
        while True:
            film, other = draw.sample(self.titles, 2)
            person = draw.choice(self.people)
            yield self._asked("one", f"Who is the director of {film}?", [(film, "was directed by")])
            yield self._asked("one", f"What is the birthplace of {person}?", [(person, "was born in")])
            yield self._asked("two", f"Where was the director of {film} born?", self._born(film))
            employer = [(person, "works for"), ("", "has its seat in")]
            yield self._asked("two", f"In which town is the employer of {person} based?", employer)
            country = [*self._born(film), ("", "lies in")]
            yield self._asked("three", f"In which country was the director of {film} born?", country)
            both = f"Were the directors of {film} and {other} born in the same town?"
            yield self._asked("compare", both, [*self._born(film), *self._born(other)])

    def _born(self, film: str) -> list[tuple[str, str]]:
        return [(film, "was directed by"), ("", "was born in")]

    def _asked(self, kind: str, text: str, path: list[tuple[str, str]]) -> Question:
        """The question with the facts on its path; an empty subject is the object of the fact before."""
        gold: list[int] = []
        for subject, relation in path:
            gold.append(self._fact[subject or self.triples[gold[-1]].object, relation])
        hops = {"one": 1, "two": 2, "three": 3, "compare": 2}[kind]
        return Question(text, hops, tuple(gold), kind)

    def _add(self, subject: str, relation: str, other: str, source: str) -> None:
        self._fact[subject, relation] = len(self.triples)
        self.triples.append(Triple(subject=subject, relation=relation, object=other, source=source))
