"""What the tests of the index share: texts, and an embedder that keeps what it was given."""

import importlib.util
from dataclasses import dataclass, field

import pytest

from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.texts import Record

needs_chroma = pytest.mark.skipif(
    importlib.util.find_spec("chromadb") is None, reason="extra vectors is not installed"
)

TEXTS = {
    "refund": "Customers get their money back within thirty days",
    "ship": "Orders are shipped to Norway by sea",
    "login": "Reset the password on the login page",
    "late": "A late order may be refunded by support",
}


@dataclass(frozen=True)
class Counting:
    """A hashing embedder that keeps what it was given; `label` makes it another one."""

    label: str = "one"
    given: list[str] = field(default_factory=list, compare=False)
    inner: HashingEmbedder = HashingEmbedder(64)

    @property
    def name(self):
        return f"{self.inner.name}-{self.label}"

    @property
    def dim(self):
        return self.inner.dim

    def embed(self, texts):
        self.given.extend(texts)
        return self.inner.embed(texts)


def records(texts=TEXTS):
    return [Record(name, text) for name, text in texts.items()]
