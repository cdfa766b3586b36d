"""What the learned ranker knows of each unit; not a number where it cannot be known."""

from __future__ import annotations

import re

import numpy as np

from ctxeng.chunks.rank.names import phrases
from ctxeng.chunks.rank.view import Floats, View, best_of, ranks, relative
from ctxeng.retrieval.words import terms

_YEAR = re.compile(r"\b(1[0-9]{3}|20[0-9]{2})\b")
_LIFE = re.compile(r"\b(born|died)\b|\(\d{1,2} \w+ \d{4}|\((born|b\.) ")
_QUESTIONS = {
    "asks_person": re.compile(r"\b(who|whose|whom)\b", re.IGNORECASE),
    "asks_time": re.compile(r"\b(when|what year|which year|date|born|die[ds]?)\b", re.IGNORECASE),
    "asks_place": re.compile(r"\b(where|country|city|place|nationality|located|state)\b", re.IGNORECASE),
    "asks_amount": re.compile(r"\b(how many|how much|number|population|percent\w*)\b", re.IGNORECASE),
    "compares": re.compile(
        r"\b(both|same|older|younger|first|earlier|later|more|less|or|than|between)\b", re.IGNORECASE
    ),
    "asks_relative": re.compile(
        r"\b(wife|husband|spouse|father|mother|director|performer|author|son|daughter|child|grand)\w*",
        re.IGNORECASE,
    ),
}
Columns = dict[str, Floats]

_TOP = 3  # groups that a second hop starts from


def features(view: View) -> Columns:
    """What does not depend on any belief in other units, by name: (N,) each."""
    parts = (_words(view), _meaning(view), _place(view), _titles(view), _question(view))
    return {name: column for part in parts for name, column in part.items()}


def guess(view: View) -> Floats:
    """(N,) a first belief from words and meaning, units and their groups, 0 to 1."""
    return relative(_hybrid(view) + 0.5 * _hybrid_paragraph(view)[view.groups])


def links(view: View, belief: Floats | None = None) -> Columns:
    """What units owe to others that name or resemble them, by name: (N,) each.

    `belief` is (N,), 0 to 1: how far each unit is thought to be evidence; None stands for `guess`. A unit
    counts for more when a believed one names its title, or shares a rare name with it: explicit links carry
    most of what there is to gain in questions of several hops.
    """
    own = guess(view) if belief is None else belief
    group = best_of(own, view.groups, len(view.titles)) if belief is not None else _guess_group(view)
    return {**_naming(view, own, group), **_residual(view, own), **_beside_best(view, own)}


def _hybrid(view: View) -> Floats:
    cosine = view.cosine
    return relative(view.bm25) + (relative(cosine) if cosine is not None else 0.0)


def _hybrid_paragraph(view: View) -> Floats:
    cosine = view.cosine_paragraph
    return relative(view.bm25_paragraph) + (relative(cosine) if cosine is not None else 0.0)


def _words(view: View) -> Columns:
    groups = view.groups
    return {
        "bm25": relative(view.bm25),
        "bm25_raw": view.bm25,
        "bm25_bare": relative(view.bm25_bare),
        "bm25_paragraph": relative(view.bm25_paragraph)[groups],
        "bm25_paragraph_raw": view.bm25_paragraph[groups],
        "covered": view.covers @ view.weights,
        "covered_paragraph": (view.covers_paragraph @ view.weights)[groups],
        "rank": ranks(_hybrid(view)),
        "rank_paragraph": ranks(_hybrid_paragraph(view))[groups],
    }


def _meaning(view: View) -> Columns:
    cosine, paragraph, groups = view.cosine, view.cosine_paragraph, view.groups
    names = ("cosine", "cosine_gap", "cosine_paragraph", "cosine_paragraph_gap", "cosine_best_gap")
    if cosine is None or paragraph is None:
        return {name: np.full(len(groups), np.nan) for name in names}
    best = best_of(cosine, groups, len(view.titles))
    found = (
        cosine,
        cosine - cosine.max(initial=-1.0),
        paragraph[groups],
        (paragraph - paragraph.max(initial=-1.0))[groups],
        (best - best.max(initial=-1.0))[groups],
    )
    return dict(zip(names, found, strict=True))


def _place(view: View) -> Columns:
    groups, count = view.groups, len(view.titles)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    lengths = np.array([len(terms(text)) for text in view.texts], dtype=np.float64)
    whole = np.bincount(groups, weights=lengths, minlength=count)
    place, inside = np.zeros(len(groups)), np.zeros(len(groups))
    score = _hybrid(view)
    for group in range(count):
        members = np.flatnonzero(groups == group)
        place[members] = np.arange(len(members))
        inside[members] = ranks(score[members])
    return {
        "rank_inside": inside,
        "place": np.minimum(place, 10.0),
        "size": sizes[groups],
        "length": lengths,
        "length_share": lengths / (whole[groups] + 1.0),
        "groups": np.full(len(groups), float(count)),
    }


