"""Tools in whole sessions: present when needed, at what size, how often the block changes; and how fast."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import Embedder, HashingEmbedder, TextEncoder
from ctxeng.retrieval.lexical import Lexical
from ctxeng.tokens import Counter, Estimate, tiktoken_counter
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.manage import schema_line
from ctxeng.tools.modes import WORKFLOW
from ctxeng.tools.policy import Decay, Policy, SlidingWindow
from ctxeng.tools.rank import ToolRanker
from ctxeng.tools.sessions import Sessions
from ctxeng.tools.simulate import Asked, Seen, Summary, replay, summary
from ctxeng.tools.toolset import ToolSet
from ctxeng.tools.words import full_text
from ctxeng.tools.working import Working, add
from ctxeng.turn import Section, Tool
from ctxeng_evals import registry
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.case import Dataset
from ctxeng_evals.subjects.tools import tool_of

CAPS = (8, 16, 32)
ORDERS = 3  # in which sessions come: what was learned before a session depends on it
LONG = 100  # questions of a long session
ASKED = 100  # questions, additions and removals that are timed
SIZES = {2_000: {"words": "<= 1", "hybrid, hashed words": "<= 10"}, 10_000: {"hybrid, hashed words": "<= 25"}}
Given = TypeVar("Given")
LIMIT = 2_000  # tokens of schemas a turn may have, where they are trimmed to fit


def run(seed: int = 0) -> Figures:
    """Sessions of BFCL in shuffled orders under caps, then milliseconds of a query and of an addition."""
    encoder: TextEncoder | None = Embedder()
    notes = [
        "BFCL multi-turn: 200 sessions, 731 turns, 128 functions; what a turn called is known after it",
        "present: all functions that the turn calls are loaded",
        "same: the block is byte for byte the turn before's, of turns whose functions had all been loaded",
        f"means of {ORDERS} orders of the sessions; learned: from the sessions before, none in the others",
    ]
    try:
        assert encoder is not None
        encoder.embed(["x"])
    except BadInput as error:
        encoder = None
        notes.append(f"without an encoder: {error}")
    rows = [*sessions(registry.load("bfcl-multi-turn"), encoder, seed)]
    for name in ("toolbench-solvable", "metatool"):
        rows += long_sessions(registry.load(name), encoder, seed)
    rows += speed(encoder, seed)
    return Figures("tools", tuple(rows), tuple(notes), seed=seed)


# -- sessions -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Never:
    """Langgraph-bigtool's way: the best `count` of each turn are loaded and nothing ever goes."""

    count: int = 8

    def pruned(self, working: Working, ranked: object, cap: int) -> Working:  # noqa: ARG002 - the seam's
        """The same set."""
        return working

    def filled(self, working: Working, ranked: object, cap: int) -> Working:  # noqa: ARG002 - the same
        """With this turn's best added."""
        names = [name for name, _ in ranked.best(self.count)]  # type: ignore[attr-defined]
        return add(working, names, 100_000).working


@dataclass(frozen=True)
class Last:
    """A plain window: what was among the best `count` in one of the last `turns` turns."""

    count: int = 5
    turns: int = 3

    def pruned(self, working: Working, ranked: object, cap: int) -> Working:  # noqa: ARG002 - the same
        """Without what was last among the best too long ago."""
        held = tuple(one for one in working.held if working.turn - one.needed < self.turns)
        return working.model_copy(update={"held": held})

    def filled(self, working: Working, ranked: object, cap: int) -> Working:  # noqa: ARG002 - the same
        """With this turn's best added."""
        names = [name for name, _ in ranked.best(self.count)]  # type: ignore[attr-defined]
        return add(working, names, 100_000).working


@dataclass(frozen=True)
class Plan:
    """One way of keeping tools that is measured."""

    name: str
    policy: Policy
    cap: int
    learn: bool = True
    tokens: int = 1_000_000
    target: str = ""


def plans() -> Iterator[Plan]:
    """Ours under each cap, then what others do."""
    targets = {8: ">= 92", 16: ">= 97.5", 32: ">= 99"}
    for cap in CAPS:
        yield Plan(f"best {cap} anew each turn", SlidingWindow(calm=0.0), cap, target=targets[cap])
        yield Plan(f"window, cap {cap}", SlidingWindow(), cap)
        yield Plan(f"window, cap {cap}, nothing learned", SlidingWindow(), cap, learn=False)
        yield Plan(f"decay, cap {cap}", Decay(), cap)
    yield Plan(f"window, cap 16, trimmed to {LIMIT:,} tokens", SlidingWindow(), 16, tokens=LIMIT)
    yield from others()


def others() -> Iterator[Plan]:
    """What others do: never unload, or a plain window."""
    yield Plan("never unloaded, best 5 a turn, nothing learned", Never(5), 512, learn=False)
    yield Plan("never unloaded, best 8 a turn, nothing learned", Never(8), 512, learn=False)
    yield Plan("best 5 of the last 3 turns, nothing learned", Last(5, 3), 512, learn=False)


def sessions(dataset: Dataset, encoder: TextEncoder | None, seed: int) -> Iterator[Row]:
    """What each plan comes to over all sessions, in several orders."""
    catalogue, names = catalogue_of(dataset, encoder)
    asked: dict[str, list[Asked]] = {}
    for case in dataset.cases:
        needs = tuple(names[gold] for gold in case.gold)
        asked.setdefault(case.group, []).append(Asked(request=case.question, needs=needs, session=case.group))
    for plan in plans():
        seen: list[Seen] = []
        for order in range(ORDERS):
            groups = list(asked)
            random.Random(seed + order).shuffle(groups)  # noqa: S311 - a seeded order
            seen += replayed(catalogue, plan, [one for group in groups for one in asked[group]], encoder)
        found = summary(seen)
        yield from rows_of(plan, found)
        yield Row(f"{plan.name}: loaded again, a session", found.readds / ORDERS, "tools")


