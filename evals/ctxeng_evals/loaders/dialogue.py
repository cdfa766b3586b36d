"""Memory of dialogues and stories: BEAM, BFCL memory, QMSum, bAbI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders.read import collected, dataset_of, document, flat, lines, only, read, said

CHATS = ("1", "4", "6", "11", "13", "16")
SCENARIOS = ("customer", "finance", "healthcare", "notetaker", "student")
_ARTEFACT = re.compile(r"\s*->->\s*\d+,(?:\d+|N/A)\)?\s*$")
_ANSWERS = ("ideal_answer", "ideal_response", "ideal_summary", "answer", "expected_compliance")
_BABI_LINE = re.compile(r"(\d+) (.*)")


def beam(data: Path, part: str) -> Dataset:
    """BEAM: one pool of messages a chat, gold are the source messages; parts are the chats: `1`, `4`, ...

    The artefact that ends user messages ("->-> 1,1") is left out. Questions on what the chat does not tell
    (ability abstention) have no gold. Raises BadInput for malformed records, UnknownName for another part.
    """
    only("beam-100k", part, CHATS)
    chosen = [part] if part else list(CHATS)
    pools = {chat: _chat(data / "beam-100k" / chat / "chat.json", chat) for chat in chosen}
    cases = flat(_probes(data / "beam-100k" / chat / "probing_questions.json", chat) for chat in chosen)
    return dataset_of("beam-100k", part, cases, **pools)


def bfcl_memory(data: Path, part: str) -> Dataset:
    """BFCL memory: one pool of user turns a scenario, the target lists what is accepted; parts: scenarios.

    Gold are the turns with an accepted string in whole words, or, where there are none, as any letters, in
    either case: ten of the 155 questions have none. The questions of a scenario are one group.
    Raises BadInput for malformed records, UnknownName for another part.
    """
    only("bfcl-memory", part, SCENARIOS)
    folder = data / "bfcl-memory"
    accepted = dict(lines(folder / "possible_answer.json", lambda each, _: (each["id"], _accepted(each))))
    pools = {
        name: tuple(flat(lines(folder / "prereq_conversation" / f"memory_{name}.json", _session)))
        for name in SCENARIOS
    }
    cases = lines(folder / "BFCL_v4_memory.json", lambda each, _: _recall(each, accepted, pools))
    chosen = {name: pool for name, pool in pools.items() if part in ("", name)}
    return dataset_of("bfcl-memory", part, [case for case in cases if case.pool in chosen], **chosen)


def qmsum(data: Path, part: str) -> Dataset:
    """QMSum: one pool of turns a meeting (title = speaker), specific queries, gold are their spans' turns.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("qmsum", part, [])
    meetings = lines(data / "qmsum" / "val.jsonl", _meeting)
    pools = {name: turns for name, turns, _ in meetings}
    return dataset_of("qmsum", part, flat(cases for _, _, cases in meetings), **pools)


def babi(data: Path, part: str) -> Dataset:
    """BAbI: items are the story's lines so far, gold are the supporting ones; parts: `qa1` to `qa20`.

    The questions of one story are one group. Raises BadInput for malformed lines, UnknownName for
    another part.
    """
    tasks = [f"qa{number}" for number in range(1, 21)]
    only("babi", part, tasks)
    cases = flat(_stories(data / "babi", task) for task in ([part] if part else tasks))
    return dataset_of("babi", part, cases)


# -- BEAM ----------------------------------------------------------------------------------------------


def _chat(path: Path, chat: str) -> tuple[Item, ...]:
    return tuple(flat(document(path, list, lambda batch, _: list(_messages(batch, chat)))))


def _messages(batch: Any, chat: str) -> Iterator[Item]:
    for message in flat(batch["turns"]):
        text = message["content"]
        yield Item(
            id=str(message["id"]),
            text=_ARTEFACT.sub("", text) if message["role"] == "user" else text,
            source=f"{chat}/batch-{batch['batch_number']}",
            kind="message",
            role=message["role"],
        )


def _probes(path: Path, chat: str) -> list[Case]:
    return document(path, _by_ability, partial(_probe, chat))


def _by_ability(found: Any) -> Iterator[tuple[str, int, Any]]:
    return (
        (ability, number, probe)
        for ability, probes in found.items()
        for number, probe in enumerate(probes, 1)
    )


def _probe(chat: str, record: tuple[str, int, Any], _: int) -> Case:
    ability, number, probe = record
    answers = [probe[name] for name in _ANSWERS if name in probe]
    if not answers:
        raise ValueError(f"no field {', '.join(_ANSWERS)}")
    return Case(
        id=f"{chat}/{ability}-{number}",
        question=probe["question"],
        target=answers[0],
        pool=chat,
        gold=tuple(dict.fromkeys(_numbers(probe.get("source_chat_ids", [])))),
        group=chat,
        tags={"ability": ability, "difficulty": probe["difficulty"]},
    )


