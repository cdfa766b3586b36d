"""Vectors in ChromaDB: in a folder of one's own, or on a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.retrieval.vectors import unique, vector_of

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

Floats = NDArray[np.float32]

_PARAMETERS = 5_000  # ids in one request: SQLite's builds take 32,766 parameters, Chroma adds its own


@dataclass(frozen=True)
class _Opened:
    client: ClientAPI
    collection: Collection
    batch: int  # ids in one request


@dataclass
class ChromaVectors:
    """A `VectorStore` in the folder `at`, or on the Chroma server at the URL `at`.

    `collection` is a namespace; it belongs to the encoder that first opened it, and another one is refused
    with BadInput, as is a URL where no server answers. Search is approximate (HNSW by dot product):
    `breadth` candidates are looked at (Chroma's ef_search), fixed when the collection is made. Nothing is
    downloaded and nothing reported: vectors are always given. A folder is for one process at a time, a
    server for many. Any use opens it; MissingExtra where chromadb is not installed.
    """

    encoder: str
    dim: int
    at: Path | str
    collection: str = "texts"
    breadth: int = 200
    _opened: _Opened | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __len__(self) -> int:
        return int(self._open().collection.count())

    def ids(self) -> set[str]:
        """All ids."""
        return set(self._open().collection.get(include=[])["ids"])

    def upsert(self, ids: Sequence[str], vectors: Floats) -> None:
        """Keep these rows (n, D). Raises BadInput for another shape, or numbers that are not finite.

        Chroma writes them to SQLite before it returns, and to its graph by and by; on opening it catches up.
        """
        rows, chroma = unique(ids, vectors, self.dim), self._open()
        for some in _batches(list(rows), chroma.batch):
            chroma.collection.upsert(ids=some, embeddings=np.stack([rows[name] for name in some]))

    def remove(self, ids: Sequence[str]) -> None:
        """Let these go."""
        chroma = self._open()
        for some in _batches(list(dict.fromkeys(ids)), chroma.batch):
            chroma.collection.delete(ids=some)

    def query(self, vector: Floats, k: int) -> list[tuple[str, float]]:
        """The k nearest (id, score), best first. Raises BadInput for a vector of another length."""
        one = vector_of(vector, self.dim)
        if k <= 0:
            return []
        asked = self._open().collection.query
        found: Any = asked(query_embeddings=one[None], n_results=k, include=["distances"])
        near = zip(found["ids"][0], found["distances"][0], strict=True)
        return [(name, 1 - float(distance)) for name, distance in near]

    def scores(self, vector: Floats, ids: Sequence[str]) -> Floats:
        """One exact score an id: (n,); 0 where the id is not known."""
        one, chroma = vector_of(vector, self.dim), self._open()
        known: dict[str, float] = {}
        for some in _batches(list(dict.fromkeys(ids)), chroma.batch):
            found: Any = chroma.collection.get(ids=some, include=["embeddings"])
            known.update(zip(found["ids"], found["embeddings"] @ one if found["ids"] else [], strict=True))
        return np.array([known.get(name, 0) for name in ids], dtype=np.float32)

    def close(self) -> None:
        """Let go of the folder or the connection; the next use opens it again."""
        with self._lock:
            if self._opened is not None:
                _close(self._opened.client)
            self._opened = None

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                client = _client(self.at)
                try:
                    collection = self._collection(client)
                except BaseException:
                    _close(client)
                    raise
                batch = min(_PARAMETERS, client.get_max_batch_size())
                self._opened = _Opened(client, collection, batch)
            return self._opened

    def _collection(self, client: ClientAPI) -> Collection:
        made = client.get_or_create_collection(
            self.collection,
            embedding_function=None,
            configuration={"hnsw": {"space": "ip", "ef_search": self.breadth}},
            metadata={"encoder": self.encoder},
        )
        owner = (made.metadata or {}).get("encoder")  # of the first one: what exists keeps its metadata
        if owner != self.encoder:
            raise BadInput(
                f"{self.at}: the collection {self.collection!r} holds vectors of {owner}, not of "
                f"{self.encoder}; name another collection, or delete this one"
            )
        return made


def _client(at: Path | str) -> ClientAPI:
    try:
        import chromadb  # noqa: PLC0415 - takes seconds
        from chromadb.config import Settings  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("vectors", "chromadb") from error
    quiet = Settings(anonymized_telemetry=False)
    if not str(at).startswith(("http://", "https://")):
        return chromadb.PersistentClient(at, settings=quiet)
    url = urlsplit(str(at))
    secure = url.scheme == "https"
    try:
        return chromadb.HttpClient(
            url.hostname or "", url.port or (443 if secure else 80), ssl=secure, settings=quiet
        )
    except ValueError as error:  # what Chroma makes of a connection that fails
        raise BadInput(f"no Chroma server answers at {at}; start one with: chroma run") from error


def _close(client: ClientAPI) -> None:
    client.close()
    for each in (client, getattr(client, "_admin_client", None)):
        # Chroma 1.5 leaves the connections of its HTTP clients open
        session = getattr(getattr(each, "_server", None), "_session", None)
        if session is not None:
            session.close()


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
