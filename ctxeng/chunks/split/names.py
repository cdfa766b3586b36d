"""The splitters by name, as settings and commands give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.code import Code
from ctxeng.chunks.split.markdown import Markdown
from ctxeng.chunks.split.paragraph import Paragraphs
from ctxeng.chunks.split.piece import LIMIT, Splitter
from ctxeng.chunks.split.semantic import Semantic
from ctxeng.chunks.split.sentence import Sentences
from ctxeng.chunks.split.window import Windows
from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk


@dataclass(frozen=True)
class Auto:
    """Each document as its kind asks for: Markdown by headings, code by symbols, other text by paragraph."""

    limit: int = LIMIT
    counter: Counter = Estimate()
    _by_kind: dict[str, Splitter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        code = Code(self.limit, self.counter)
        known = {"markdown": Markdown(self.limit, self.counter), "python": code, "code": code}
        object.__setattr__(self, "_by_kind", {**known, "text": Paragraphs(self.limit, self.counter)})

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order."""
        return self._by_kind[document.kind].split(document)


Make = Callable[[int, Counter, TextEncoder | None], Splitter]


def _semantic(limit: int, counter: Counter, encoder: TextEncoder | None) -> Splitter:
    if encoder is None:
        raise BadInput("the splitter 'semantic' compares sentences by their vectors: give it an encoder")
    return Semantic(encoder, limit, least=min(Semantic.least, limit), counter=counter)


def _windows(limit: int, counter: Counter, _encoder: TextEncoder | None) -> Splitter:
    return Windows(limit, overlap=limit // 8, counter=counter)


SPLITTERS: Mapping[str, Make] = {
    "auto": lambda limit, counter, _: Auto(limit, counter),
    "code": lambda limit, counter, _: Code(limit, counter),
    "markdown": lambda limit, counter, _: Markdown(limit, counter),
    "paragraph": lambda limit, counter, _: Paragraphs(limit, counter),
    "semantic": _semantic,
    "sentence": lambda limit, counter, _: Sentences(limit, counter),
    "window": _windows,
}


def splitter(
    name: str, limit: int = LIMIT, counter: Counter | None = None, encoder: TextEncoder | None = None
) -> Splitter:
    """The splitter of that name, for chunks of at most `limit` tokens, estimated where there is no `counter`.

    Raises UnknownName, and BadInput where the limit is too small or "semantic" is given no encoder.
    """
    if name not in SPLITTERS:
        raise UnknownName("splitter", name, tuple(SPLITTERS))
    return SPLITTERS[name](limit, counter or Estimate(), encoder)
