"""The instrument: its exercises can be answered, training goes somewhere, the shipped model is right."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.rope import Rotation
from ctxeng_evals.instrument import shipped as home
from ctxeng_evals.instrument.batches import collate, placed, written
from ctxeng_evals.instrument.muon import orthogonal
from ctxeng_evals.instrument.rungs import RUNGS
from ctxeng_evals.instrument.shipped import FOLDER, instrument
from ctxeng_evals.instrument.tasks import TASKS, Exercise, Filler, Level, Question
from ctxeng_evals.instrument.train import Trainer
from ctxeng_evals.instrument.vocabulary import FIRST_KEY, FIRST_TEXT, FIRST_VALUE, SIZE, mark

FILLER = Filler(np.random.default_rng(0).integers(FIRST_TEXT, SIZE, 5000))


@given(
    st.sampled_from(sorted(TASKS)),
    st.sampled_from([32, 64, 200, 700]),
    st.integers(1, 2),
    st.integers(0, 999),
)
@settings(max_examples=120, deadline=None)
def test_exercises_keep_to_their_length_and_come_from_their_seed(task, length, key, seed):
    level = Level(length, key, 0.5)
    made, again = (TASKS[task](np.random.default_rng(seed), FILLER, level) for _ in range(2))
    assert made == again
    assert 8 <= made.length <= max(length, 32) + 8
    assert made.questions
    assert all(0 <= token < SIZE for token in written(made)[0])


def looked_up(exercise, question):
    """What a reader would answer: the last record of the key."""
    tokens = [token for document in exercise.documents for token in document]
    key = tuple(question.ask[1:])
    found = None
    for at, token in enumerate(tokens):
        said = tokens[at + 1 : at + 2 + len(key)]
        if token == mark("record") and tuple(said[:-1]) == key and FIRST_VALUE <= said[-1] < FIRST_TEXT:
            found = said[-1]
    return found


@pytest.mark.parametrize("task", ["recall", "single", "newest"])
@pytest.mark.parametrize("seed", range(5))
def test_the_right_answer_stands_in_the_documents(task, seed):
    made = TASKS[task](np.random.default_rng(seed), FILLER, Level(400, 2, 0.4))
    assert all((looked_up(made, question),) == question.answer for question in made.questions)


def test_copies_are_of_what_came_before_and_never_always_as_far_back():
    ways = set()
    for seed in range(20):
        made = TASKS["copying"](np.random.default_rng(seed), FILLER, Level(100))
        (question,) = made.questions
        tokens = list(made.documents[0])
        run = [question.ask[1], *question.answer]
        places = [at for at in range(len(tokens)) if tokens[at : at + len(run)] == run]
        assert places
        ways.add(len(tokens) - places[0])
    assert len(ways) > 10


def test_parallel_positions_and_masks_are_the_engines(shipped):
    """The trainer's mask and the engine's segments are one and the same reading."""
    rng = np.random.default_rng(3)
    made = TASKS["recall"](rng, shipped.filler, Level(300, 2, 0.5))
    made = Exercise(made.task, made.head, made.documents, made.questions[:1])
    batch = collate([made], parallel=True)
    decoder = shipped.decoder
    with torch.inference_mode():
        see = WholeSequence(
            decoder.config, Rotation.upto(decoder.config.rope, 600), batch.positions.flatten(), 1, batch.mask
        )
        hidden = decoder.hidden(batch.ids.flatten(), see)
        want = decoder.logits(hidden)[-2].log_softmax(-1)
    parts = (
        Part("head", made.head),
        *(Part("chunk", document, parallel=True) for document in made.documents),
        Part("query", made.questions[0].ask),
    )
    with Engine(decoder, memory=1 << 26) as engine:
        (token,) = engine.submit(Prompt(parts), Generate(1))
    assert token.id == int(want.argmax())
    assert token.logprob == pytest.approx(float(want.max()), abs=1e-4)


def test_offsets_move_positions_and_padding_is_no_answer():
    short = Exercise("x", (1,), ((5, 6),), (Question((7,), (8,)),))
    long = Exercise("x", (1,), ((5, 6, 7, 8),), (Question((7,), (8, 9)),))
    batch = collate([short, long], offsets=[10, 0])
    assert batch.positions[0, :5].tolist() == [10, 11, 12, 13, 14]
    assert batch.answers[0].tolist() == [False] * 4 + [True] + [False] * 3
    assert placed(long, parallel=True)[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (32, 32)])
def test_muons_updates_are_near_orthogonal(shape):
    found = orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    singular = torch.linalg.svdvals(found)
    assert float(singular.min()) > 0.3
    assert float(singular.max()) < 1.4


def test_a_short_training_learns_recall_and_goes_on_where_it_was_cut_off(tmp_path):
    """A minute and a half of the recipe on the smallest exercises: far above chance, which is one in 128."""
    torch.set_num_threads(max(1, torch.get_num_threads()))
    Trainer(RUNGS["s"], tmp_path, FILLER, 0.1, first=32).run()
    before = json.loads((tmp_path / "progress.json").read_text())
    trainer = Trainer(RUNGS["s"], tmp_path, FILLER, 1.5, first=32)
    assert trainer.progress.step == before["step"] > 0
    trainer.run()
    assert trainer.progress.scores["recall"] > 0.2
    curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == sorted(line["step"] for line in curve)


@pytest.fixture(scope="module")
def shipped():
    return instrument()


def right(shipped, task, length, count=30, key=2, plan=None):
    """The share of exercises answered exactly, one question each."""
    rng = np.random.default_rng(77)
    found = []
    with Engine(shipped.decoder, memory=1 << 27) as engine:
        for _ in range(count):
            made = TASKS[task](rng, shipped.filler, Level(length, key, 0.7))
            question = made.questions[0]
            prompt = [*made.head, *(t for document in made.documents for t in document), *question.ask]
            ids, _ = engine.submit(prompt, Generate(len(question.answer)), plan or CachePlan()).result()
            found.append(tuple(ids) == question.answer)
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("task", "length", "least"),
    [
        ("recall", 256, 0.9),
        ("recall", 1000, 0.9),
        ("recall", 2000, 0.7),
        ("single", 1000, 0.95),
        ("single", 2000, 0.95),
    ],
)
def test_the_shipped_model_recalls_at_every_length_it_was_trained_to(shipped, task, least, length):
    assert right(shipped, task, length) >= least


def test_the_shipped_weights_are_those_that_were_measured(tmp_path):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "no chat model" in card
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 16 << 20


def test_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "recall-s"
    shutil.copytree(FOLDER, folder)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    monkeypatch.setattr(home, "FOLDER", folder)
    with pytest.raises(BadInput, match="not the weights that were shipped"):
        instrument(folder)


def test_keys_values_and_text_have_tokens_of_their_own():
    assert FIRST_KEY < FIRST_VALUE < FIRST_TEXT < SIZE
    assert math.log2(SIZE) == 10
