"""Questions over several documents: 2WikiMultihopQA, HotpotQA, MuSiQue, StrategyQA, TAT-QA."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders.read import dataset_of, document, flat, lines, only, unique

POOLED = ("pooled", "pooled-sentences")  # the paragraphs of all questions together, whole or by sentence

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[A-Z0-9])")


@dataclass(frozen=True)
class Paragraph:
    """A titled paragraph and its sentences."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Question:
    """A question with its paragraphs; `gold` has (place of the paragraph, place of the sentence) pairs."""

    id: str
    text: str
    target: str | tuple[str, ...]
    paragraphs: tuple[Paragraph, ...]
    gold: tuple[tuple[int, int], ...]
    tags: Mapping[str, str | int | float] = field(default_factory=dict)


def two_wiki(data: Path, part: str) -> Dataset:
    """2WikiMultihopQA: items are the sentences of a question's own paragraphs; `POOLED`: all of them.

    A paragraph that a question has twice stands in its items once. Raises BadInput for malformed
    records, UnknownName for another part.
    """
    only("2wikimultihop", part, POOLED)
    found = lines(data / "2wikimultihop" / "dev_500.jsonl", _wiki)
    return _dataset("2wikimultihop", part, found)


def hotpotqa(data: Path, part: str) -> Dataset:
    """HotpotQA: `dev`, `train` or both, items as in 2WikiMultihopQA; `pooled`: both, all paragraphs.

    Raises BadInput for malformed records, UnknownName for another part.
    """
    only("hotpotqa", part, ["dev", "train", *POOLED])
    files = {"dev": "dev_98.jsonl", "train": "train_100.jsonl"}
    chosen = [name for key, name in files.items() if part in (key, "", *POOLED)]
    found = flat([lines(data / "hotpotqa" / name, _wiki) for name in chosen])
    return _dataset("hotpotqa", part, list(found))


def musique(data: Path, part: str) -> Dataset:
    """MuSiQue: items are the sentences of a question's 20 paragraphs; `pooled`: all paragraphs.

    The data names gold paragraphs only. Gold is the first sentence of each that holds the hop's answer, or
    else its first sentence: a proxy. Raises BadInput for malformed records, UnknownName for another part.
    """
    only("musique", part, POOLED)
    return _dataset("musique", part, lines(data / "musique" / "train_100.jsonl", _musique))


def strategyqa(data: Path, part: str) -> Dataset:
    """StrategyQA: yes/no questions over one pool, the facts of all questions; gold are the question's own.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("strategyqa", part, [])
    found = document(data / "strategyqa" / "dev.json", list, _strategy)
    pool = tuple(flat(facts for _, facts in found))
    return dataset_of("strategyqa", part, (case for case, _ in found), facts=pool)


def tatqa(data: Path, part: str) -> Dataset:
    """TAT-QA: items are a context's table (one item) and its paragraphs; gold as `answer_from` says.

    Gold are the relevant paragraphs, and the table where the answer is from it. The questions of one context
    are one group. Several spans that make one answer are joined by "; ", arithmetic answers are numbers.
    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("tatqa", part, [])
    return dataset_of("tatqa", part, flat(document(data / "tatqa" / "tatqa_dataset_dev.json", list, _tat)))


# -- one record ----------------------------------------------------------------------------------------


def _wiki(record: Any, _: int) -> Question:
    listed = [Paragraph(title, tuple(map(str.strip, texts))) for title, texts in record["context"]]
    paragraphs = tuple(dict.fromkeys(listed))
    places = {paragraph.title: place for place, paragraph in reversed(list(enumerate(paragraphs)))}
    missing = [title for title, _ in record["supporting_facts"] if title not in places]
    if missing:
        raise ValueError(f"no paragraph {missing[0]!r}")
    gold = tuple((places[title], sentence) for title, sentence in record["supporting_facts"])
    for place, sentence in gold:
        if not 0 <= sentence < len(paragraphs[place].sentences):
            raise ValueError(f"{paragraphs[place].title!r} has no sentence {sentence}")
    tags = {key: record[key] for key in ("type", "level") if key in record}
    tags["hops"] = len({place for place, _ in gold})
    return Question(record["_id"], record["question"], record["answer"], paragraphs, gold, tags)


