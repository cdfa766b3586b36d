"""Files and servers that `context.sources.chunks` may name."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctxeng.chunks.configure import Agent, Configured
from ctxeng.chunks.configure_features import NAMES, version
from ctxeng.chunks.configure_log import SelectionOutcome
from ctxeng.chunks.configure_train import train
from ctxeng.chunks.rewards.cross_encoder import CrossEncoder
from ctxeng.chunks.rewards.reranked import Reranked
from ctxeng.chunks.selectors.conformal import Calibration
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.errors import BadInput, BadSettings, UnknownName
from ctxeng.models.scripted import ScriptedModel
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.turn import Chunk

ENCODER = HashingEmbedder(64)
QUESTION = "How long do refunds take?"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "refunds.md").write_text("# Refunds\n\nRefunds take ten days. They are free.\n")
    (tmp_path / "docs" / "rooms.md").write_text("# Rooms\n\nThe blue room seats forty.\n")
    return tmp_path


def app(folder, **given):
    lines = "".join(f"      {name}: {value}\n" for name, value in {"from": "./docs", **given}.items())
    (folder / "app.yaml").write_text(f"playbook: help\ncontext:\n  sources:\n    chunks:\n{lines}")
    return open_app(folder / "app.yaml", encoder=ENCODER, model=ScriptedModel(["ten days"]))


def shown(opened):
    """The chunks in the window of one turn."""
    with opened.orchestrator() as running:
        turn = running.invoke(QUESTION)
    return [section.body for section in turn.context.of("chunk") if isinstance(section.body, Chunk)]


def calibrated(folder, **other):
    """A calibration for the documents as they are, with a threshold that one sentence reaches."""
    known = {"corpus": app(folder, index="memory").corpus.fingerprint(), "encoder": ENCODER.name, **other}
    Calibration(threshold=0.2, alpha=0.1, n=50, score="bm25", **known).save(folder / "calibration.json")
    return {"select": "conformal", "calibration": "calibration.json"}


# -- conformal -----------------------------------------------------------------------------------------


def test_a_turn_shows_what_reaches_the_calibrated_threshold_and_nothing_else(folder):
    (found,) = shown(app(folder, index="memory", **calibrated(folder)))
    assert found.text == "Refunds take ten days."
    (plain,) = shown(app(folder, index="memory"))
    assert "They are free." in plain.text


def test_a_calibration_is_stale_once_the_documents_change(folder):
    given = calibrated(folder)
    (folder / "docs" / "rooms.md").write_text("# Rooms\n\nThe red room seats six.\n")
    with pytest.raises(BadInput, match="stale calibration: it was made for corpus"):
        shown(app(folder, **given))


def test_a_calibration_of_another_encoder_is_stale(folder):
    with pytest.raises(BadInput, match="stale calibration: it was made for encoder 'other'"):
        shown(app(folder, **calibrated(folder, encoder="other")))


def test_a_calibration_that_is_not_there_is_named_before_any_turn(folder):
    opened = app(folder, select="conformal", calibration="nothing.json")
    with pytest.raises(BadInput, match=r"nothing\.json: no calibration"):
        _ = opened.sources


# -- reranked ------------------------------------------------------------------------------------------


def test_a_cross_encoder_that_is_not_on_this_machine_is_named_before_any_turn(folder):
    for name in ("./nowhere", "nobody/no-such-cross-encoder"):
        opened = app(folder, select="greedy", reward="reranked", reranker=name)
        with pytest.raises(BadInput, match=f"no cross-encoder '{name}'"):
            _ = opened.sources


def test_the_folder_of_a_cross_encoder_becomes_the_reward(folder):
    (folder / "cross").mkdir()
    (folder / "cross" / "config.json").write_text("{}")
    source = app(folder, select="greedy", reward="reranked", reranker="./cross").sources["chunks"]
    assert source.selector.selector == Greedy(Reranked(CrossEncoder(folder / "cross")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves
def test_a_turn_is_selected_by_a_cross_encoder(folder):
    transformers = pytest.importorskip("transformers", reason="needs the onbox extra")
    pytest.importorskip("sentence_transformers", reason="needs the onbox extra")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "refunds", "take", "ten", "days", "room", "blue"]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    cross = folder / "cross"
    cross.mkdir()
    (cross / "vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(vocab_size=len(words), num_labels=1, **sizes)
    transformers.BertForSequenceClassification(config).save_pretrained(cross)
    transformers.BertTokenizerFast(str(cross / "vocab.txt")).save_pretrained(cross)
    opened = app(folder, select="greedy", reward="reranked", reranker="./cross")
    assert shown(opened)
    assert "_model" in vars(opened.sources["chunks"].selector.selector.reward.score)  # it was loaded


# -- the configuration agent ---------------------------------------------------------------------------


def trained(folder, better, default="top_k"):
    """An agent that learned that `better` is always better than the default."""
    records = [
        SelectionOutcome(
            turn=str(turn),
            configuration=name,
            score=0.9 if name == better else 0.1,
            version=version(ENCODER.name),
            features=tuple(float((turn * place) % 7) for place in range(len(NAMES))),
        )
        for turn in range(60)
        for name in (default, better)
    ]
    train(records, default).save(folder / "agent.json")
    return {"agent": "agent.json"}


def test_without_an_agent_nothing_but_the_named_selector_is_used(folder):
    assert app(folder).sources["chunks"].selector.selector == TopK()


def test_an_agent_picks_what_it_learned_to_be_better(folder):
    opened = app(folder, **trained(folder, "greedy/additive"))
    selector = opened.sources["chunks"].selector.selector
    assert isinstance(selector, Configured)
    assert isinstance(selector.agent, Agent)
    found = shown(opened)
    assert found
    chooser = opened.sources["chunks"].selector
    choice = chooser.choose(QUESTION, found, 100, lambda chunk: len(chunk.text.split()))
    assert choice.selection.note.startswith("configuration greedy/additive")


def test_an_agent_for_another_default_or_another_configuration_is_refused(folder):
    with pytest.raises(BadInput, match=r"trained for the default 'top_k', this is 'greedy/coverage'"):
        _ = app(folder, select="greedy", **trained(folder, "mmr")).sources
    with pytest.raises(UnknownName, match="unknown selector 'telepathy'"):
        _ = app(folder, **trained(folder, "telepathy")).sources
    with pytest.raises(BadInput, match=r"nothing\.json: no configuration agent"):
        _ = app(folder, agent="nothing.json").sources


# -- vectors on a server -------------------------------------------------------------------------------


@pytest.fixture
def url(tmp_path):
    """A Chroma server of its own; skips with the reason where it does not come up."""
    pytest.importorskip("chromadb", reason="needs the vectors extra")
    command = Path(sys.executable).with_name("chroma")
    if not command.is_file():
        pytest.skip("no `chroma` command beside this Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [command, "run", "--path", tmp_path / "server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if process.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        if process.poll() is not None:
            pytest.skip("chroma run ended at once")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.slow
def test_vectors_are_kept_on_the_server_and_texts_in_the_folder(folder, url):
    from ctxeng.retrieval.chroma import ChromaVectors  # noqa: PLC0415 - behind the check for chromadb

    for _ in range(2):
        opened = app(folder, vectors=url)
        assert any("ten days" in chunk.text for chunk in shown(opened))
        store = opened.corpus.open().index.vectors
        assert isinstance(store, ChromaVectors)
        assert len(store) == 2
        opened.corpus.open().close()
    assert not (folder / ".ctxeng" / "chunks" / "vectors").exists()


def test_a_server_that_does_not_answer_is_named_at_the_first_turn(folder):
    pytest.importorskip("chromadb", reason="needs the vectors extra")
    with pytest.raises(BadInput, match=r"no Chroma server answers at http://127\.0\.0\.1:9"):
        shown(app(folder, vectors="http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"select": "conformal"}, "needs `calibration`"),
        ({"calibration": "c.json"}, "is for `select: conformal` only"),
        ({"select": "conformal", "calibration": "c.json", "from": "[]"}, "needs `from`"),
        ({"reward": "reranked", "select": "greedy"}, "needs `reranker`"),
        ({"reranker": "./cross"}, "is for `reward: reranked` only"),
        ({"reward": "reranked", "reranker": "./cross"}, "not for top_k"),
        ({"vectors": "http://127.0.0.1:9", "index": "memory"}, "an `index` in a folder"),
        ({"vectors": "127.0.0.1:9"}, "vectors"),
    ],
)
def test_options_that_do_not_go_together_are_refused_with_their_place(folder, given, said):
    with pytest.raises(BadSettings, match=r"app\.yaml") as refused:
        app(folder, **given)
    assert said in str(refused.value)