def _numbers(nested: Any) -> Iterator[str]:
    if isinstance(nested, Mapping | list):
        for each in nested.values() if isinstance(nested, Mapping) else nested:
            yield from _numbers(each)
    else:
        yield str(nested)


# -- BFCL memory ---------------------------------------------------------------------------------------


def _session(record: Any, _: int) -> list[Item]:
    turns = flat(record["question"])
    return [
        Item(
            id=f"{record['id']}/{number}",
            text=turn["content"],
            source=record["id"],
            kind="message",
            role=turn["role"],
        )
        for number, turn in enumerate(turns, 1)
    ]


def _accepted(record: Any) -> list[str]:
    found = record["ground_truth"]
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise ValueError("ground_truth: no list of strings")
    return found


def _recall(record: Any, accepted: Mapping[str, list[str]], pools: Mapping[str, Sequence[Item]]) -> Case:
    name, scenario = record["id"], record["scenario"]
    if name not in accepted:
        raise ValueError(f"possible_answer.json has no answer to {name}")
    if scenario not in pools:
        raise ValueError(f"no scenario {scenario!r}")
    [[turn]] = record["question"]
    strings = "|".join(map(re.escape, accepted[name]))
    words = _turns_with(rf"(?<!\w)(?:{strings})(?!\w)", pools[scenario])
    return Case(
        id=name,
        question=turn["content"],
        target=list(accepted[name]),
        pool=scenario,
        gold=words or _turns_with(strings, pools[scenario]),
        group=scenario,
        tags={"scenario": scenario},
    )


def _turns_with(pattern: str, turns: Iterable[Item]) -> tuple[str, ...]:
    search = re.compile(pattern, re.IGNORECASE).search
    return tuple(turn.id for turn in turns if search(turn.text))


# -- QMSum ---------------------------------------------------------------------------------------------


def _meeting(record: Any, number: int) -> tuple[str, tuple[Item, ...], list[Case]]:
    name = f"meeting-{number}"
    turns = tuple(
        Item(
            id=str(place),
            text=turn["content"],
            title=turn["speaker"],
            source=name,
            kind="message",
            role="user",
        )
        for place, turn in enumerate(record["meeting_transcripts"])
    )
    cases = [
        Case(
            id=f"{name}/{place}",
            question=query["query"],
            target=query["answer"],
            pool=name,
            gold=_spans(query["relevant_text_span"], len(turns)),
            group=name,
            tags={"turns": len(turns)},
        )
        for place, query in enumerate(record["specific_query_list"], 1)
    ]
    return name, turns, cases


def _spans(spans: Any, length: int) -> tuple[str, ...]:
    found: set[int] = set()
    for first, last in spans:
        if not 0 <= int(first) <= int(last) < length:
            raise ValueError(f"a span from {first} to {last} in a meeting of {length} turns")
        found.update(range(int(first), int(last) + 1))
    return tuple(map(str, sorted(found)))


# -- bAbI ----------------------------------------------------------------------------------------------


def _stories(folder: Path, task: str) -> list[Case]:
    paths = sorted(folder.glob(f"{task}_*_train.txt"))
    if not paths:
        raise BadInput(f"babi/{task}_*_train.txt: not there; check the folder that CTXENG_DATA names")
    try:
        text = read(paths[0]).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{said(paths[0])}: not UTF-8") from error
    stories = _Stories(task)
    made = collected(
        (f"{said(paths[0])}:{number}", partial(stories.line, line))
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1)
    )
    return [case for case in made if case is not None]


class _Stories:
    """The lines read so far of the story that a file is at."""

    def __init__(self, task: str) -> None:
        self.task, self.story, self.asked = task, 0, 0
        self.told: tuple[Item, ...] = ()

    def line(self, line: str) -> Case | None:
        """A question as a case; a statement joins the story. Raises ValueError for a malformed line."""
        found = _BABI_LINE.fullmatch(line)
        if found is None:
            raise ValueError("no line number")
        number, text = found.groups()
        if number == "1":
            self.story, self.asked, self.told = self.story + 1, 0, ()
        name = f"{self.task}/{self.story}"
        if "\t" not in text:
            self.told = (*self.told, Item(id=number, text=text.strip(), source=name))
            return None
        question, answer, support = text.split("\t")
        gold = tuple(support.split())
        missing = set(gold) - {item.id for item in self.told}
        if missing or not gold:
            raise ValueError(f"supporting lines that are not told before: {support!r}")
        self.asked += 1
        return Case(
            id=f"{name}/{number}",
            question=question.strip(),
            target=answer,
            items=self.told,
            gold=tuple(dict.fromkeys(gold)),
            group=name,
            turn=self.asked,
            tags={"task": self.task},
        )
