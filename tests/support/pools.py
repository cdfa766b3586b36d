"""Pools of chunks to choose from: by hand, at random, and as hypothesis strategies."""

from dataclasses import fields

import numpy as np
from hypothesis import strategies as st

from ctxeng.chunks.pool import Pool
from ctxeng.turn import Chunk

QUERY = "Which of the two films came out first?"


def pool_of(relevance, costs=None, groups=None, frames=None, query=QUERY, sources=None, starts=None, **more):
    """A pool with these relevances; else chunks of 10 tokens, each a group, without frames."""
    count = len(relevance)
    groups = list(range(count)) if groups is None else groups
    frames = [0] * (max(groups, default=-1) + 1) if frames is None else frames
    sources = [f"doc{group}" for group in groups] if sources is None else sources
    starts = [100 * place for place in range(count)] if starts is None else starts
    chunks = tuple(
        Chunk(id=f"c{place}", text=f"text {place}", source=source, start=start, end=start + 50)
        for place, (source, start) in enumerate(zip(sources, starts, strict=True))
    )
    return Pool(
        query=query,
        chunks=chunks,
        costs=np.array([10] * count if costs is None else costs, dtype=np.int64),
        groups=np.array(groups, dtype=np.int64),
        frames=np.array(frames, dtype=np.int64),
        relevance=np.array(relevance, dtype=np.float64),
        **more,
    )


def random_pool(seed, count, frame=10, dim=8, query=QUERY):
    """A pool of random relevance, costs, groups of about three, vectors, aspects and links."""
    draw = np.random.default_rng(seed)
    groups = np.unique(draw.integers(0, max(1, count // 3), count), return_inverse=True)[1].tolist()
    return pool_of(
        draw.random(count),
        draw.integers(5, 40, count),
        groups,
        draw.integers(0, frame + 1, max(groups, default=-1) + 1),
        query,
        vectors=unit_rows(draw, count, dim),
        aspects=draw.random((count, 3)),
        weights=np.full(3, 1 / 3),
        links=sparse_links(draw, count),
    )


def unit_rows(draw, count, dim):
    """(count, dim) float32 rows of length 1."""
    rows = draw.normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sparse_links(draw, count):
    """(count, count) links, most of them 0, none from a chunk to itself."""
    links = draw.random((count, count)) * (draw.random((count, count)) < 0.2)
    np.fill_diagonal(links, 0)
    return links


@st.composite
def pools(draw, most=10):
    """Any pool of up to `most` chunks, with and without frames, vectors, aspects and links."""
    count = draw(st.integers(0, most))
    labels = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    groups = np.unique(labels, return_inverse=True)[1].tolist() if labels else []
    size = max(groups, default=-1) + 1
    relevance = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    has_aspects = draw(st.booleans())
    return pool_of(
        draw(st.lists(relevance, min_size=count, max_size=count)),
        draw(st.lists(st.integers(1, 40), min_size=count, max_size=count)),
        groups,
        draw(st.lists(st.integers(0, 15), min_size=size, max_size=size)),
        sources=draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count)),
        starts=draw(st.lists(st.integers(0, 500), min_size=count, max_size=count)),
        vectors=unit_rows(random, count, 4) if draw(st.booleans()) else None,
        aspects=random.random((count, 2)) if has_aspects else None,
        weights=np.array([0.25, 0.75]) if has_aspects else None,
        links=sparse_links(random, count) if draw(st.booleans()) else None,
    )


def same(one, other):
    """Whether two pools are equal in everything; arrays by what they hold."""
    return all(np.array_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(Pool))
