"""A corpus kept in step with files: what changed is read anew at opening, nothing else is encoded."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctxeng.chunks.corpus import Corpus, Synced
from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.documents.folder import OnSkip, read_folder
from ctxeng.chunks.documents.read import read_documents
from ctxeng.chunks.split.names import splitter
from ctxeng.chunks.split.piece import LIMIT
from ctxeng.errors import BadInput, MissingExtra, StoreLocked
from ctxeng.extras import installed
from ctxeng.retrieval.chroma import ChromaVectors
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.vectors import ExactVectors, VectorStore
from ctxeng.storage.atomic import write_atomic

logger = logging.getLogger(__name__)

_STAMP = "files.json"
_COLLECTION = "collection"


@dataclass(frozen=True)
class FolderCorpus:
    """Files and folders of documents, how they are split, and the folder their index is in.

    `index` None keeps it in memory: vectors come from the embedder's cache, so that only time is lost. Where
    another process has the index, this one makes its own in memory and says so. `server` is the URL of a
    Chroma server for the vectors of an index in a folder; it needs an encoder.
    """

    paths: Sequence[Path]
    split: str = "auto"
    limit: int = LIMIT
    index: Path | None = None
    encoder: TextEncoder | None = None
    server: str = ""
    on_skip: OnSkip | None = field(default=None, compare=False)

    def open(self) -> Corpus:
        """The corpus, up to date. Raises BadInput for a path that is not there, or holds no document."""
        return self.opened()[0]

    def opened(self, *, again: bool = False) -> tuple[Corpus, Synced | None]:
        """The same, and what changed: None where no file did. `again` reads them whatever their dates say."""
        corpus = Corpus(self._index())
        stamp = self._stamp()
        kept = self.index / _STAMP if self.index and corpus.index.folder else None
        fresh = kept is not None and kept.is_file() and kept.read_text(encoding="utf-8") == stamp
        if fresh and not again:
            return corpus, None
        try:
            synced = self._sync(corpus)
        except BaseException:
            corpus.close()  # with the lock on its folder
            raise
        if kept is not None:
            write_atomic(kept, stamp)
        return corpus, synced

    def _sync(self, corpus: Corpus) -> Synced:
        found = corpus.sync(self.documents(), splitter(self.split, self.limit, encoder=self.encoder))
        if not found.documents:
            raise BadInput(f"no documents in {', '.join(map(str, self.paths))}")
        logger.info("documents: %s", found)
        return found

    def documents(self) -> Iterator[Document]:
        """All documents; those of a second path with a source that the first has too are named by both."""
        taken: set[str] = set()
        for path in self.paths:
            if not path.exists():
                raise BadInput(f"{path}: there is no such file or folder")
            found = read_folder(path, on_skip=self.on_skip) if path.is_dir() else read_documents(path)
            for document in found:
                source = document.source
                if source in taken:
                    source = f"{path.as_posix()}/{source}" if path.is_dir() else path.as_posix()
                taken.add(source)
                yield document.model_copy(update={"source": source})

    def _index(self) -> Index:
        if self.index is None:
            if self.server:
                raise BadInput(f"{self.server}: only an index in a folder can have its vectors on a server")
            return Index(embedder=self.encoder)
        try:
            return Index(self.index, self.encoder, self._vectors(self.index))
        except StoreLocked:
            logger.warning(
                "another process has the index in %s; this one makes its own in memory", self.index
            )
            return Index(embedder=self.encoder)

    def _vectors(self, folder: Path) -> VectorStore | None:
        """The server's, where one is named; exact ones where there is no chromadb; None for the folder's."""
        if self.server:
            if self.encoder is None:
                raise MissingExtra("onbox", "sentence-transformers")
            name = f"{_collection(folder)}-{hashlib.sha256(self.encoder.name.encode()).hexdigest()[:16]}"
            return ChromaVectors(self.encoder.name, self.encoder.dim, self.server, name)
        if self.encoder is None or installed("chromadb"):
            return None
        return ExactVectors(self.encoder.name, self.encoder.dim)

    def _stamp(self) -> str:
        """Names, sizes and dates of the files, and how they are split: equal stamps, equal chunks."""
        files = [
            [str(file), file.stat().st_size, file.stat().st_mtime_ns]
            for path in self.paths
            for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
            if file.is_file()
        ]
        encoder = self.encoder.name if self.encoder is not None and self.split == "semantic" else ""
        seen = json.dumps([self.split, self.limit, encoder, files])
        return json.dumps({"seen": hashlib.sha256(seen.encode()).hexdigest(), "files": len(files)})


def _collection(folder: Path) -> str:
    """The name that this folder's vectors have on a server, kept in the folder.

    A folder that was deleted and made anew gets another: vectors are known by the numbers of its rows, which
    start again.
    """
    kept = folder / _COLLECTION
    known = kept.read_text(encoding="utf-8") if kept.is_file() else ""
    if not known:
        folder.mkdir(parents=True, exist_ok=True)
        known = f"texts-{uuid.uuid4().hex[:16]}"
        write_atomic(kept, known)
    return known
