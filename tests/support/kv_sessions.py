"""Sessions of a tiny decoder under a policy, and which rows they kept."""

import torch

from ctxeng.kv.methods.duo import Gates
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.session import Session
from tiny_model import tiny

DECODER = tiny()
LAYERS, HEADS = 3, 2
GATES = Gates("m", ((0.9, 0.1), (0.2, 0.8), (0.7, 0.3)))


def said(engine, prompt, policy, count=8, codec="dense"):
    handle = engine.submit(prompt, Generate(count), CachePlan(codec, policy, reuse=False))
    return [(t.id, t.logprob) for t in handle], handle.report


def settled(engine, prompt, policy, codec="dense"):
    """A session whose prompt was read and thinned."""
    session = Session(engine, CachePlan(codec, policy, reuse=False))
    session.extend(prompt)
    return session


def kept(session):
    """Numbers of kept rows by layer and head."""
    found = []
    for layer in range(LAYERS):
        rows = torch.cat([number for _, number in session._kept.cache.numbered(layer)], 1)
        found.append([row[row >= 0].tolist() for row in rows])
    return found
