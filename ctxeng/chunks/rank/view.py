"""A question and its candidate units, side by side: what words, meaning and names say of each. Read first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.rank.names import mentions, phrases, plain, title_key
from ctxeng.retrieval.lexical import Lexical
from ctxeng.retrieval.words import terms

Floats = NDArray[np.float64]

_RARE = 0.1  # of the groups may know a name that links two of them; three always may


@dataclass(frozen=True)
class View:
    """N units (sentences, say) in G groups (the paragraphs they are from, in reading order).

    `vectors` are unit rows, best of late chunking; None where there is no encoder. Everything else is
    worked out when it is first asked for.
    """

    query: str
    texts: tuple[str, ...]  # (N,)
    groups: NDArray[np.int64]  # (N,) 0 to G - 1
    titles: tuple[str, ...]  # (G,) "" where there is none
    vectors: NDArray[np.float32] | None = None  # (N, D)
    asked: NDArray[np.float32] | None = None  # (D,) the query's

    @cached_property
    def paragraphs(self) -> tuple[str, ...]:
        """(G,) each group's text, its title first."""
        parts: list[list[str]] = [[title] if title else [] for title in self.titles]
        for text, group in zip(self.texts, self.groups, strict=True):
            parts[group].append(text)
        return tuple("\n".join(part) for part in parts)

    @cached_property
    def titled(self) -> tuple[str, ...]:
        """(N,) each unit's text behind its title."""
        return tuple(
            f"{self.titles[group]}\n{text}" for text, group in zip(self.texts, self.groups, strict=True)
        )

    # -- words -------------------------------------------------------------------------------------------

    @cached_property
    def bm25(self) -> Floats:
        """(N,) BM25 of units with their titles."""
        return Lexical(self.titled).scores(self.query).astype(np.float64)

    @cached_property
    def bm25_bare(self) -> Floats:
        """(N,) BM25 of units alone."""
        return Lexical(self.texts).scores(self.query).astype(np.float64)

    @cached_property
    def bm25_paragraph(self) -> Floats:
        """(G,) BM25 of whole groups."""
        return Lexical(self.paragraphs).scores(self.query).astype(np.float64)

    @cached_property
    def asks(self) -> tuple[str, ...]:
        """(A,) the query's distinct terms."""
        return tuple(sorted(set(terms(self.query))))

    @cached_property
    def rarity(self) -> dict[str, float]:
        """A term's inverse document frequency over the groups (BM25's)."""
        known: dict[str, int] = {}
        for text in self.paragraphs:
            for term in set(terms(text)):
                known[term] = known.get(term, 0) + 1
        count = len(self.titles)
        every = {*known, *self.asks}
        return {t: float(np.log1p((count - known.get(t, 0) + 0.5) / (known.get(t, 0) + 0.5))) for t in every}

    @cached_property
    def weights(self) -> Floats:
        """(A,) what each of the query's terms counts; they add up to 1."""
        raw = np.array([self.rarity[term] for term in self.asks])
        return raw / raw.sum() if raw.sum() > 0 else raw

    @cached_property
    def covers(self) -> Floats:
        """(N, A) whether a unit with its title has the term, 0 or 1."""
        return _having(self.titled, self.asks)

    @cached_property
    def covers_paragraph(self) -> Floats:
        """(G, A) whether the group has the term."""
        return _having(self.paragraphs, self.asks)

    @cached_property
    def title_overlap(self) -> Floats:
        """(G,) the share of the title's terms, by rarity, that the query has."""
        found = np.zeros(len(self.titles))
        for place, title in enumerate(self.titles):
            words = set(terms(title))
            whole = sum(self.rarity.get(word, 0.0) for word in words)
            common = sum(self.rarity.get(word, 0.0) for word in words & set(self.asks))
            found[place] = common / whole if whole > 0 else 0.0
        return found

    # -- meaning -----------------------------------------------------------------------------------------

    @cached_property
    def cosine(self) -> Floats | None:
        """(N,) similarity to the query; None without vectors."""
        if self.vectors is None or self.asked is None:
            return None
        return (self.vectors @ self.asked).astype(np.float64)

    @cached_property
    def cosine_paragraph(self) -> Floats | None:
        """(G,) similarity of the groups' mean vectors; None without vectors."""
        if self.vectors is None or self.asked is None:
            return None
        sums = np.zeros((len(self.titles), self.vectors.shape[1]))
        np.add.at(sums, self.groups, self.vectors)
        lengths = np.linalg.norm(sums, axis=1)
        return (sums @ self.asked) / np.where(lengths > 0, lengths, 1.0)

    # -- names -------------------------------------------------------------------------------------------

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """(G,) what a text would call each group; "" where its title is none to look for."""
        return tuple(title_key(title) for title in self.titles)

    @cached_property
    def naming(self) -> Floats:
        """(N, G) whether a unit names another group's title, 0 or 1; the explicit links."""
        found = np.zeros((len(self.texts), len(self.keys)))
        for place, groups in enumerate(mentions([plain(text) for text in self.texts], self.keys)):
            mine = self.keys[self.groups[place]]
            found[place, [group for group in groups if self.keys[group] != mine]] = 1.0
        return found

    @cached_property
    def names_itself(self) -> Floats:
        """(N,) whether a unit says its own title, 0 or 1."""
        mine = [self.keys[group] for group in self.groups]
        return np.array(
            [float(bool(key) and key in plain(t)) for key, t in zip(mine, self.texts, strict=True)]
        )

    @cached_property
    def asked_for(self) -> Floats:
        """(G,) whether the query says the title, 0 or 1."""
        question = plain(self.query)
        return np.array([float(bool(key) and key in question) for key in self.keys])

    @cached_property
    def names(self) -> tuple[frozenset[str], ...]:
        """(N,) the names and numbers in each unit."""
        return tuple(phrases(text) for text in self.texts)

    @cached_property
    def name_density(self) -> float:
        """Names a word: each unit's distinct ones, numbers left out, over all words; 0 without words."""
        words = sum(len(text.split()) for text in self.texts)
        found = sum(not name.isdigit() for names in self.names for name in names)
        return found / words if words else 0.0

    @cached_property
    def known_names(self) -> dict[str, int]:
        """In how many groups each name stands, titles included."""
        held: list[set[str]] = [set(phrases(title)) for title in self.titles]
        for found, group in zip(self.names, self.groups, strict=True):
            held[group] |= found
        known: dict[str, int] = {}
        for names in held:
            for name in names:
                known[name] = known.get(name, 0) + 1
        return known

    @cached_property
    def sharing(self) -> Floats:
        """(N, N) rare names that units of two groups share and the query does not say; 0 to 2."""
        most = max(3.0, _RARE * len(self.titles))
        said = phrases(self.query)
        rare = [name for name, n in sorted(self.known_names.items()) if 1 < n <= most and name not in said]
        place = {name: column for column, name in enumerate(rare)}
        has = np.zeros((len(self.texts), len(rare)))
        for row, found in enumerate(self.names):
            has[row, [place[name] for name in found if name in place]] = 1.0
        worth = np.array([1.0 / (self.known_names[name] - 1) for name in rare])
        shared: Floats = (has * worth) @ has.T
        shared[self.groups[:, None] == self.groups[None, :]] = 0.0
        return np.minimum(shared, 2.0)


def relative(scores: Floats) -> Floats:
    """Scores relative to the best, which is 1; what points the other way counts as nothing."""
    positive = np.maximum(scores, 0.0)
    top = positive.max(initial=0.0)
    return positive / top if top > 0 else positive


def best_of(scores: Floats, groups: NDArray[np.int64], count: int) -> Floats:
    """(G,) the highest score in each of `count` groups; 0 for one without units."""
    found = np.full(count, -np.inf)
    np.maximum.at(found, groups, scores)
    return np.where(np.isfinite(found), found, 0.0)


def ranks(scores: Floats) -> Floats:
    """Each score's rank, the best 0, ties in order."""
    found = np.empty(len(scores))
    found[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return found


def _having(texts: tuple[str, ...], asked: tuple[str, ...]) -> Floats:
    held = [set(terms(text)) for text in texts]
    found = [[float(term in words) for term in asked] for words in held]
    return np.array(found).reshape(len(texts), len(asked))
