"""The long exam: name the exercises on a paper that are answered wrongly."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.exam_tasks import PHRASES, TASKS, spoiled
from ctxeng_evals.generators.family import Family, guess, items_of, listed, one_of, tags, within

Mode = Literal["GIST", "LIST", "LIMT"]
_EXERCISE = re.compile(r"Exercise (\d+)[:.] (.*?) ?Given: (.+)\. Answer: (.+)\.")
_GLOBAL = re.compile(r"instruction: (.+?\.) ")


@dataclass(frozen=True)
class Exam(Family):
    """A paper of `questions` numbered exercises, a share `wrong` of them (0 to 1) answered wrongly.

    At least one is. The answer is the set of their numbers. The modes are those of LongIns: `GIST` states one
    instruction for all exercises in the question, `LIST` gives each exercise the instruction in one of its
    wordings, `LIMT` gives each an instruction of its own and mixes the types of task.
    """

    mode: Mode = "GIST"
    questions: int = 20
    wrong: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("mode", self.mode, get_args(Mode))
        within("questions", self.questions, 1)
        within("wrong", self.wrong, 0, 1)

    @property
    def metric(self) -> str:
        """The set of numbers."""
        return "set_f1"

    def case(self, index: int) -> Case:
        """Asks which exercises of the paper are answered wrongly."""
        rng = self.draw(index)
        task = rng.choice(list(TASKS))
        single = rng.choice(TASKS[task].phrases)
        number = max(1, round(self.wrong * self.questions))
        bad = dict.fromkeys(sorted(rng.sample(range(self.questions), number)))
        texts = [self._exercise(rng, number, task, number in bad) for number in range(self.questions)]
        items = items_of(texts)
        told = f"Every exercise has this instruction: {single} " if self.mode == "GIST" else ""
        return Case(
            id=self.name(index),
            question=f"{told}Which exercises are answered wrongly? List their numbers, separated by commas.",
            target=listed([str(number + 1) for number in bad]),
            items=items,
            gold=tuple(items[number].id for number in bad),
            tags={**tags(items, 2, 2 if len(bad) > 1 else 1), "mode": self.mode, "wrong": len(bad)},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Solves each exercise and names those whose answer is another."""
        everywhere = _GLOBAL.search(case.question)
        numbers = []
        for item in items:
            found = _EXERCISE.fullmatch(item.text)
            if found:
                number, own, given, answer = found.groups()
                task = TASKS[PHRASES[everywhere[1] if everywhere else own]]
                numbers += [int(number)] if task.solve(given) != answer else []
        return listed([str(number) for number in sorted(numbers)]) or guess(case)

    def _exercise(self, rng: random.Random, number: int, task: str, bad: bool) -> str:  # noqa: FBT001
        chosen = TASKS[rng.choice(list(TASKS)) if self.mode == "LIMT" else task]
        given = chosen.draw(rng)
        answer = chosen.solve(given)
        shown = spoiled(rng, answer) if bad else answer
        head = "" if self.mode == "GIST" else f"{rng.choice(chosen.phrases)} "
        return f"Exercise {number + 1}: {head}Given: {given}. Answer: {shown}."
