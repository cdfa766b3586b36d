"""Train the instrument from scratch: `python -m ctxeng_evals.instrument.train OUT --minutes 60`.

Copying and recall come first, in few tokens; the length doubles whenever both are mastered. A run that is cut
off goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from ctxeng.runtime.build import build
from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.rope import Rotation
from ctxeng_evals.instrument.batches import Batch, collate
from ctxeng_evals.instrument.muon import Muon
from ctxeng_evals.instrument.rungs import RUNGS, Rung
from ctxeng_evals.instrument.tasks import TASKS, Exercise, Filler, Level
from ctxeng_evals.instrument.vocabulary import train_tokenizer

FIRST = 64  # shorter, and looking back a fixed way pays too well
CORE = {"recall": 0.9, "copying": 0.8}  # what must be mastered before the length doubles
MIX = {"recall": 0.4, "copying": 0.3, "single": 0.1, "newest": 0.06, "tracking": 0.07, "rules": 0.07}
LAST = {
    "recall": 0.6,
    "copying": 0.14,
    "single": 0.05,
    "newest": 0.15,
    "tracking": 0.03,
    "rules": 0.03,
}  # at full length


@dataclass
class Progress:
    """Where a run stands: all of it goes into the checkpoint."""

    step: int = 0
    length: int = FIRST
    seconds: float = 0.0
    tokens: int = 0
    since: int = 0  # steps at this length
    scores: dict[str, float] = field(default_factory=dict)  # moving averages at the present length


@dataclass
class Trainer:
    """One run: weights, optimisers, the curriculum's state, a folder."""

    rung: Rung
    folder: Path
    filler: Filler
    minutes: float
    seed: int = 0
    first: int = FIRST
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.rotation = Rotation.upto(self.rung.config.rope, self.rung.context + 64)
        self.weights = {n: w.requires_grad_() for n, w in self._start().items()}
        matrix = {n for n, w in self.weights.items() if w.dim() == 2 and "embed" not in n}  # noqa: PLR2004
        rest = [w for n, w in self.weights.items() if n not in matrix]
        self.optimisers = (
            Muon([self.weights[n] for n in sorted(matrix)], lr=4 * self.rung.lr),
            torch.optim.AdamW(rest, lr=self.rung.lr, betas=(0.9, 0.98), weight_decay=0.0),
        )
        state = self.folder / "optimiser.pt"
        if state.exists():
            for optimiser, kept in zip(self.optimisers, torch.load(state), strict=True):
                optimiser.load_state_dict(kept)

    def _start(self) -> dict[str, Tensor]:
        path = self.folder / "progress.json"
        if not path.exists():
            self.progress.length = self.first
            return self.rung.fresh(self.seed)
        self.progress = Progress(**json.loads(path.read_text(encoding="utf-8")))
        return dict(load_file(self.folder / "model.safetensors"))

    def run(self) -> None:
        """Train until the minutes are spent; a checkpoint a minute."""
        start, saved = time.monotonic() - self.progress.seconds, time.monotonic()
        while (spent := time.monotonic() - start) < self.minutes * 60:
            self.step(spent / (self.minutes * 60))
            self.progress.seconds = spent
            if self.progress.step % 50 == 0:
                self.note()
            if time.monotonic() - saved > 60:  # noqa: PLR2004 - a minute
                self.save()
                saved = time.monotonic()
        self.save()

    def step(self, share: float) -> None:
        """One batch; `share` of the time is spent: the rate falls over the last fifth."""
        p = self.progress
        rng = np.random.default_rng((self.seed, p.step))
        exercises, batch = self.draw(rng)
        loss, right = self.loss(batch, language=p.step % 4 == 0)
        for optimiser, rate in zip(self.optimisers, (4 * self.rung.lr, self.rung.lr), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, (p.since + 20) / 60, max(0.02, (1 - share) * 5))
            optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        p.step, p.since, p.tokens = p.step + 1, p.since + 1, p.tokens + batch.ids.numel()
        self.mark(exercises, batch, right)

    def draw(self, rng: np.random.Generator) -> tuple[list[Exercise], Batch]:
        """Exercises of one length, now and then shorter than the level's; some in parallel pieces.

        At full length recall is what is left to learn, in order and side by side.
        """
        p = self.progress
        length, full = p.length, p.length == self.rung.context
        if rng.random() < 0.3:  # noqa: PLR2004 - so that shorter ones are not forgotten
            length = self.first << int(rng.integers(0, (p.length // self.first).bit_length()))
        mix = LAST if full else MIX
        tasks = [t for t in mix if t in CORE or p.length > FIRST]
        odds = np.array([mix[t] for t in tasks])
        count = max(2, min(8192, max(2048, 4 * length)) // length)
        parallel = length > FIRST and rng.random() < (0.4 if full else 0.2)
        exercises = []
        for task in rng.choice(tasks, count, p=odds / odds.sum()):
            level = Level(length, key=int(rng.integers(1, 3)), filler=float(rng.uniform(0.1, 0.8)))
            exercises.append(TASKS[str(task)](rng, self.filler, level))
        room = max(1, self.rung.context - max(e.length for e in exercises))
        offsets = [int(x) for x in rng.integers(0, room, count)]
        return exercises, collate(exercises, parallel=parallel, offsets=offsets)

    def loss(self, batch: Batch, *, language: bool) -> tuple[Tensor, Tensor]:
        """Cross-entropy on the answers, sometimes a tenth of it on all else; and which answers were right."""
        rows, length = batch.ids.shape
        decoder = build(self.rung.config, self.weights.__getitem__)
        see = WholeSequence(self.rung.config, self.rotation, batch.positions.flatten(), rows, batch.mask)
        hidden = decoder.hidden(batch.ids.flatten(), see).view(rows, length, -1)[:, :-1]
        target, asked = batch.ids[:, 1:], batch.answers[:, 1:]
        logits = decoder.logits(hidden[asked])
        loss = functional.cross_entropy(logits, target[asked])
        if language:
            others = batch.real[:, 1:] & ~asked
            loss = loss + 0.1 * functional.cross_entropy(decoder.logits(hidden[others]), target[others])
        right = torch.zeros(asked.shape)
        right[asked] = (logits.argmax(-1) == target[asked]).float()
        return loss, right

    def mark(self, exercises: list[Exercise], batch: Batch, right: Tensor) -> None:
        """Move the averages on, and the length where the core is mastered."""
        p = self.progress
        found = defaultdict(list)
        for exercise, row, asked in zip(exercises, right, batch.answers[:, 1:], strict=True):
            found[exercise.task].append(float(row.sum() / asked.sum()))
        if batch.mask is None and max(e.length for e in exercises) > p.length * 0.75:
            for task, scores in found.items():
                p.scores[task] = 0.95 * p.scores.get(task, 0.0) + 0.05 * float(np.mean(scores))
        if all(p.scores.get(t, 0.0) >= least for t, least in CORE.items()) and p.length < self.rung.context:
            self.note()
            p.length, p.since, p.scores = p.length * 2, 0, {}

    def note(self) -> None:
        """A line of the curve."""
        p = self.progress
        line: dict[str, Any] = {
            "step": p.step,
            "seconds": round(p.seconds, 1),
            "tokens": p.tokens,
            "length": p.length,
        }
        line |= {"scores": {t: round(s, 3) for t, s in sorted(p.scores.items())}}
        with (self.folder / "curve.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)  # noqa: T201 - a script's progress

    def save(self) -> None:
        """A checkpoint: weights, optimisers, then where it stands; each file whole or not at all."""
        for name, write in (
            ("model.safetensors", self._weights),
            ("optimiser.pt", lambda path: torch.save([o.state_dict() for o in self.optimisers], path)),
            ("config.json", lambda path: path.write_text(json.dumps(self.rung.raw, indent=1))),
            ("progress.json", lambda path: path.write_text(json.dumps(vars(self.progress)))),
        ):
            part = self.folder / f"{name}.part"
            write(part)
            part.replace(self.folder / name)

    def _weights(self, path: Path) -> None:
        save_file({name: weight.detach() for name, weight in self.weights.items()}, path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the run; one that has a checkpoint goes on")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="plain text for the filler")
    parser.add_argument("--rung", choices=sorted(RUNGS), default="s")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=0, help="0: what torch takes by itself")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=FIRST, help="tokens of the first exercises")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    filler = Filler(text_tokens(options.out, options.text))
    trainer = Trainer(RUNGS[options.rung], options.out, filler, options.minutes, options.seed, options.first)
    trainer.run()


def text_tokens(folder: Path, files: list[Path]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The files' text in the instrument's tokens; the tokenizer is trained on them once, and kept beside."""
    texts = [path.read_text(encoding="utf-8") for path in files]
    path = folder / "tokenizer.json"
    if not path.exists():
        train_tokenizer(texts).save(str(path))
    tokenizer = Tokenizer.from_file(str(path))
    return np.concatenate(
        [np.array(e.ids) for e in tokenizer.encode_batch([t for x in texts for t in x.split("\n\n")])]
    )


if __name__ == "__main__":
    main()
