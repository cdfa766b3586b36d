"""Right answers of an instrument by task and length: `python -m ctxeng_evals.instrument.measure [FOLDER]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.rope import Rotation
from ctxeng_evals.instrument.batches import collate
from ctxeng_evals.instrument.shipped import FOLDER, Instrument, instrument
from ctxeng_evals.instrument.tasks import TASKS, Exercise, Level
from ctxeng_evals.stats import mean_of

LENGTHS = (64, 256, 512, 1024, 2048)


def prompt_of(exercise: Exercise, question: int, *, parallel: bool) -> Prompt:
    """An exercise with one of its questions; documents in order, or side by side."""
    documents = [Part("chunk", document, parallel=parallel) for document in exercise.documents]
    return Prompt((Part("head", exercise.head), *documents, Part("query", exercise.questions[question].ask)))


def scores(
    tool: Instrument, task: str, length: int, count: int, *, seed: int = 5, parallel: bool = False
) -> list[float]:
    """1 for each exercise whose first question is answered exactly; copies: what `taught` says."""
    rng = np.random.default_rng((seed, length))
    found = []
    with Engine(tool.decoder, memory=1 << 27) as engine:
        for _ in range(count):
            level = Level(length - 8, key=int(rng.integers(1, 3)), filler=float(rng.uniform(0.3, 0.8)))
            made = TASKS[task](rng, tool.filler, level)
            if task == "copying":
                found.append(taught(tool, made))
                continue
            answer = made.questions[0].answer
            prompt = prompt_of(made, 0, parallel=parallel)
            ids, _ = engine.submit(prompt, Generate(len(answer)), CachePlan(reuse=False)).result()
            found.append(float(tuple(ids) == answer))
    return found


@torch.inference_mode()  # type: ignore[untyped-decorator]
def taught(tool: Instrument, exercise: Exercise) -> float:
    """The share of an answer's tokens that are the likeliest, given all right tokens before them."""
    batch, config = collate([exercise]), tool.decoder.config
    rotation = Rotation.upto(config.rope, batch.ids.shape[1])
    see = WholeSequence(config, rotation, batch.positions.flatten())
    logits = tool.decoder.logits(tool.decoder.hidden(batch.ids.flatten(), see))
    asked = batch.answers[0, 1:]
    return float((logits[:-1].argmax(-1) == batch.ids[0, 1:])[asked].float().mean())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--count", type=int, default=100, help="exercises of each task and length")
    options = parser.parse_args()
    tool = instrument(options.folder)
    for task in (*TASKS, "recall, side by side"):
        for length in LENGTHS:
            parallel = task.endswith("side by side")
            found = scores(tool, task.split(",")[0], length, options.count, parallel=parallel)
            mean = mean_of(found, [str(n) for n in range(len(found))])
            assert mean is not None
            said = {"task": task, "length": length, "n": mean.n, "right": round(mean.mean, 3)}
            said |= {"low": round(mean.low, 3), "high": round(mean.high, 3)}
            print(json.dumps(said), flush=True)  # noqa: T201 - a script's output


if __name__ == "__main__":
    main()