def _musique(record: Any, _: int) -> Question:
    paragraphs = tuple(
        Paragraph(paragraph["title"], tuple(_SENTENCE_END.split(paragraph["paragraph_text"].strip())))
        for paragraph in record["paragraphs"]
    )
    places = {paragraph["idx"]: place for place, paragraph in enumerate(record["paragraphs"])}
    hops = record["question_decomposition"]
    missing = [hop["paragraph_support_idx"] for hop in hops if hop["paragraph_support_idx"] not in places]
    if missing:
        raise ValueError(f"no paragraph {missing[0]!r}")
    gold = tuple(
        (place, _holding(paragraphs[place].sentences, hop["answer"]))
        for hop in hops
        for place in [places[hop["paragraph_support_idx"]]]
    )
    tags: dict[str, str | int | float] = {"type": record["id"].partition("__")[0], "hops": len(hops)}
    target = (record["answer"], *record["answer_aliases"])
    return Question(record["id"], record["question"], target, paragraphs, gold, tags)


def _holding(sentences: Sequence[str], answer: str) -> int:
    found = (place for place, sentence in enumerate(sentences) if answer.lower() in sentence.lower())
    return next(found, 0)


def _strategy(record: Any, _: int) -> tuple[Case, tuple[Item, ...]]:
    name = record["qid"]
    if not isinstance(record["answer"], bool):
        raise TypeError("answer: neither true nor false")
    facts = tuple(Item(id=f"{name}#{place}", text=fact) for place, fact in enumerate(record["facts"]))
    case = Case(
        id=name,
        question=record["question"],
        target="yes" if record["answer"] else "no",
        choices=("yes", "no"),
        pool="facts",
        gold=tuple(fact.id for fact in facts),
        group=name,
        tags={"hops": len(facts)},
    )
    return case, facts


def _tat(record: Any, _: int) -> list[Case]:
    source = record["table"]["uid"]
    rows = [" | ".join(row) for row in record["table"]["table"]]
    paragraphs = sorted(record["paragraphs"], key=lambda each: int(each["order"]))
    items = (
        Item(id="table", text="\n".join(rows), title="table", source=source),
        *(Item(id=f"paragraph-{each['order']}", text=each["text"], source=source) for each in paragraphs),
    )
    return [_tat_case(question, source, items) for question in record["questions"]]


def _tat_case(record: Any, source: str, items: tuple[Item, ...]) -> Case:
    answer = record["answer"]
    table = ["table"] if "table" in record["answer_from"] else []
    return Case(
        id=record["uid"],
        question=record["question"],
        target="; ".join(answer) if isinstance(answer, list) else answer,
        items=items,
        gold=(*table, *(f"paragraph-{order}" for order in dict.fromkeys(record["rel_paragraphs"]))),
        group=source,
        tags={key: record[key] for key in ("answer_type", "answer_from", "scale", "derivation")},
    )


# -- from questions to datasets ------------------------------------------------------------------------


def _dataset(name: str, part: str, questions: Sequence[Question]) -> Dataset:
    if part in POOLED:
        return _pooled(name, part, questions)
    return dataset_of(name, part, [_own(question) for question in questions])


def _own(question: Question) -> Case:
    taken: set[str] = set()
    names = [unique(paragraph.title, taken) for paragraph in question.paragraphs]
    items = tuple(
        item
        for name, paragraph in zip(names, question.paragraphs, strict=True)
        for item in _sentences(paragraph, name)
    )
    return _case(question, items, [f"{names[place]}#{sentence}" for place, sentence in question.gold])


def _pooled(name: str, part: str, questions: Sequence[Question]) -> Dataset:
    taken: set[str] = set()
    names: dict[Paragraph, str] = {}
    for paragraph in flat(question.paragraphs for question in questions):
        if paragraph not in names:
            names[paragraph] = unique(paragraph.title, taken)
    whole = part == "pooled"
    pool = [
        item
        for paragraph, key in names.items()
        for item in ([_whole(paragraph, key)] if whole else _sentences(paragraph, key))
    ]
    cases = []
    for question in questions:
        keys = [(names[question.paragraphs[place]], sentence) for place, sentence in question.gold]
        gold = [key if whole else f"{key}#{sentence}" for key, sentence in keys]
        cases.append(_case(question, (), gold, "paragraphs"))
    return dataset_of(name, part, cases, paragraphs=pool)


def _whole(paragraph: Paragraph, key: str) -> Item:
    return Item(id=key, text=paragraph.text, title=paragraph.title, source=key)


def _sentences(paragraph: Paragraph, key: str) -> list[Item]:
    return [
        Item(id=f"{key}#{place}", text=sentence, title=paragraph.title, source=key)
        for place, sentence in enumerate(paragraph.sentences)
    ]


def _case(question: Question, items: tuple[Item, ...], gold: Sequence[str], pool: str = "") -> Case:
    return Case(
        id=question.id,
        question=question.text,
        target=question.target if isinstance(question.target, str) else list(question.target),
        items=items,
        pool=pool,
        gold=tuple(dict.fromkeys(gold)),
        group=question.id,
        tags=dict(question.tags),
    )
