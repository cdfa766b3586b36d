import pytest

from ctxeng_evals.bench import retrieval

pytestmark = [
    pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*"),
    pytest.mark.filterwarnings("default::DeprecationWarning:torch.*"),
]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(retrieval, "WORDS", 2_000)
    monkeypatch.setattr(retrieval, "ADDED", 50)
    monkeypatch.setattr(retrieval, "ASKED", 8)
    monkeypatch.setattr(retrieval, "_encoding", lambda corpus: [])  # a model that loads takes seconds


def test_the_bench_runs_on_a_small_corpus_and_finds_what_brute_force_finds(small):
    figures = retrieval.run(seed=3, count=600)
    rows = {row.name: row for row in figures.rows}
    assert all(row.value > 0 for row in rows.values())
    assert rows["of brute force's top 10 found, 600, exact vectors"].value == pytest.approx(100, abs=5)
    assert rows["add 50 to 600 texts, words alone"].ratio > 1


def test_a_seed_makes_the_same_corpus_again(small):
    one, two, other = retrieval.make(1, 20), retrieval.make(1, 20), retrieval.make(2, 20)
    assert one.texts == two.texts != other.texts
    assert one.questions == two.questions
    assert (one.vectors == two.vectors).all()