def long_sessions(dataset: Dataset, encoder: TextEncoder | None, seed: int) -> Iterator[Row]:
    """Sessions of 100 unrelated questions each: nothing but the cap and the window bounds what is loaded."""
    catalogue, names = catalogue_of(dataset, encoder)
    cases = list(dataset.cases)
    asked = []
    for order in range(ORDERS):
        random.Random(seed + order).shuffle(cases)  # noqa: S311 - a seeded draw
        asked += [
            Asked(
                request=case.question,
                needs=tuple(names[gold] for gold in case.gold),
                session=f"session {order}",
            )
            for case in cases[:LONG]
        ]
    for cap in (8, 16):
        plan = Plan(f"{dataset.name}, window, cap {cap}", SlidingWindow(), cap, tokens=LIMIT)
        yield from rows_of(plan, summary(replayed(catalogue, plan, asked, encoder)))
    for plan in others():
        named = replace(plan, name=f"{dataset.name}, {plan.name}")
        yield from rows_of(named, summary(replayed(catalogue, named, asked, encoder)))


def rows_of(plan: Plan, found: Summary) -> Iterator[Row]:
    """A plan's figures."""
    yield Row(f"{plan.name}: present", 100 * found.present, "%", target=plan.target)
    yield Row(f"{plan.name}: share of needed tools present", 100 * found.share, "%")
    if found.calm:
        yield Row(f"{plan.name}: same, where the need did not change", 100 * found.same, "%")
    yield Row(f"{plan.name}: schema tokens a turn", found.tokens, "tokens")
    yield Row(f"{plan.name}: tools loaded", found.loaded, "tools")
    yield Row(f"{plan.name}: removed over added, 3 turns", 100 * found.removal_ratio, "%")


def replayed(
    catalogue: Catalogue, plan: Plan, asked: Sequence[Asked], encoder: TextEncoder | None
) -> list[Seen]:
    """The turns under this plan."""
    ranker = ToolRanker() if plan.learn else replace(ToolRanker(), priors=0.0, together=0.0)
    tools = ToolSet(
        catalogue,
        WORKFLOW,
        plan.policy,
        ranker,
        cap=plan.cap,
        found=min(5, plan.cap),
        sessions=Sessions(encoder),
    )
    return list(replay(tools, asked, price, plan.tokens))


def catalogue_of(dataset: Dataset, encoder: TextEncoder | None) -> tuple[Catalogue, dict[str, str]]:
    """The dataset's pool as a catalogue, and the name of each item there."""
    catalogue = Catalogue(encoder)
    pool = dataset.pools["tools"]
    names = {item.id: catalogue.add([tool_of(item)])[0] for item in pool}
    return catalogue, names


def price(section: Section) -> int:
    """Tokens of a tool's schema as JSON."""
    body = section.body
    return _COUNTER.count(schema_line(body) if isinstance(body, Tool) else str(body))


_COUNTER: Counter = tiktoken_counter("o200k_base") or Estimate()


# -- speed ----------------------------------------------------------------------------------------------


def speed(encoder: TextEncoder | None, seed: int) -> Iterator[Row]:
    """p50 of ranking all tools for a request, and of adding one, beside bm25s over a ready index."""
    dataset = registry.load("toolbench-solvable")
    questions = [case.question for case in dataset.cases]
    random.Random(seed).shuffle(questions)  # noqa: S311 - a seeded draw
    base = [tool_of(item) for item in dataset.pools["tools"]]
    for size, targets in SIZES.items():
        tools = [_again(base[place % len(base)], place // len(base)) for place in range(size)]
        lexical = Lexical([full_text(tool) for tool in tools])
        plain = _p50(partial(_searched, lexical), questions[:ASKED])
        kinds: dict[str, TextEncoder | None] = {"words": None, "hybrid, hashed words": HashingEmbedder()}
        if encoder is not None:
            kinds["hybrid, all-MiniLM-L6-v2, encoding included"] = Embedder(cache=None)
        for name, each in kinds.items():
            catalogue, ranker = Catalogue(each), ToolRanker()
            catalogue.add(tools)
            ranker.scores(catalogue, "warm up")
            taken = _p50(partial(_ranked, catalogue, ranker), questions[:ASKED])
            label, target = f"{size:,} tools, {name}", targets.get(name, "")
            yield Row(f"{label}: the 10 best, p50", taken, "ms", plain, "bm25s over a ready index", target)
            if each is None:
                yield from _changed(label, catalogue, tools[:ASKED])


def _searched(index: Lexical, question: str) -> object:
    return index.search(question, 10)


def _ranked(catalogue: Catalogue, ranker: ToolRanker, question: str) -> object:
    return ranker.scores(catalogue, question).best(10)


def _changed(name: str, catalogue: Catalogue, tools: Sequence[Tool]) -> Iterator[Row]:
    new = [tool.model_copy(update={"name": f"new_{place}"}) for place, tool in enumerate(tools)]
    added = _p50(lambda tool: catalogue.add([tool]), new)
    yield Row(f"{name}: add one, p50", added, "ms", target="<= 1")
    removed = _p50(lambda tool: catalogue.remove([tool.name]), new)
    yield Row(f"{name}: remove one, p50", removed, "ms", target="<= 1")


def _again(tool: Tool, times: int) -> Tool:
    """The tool once more under other names, for a catalogue larger than the data."""
    return tool if not times else tool.model_copy(update={"server": f"{tool.server}/{times}"})


def _p50(work: Callable[[Given], object], given: Sequence[Given]) -> float:
    taken = []
    for one in given:
        start = time.perf_counter()
        work(one)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)