def _titles(view: View) -> Columns:
    groups, said = view.groups, view.asked_for
    asked = phrases(view.query)
    common = [names & asked for names in view.names]
    rarity = [sum(1.0 / view.known_names[name] for name in names) for names in common]
    return {
        "title_asked": said[groups],
        "title_overlap": view.title_overlap[groups],
        "title_said": view.names_itself,
        "titles_asked": np.full(len(groups), said.sum()),
        "names_asked": np.array(rarity),
        "names_asked_share": np.array([len(names) / max(1, len(asked)) for names in common]),
    }

    return phrases(view.query)


def _question(view: View) -> Columns:
    count = len(view.texts)
    asked = {name: np.full(count, float(bool(p.search(view.query)))) for name, p in _QUESTIONS.items()}
    return {
        **asked,
        "query_length": np.full(count, float(len(view.query.split()))),
        "has_year": np.array([float(bool(_YEAR.search(text))) for text in view.texts]),
        "has_number": np.array([float(any(map(str.isdigit, text))) for text in view.texts]),
        "has_life": np.array([float(bool(_LIFE.search(text))) for text in view.texts]),
        "names": np.array([float(len(names)) for names in view.names]),
    }


def _guess_group(view: View) -> Floats:
    return relative(_hybrid_paragraph(view) + relative(best_of(_hybrid(view), view.groups, len(view.titles))))


def _naming(view: View, belief: Floats, group: Floats) -> Columns:
    """Links by title and by rare name; `group` is the belief in each group."""
    groups, count, naming, sharing = view.groups, len(view.titles), view.naming, view.sharing
    top = np.zeros(count)
    first = np.argsort(-group, kind="stable")[:_TOP]
    top[first] = group[first]
    named_by = _strongest(naming, belief)
    names_out = (naming * group[None, :]).max(axis=1, initial=0.0)
    shared = sharing * belief[None, :]
    shared_group = best_of(shared.max(axis=1, initial=0.0), groups, count)
    bridged = relative(group + 0.8 * named_by + 0.3 * shared_group)
    second = 0.5 * bridged[groups] + 0.5 * relative(belief + 0.5 * named_by[groups])
    new = (1 - view.asked_for) * (0.3 + group)  # a group that the query does not say: where a hop leads
    return {
        "belief": belief,
        "belief_group": group[groups],
        "belief_rank": ranks(belief),
        "belief_gap": belief.max(initial=0.0) - belief,
        "belief_inside": belief - best_of(belief, groups, count)[groups],
        "named_by": named_by[groups],
        "named_by_top": _strongest(naming, top[groups])[groups],
        "named_by_asked": _strongest(naming, view.asked_for[groups])[groups],
        "named_count": naming.sum(axis=0)[groups],
        "named_second": _strongest(naming, second)[groups],
        "names_out": names_out,
        "names_out_count": naming.sum(axis=1),
        "names_out_asked": (naming * view.asked_for[None, :]).max(axis=1, initial=0.0),
        "names_out_new": (naming * new[None, :]).max(axis=1, initial=0.0),
        "names_out_group": best_of(names_out, groups, count)[groups],
        "names_out_bridged": (naming * bridged[None, :]).max(axis=1, initial=0.0),
        "shared": shared.max(axis=1, initial=0.0),
        "shared_sum": shared.sum(axis=1),
        "shared_top": (sharing * top[groups][None, :]).max(axis=1, initial=0.0),
        "shared_group": shared_group[groups],
        "bridged": bridged[groups],
        "bridged_rank": ranks(bridged)[groups],
    }


def _strongest(naming: Floats, belief: Floats) -> Floats:
    """(G,) the belief in the most believed unit that names the group."""
    strongest: Floats = (naming * belief[:, None]).max(axis=0, initial=0.0)
    return strongest


def _residual(view: View, belief: Floats) -> Columns:
    """What of the query a unit adds to the unit that leads to it."""
    groups = view.groups
    named = view.naming * belief[:, None]
    source = named.argmax(axis=0)[groups]  # (N,) the unit that names this one's group
    has = (named.max(axis=0, initial=0.0) > 0)[groups]
    new = np.maximum(view.covers - view.covers[source], 0.0) @ view.weights
    similar = np.full(len(groups), np.nan)
    if view.vectors is not None:
        similar = np.einsum("nd,nd->n", view.vectors, view.vectors[source]) * has
    return {"adds": new * has, "like_source": similar.astype(np.float64)}


def _beside_best(view: View, belief: Floats) -> Columns:
    """Similarity to the most believed unit, and to the query moved towards it."""
    if view.vectors is None or view.asked is None or not len(belief):
        nothing = np.full(len(belief), np.nan)
        return {"like_best": nothing, "like_moved": nothing}
    best = view.vectors[int(np.argmax(belief))]
    moved = view.asked + best
    moved = moved / max(float(np.linalg.norm(moved)), 1e-9)
    near = (view.vectors @ moved).astype(np.float64)
    return {"like_best": (view.vectors @ best).astype(np.float64), "like_moved": near - near.max()}
