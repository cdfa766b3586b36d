"""The registry of real evaluation data: loading by name, checking the files, fetching those that can be."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import quote

import yaml
from pydantic import Field, TypeAdapter

from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import Value
from ctxeng.storage.atomic import write_atomic
from ctxeng_evals.case import Dataset
from ctxeng_evals.datasets import folder
from ctxeng_evals.loaders import dialogue, learning, multihop, text, tools, transcripts
from ctxeng_evals.loaders.read import checked

RAW = "https://raw.githubusercontent.com"
_HOST = "https://github.com/"
_TIMEOUT = 60.0  # seconds without a byte
_BLOCK = 1 << 16
_FILE = Path(__file__).with_name("datasets.yaml")

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
State = Literal["ok", "missing", "differs"]
Progress = Callable[[str, int, int], None]
Opener = Callable[..., Any]


class Source(Value):
    """A repository at a commit, and where in it the data lies."""

    repo: str = Field(pattern=f"^{_HOST}[^/]+/[^/]+$")
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    path: str

    def address(self, path: str, base: str = RAW) -> str:
        """Where a file of it can be fetched."""
        return f"{base}/{self.repo.removeprefix(_HOST)}/{self.commit}/{quote(path)}"


class File(Value):
    """A file as it must be; `origin` (in the YAML file: `from`) is the path of what it is a copy of.

    With `head` it is the first lines of that file; without an origin it was converted.
    """

    sha256: Hash
    bytes: int
    origin: str = Field(default="", alias="from")
    head: int | None = Field(default=None, ge=1)
    source: int = 0


class Entry(Value):
    """What is known of a dataset."""

    about: str
    licence: str
    source: tuple[Source, ...] = Field(min_length=1)
    changes: str
    loader: str
    files: Mapping[str, File]


class Finding(Value):
    """The state of a file, named relative to the data folder."""

    file: str
    state: State


class Fetched(Value):
    """What became of a file, in words: "fetched", "already there", or why it cannot be fetched."""

    file: str
    said: str


LOADERS: Mapping[str, Callable[[Path, str], Dataset]] = {
    loader.__name__: loader
    for loader in (
        *(multihop.two_wiki, multihop.hotpotqa, multihop.musique, multihop.strategyqa, multihop.tatqa),
        *(dialogue.beam, dialogue.bfcl_memory, dialogue.qmsum, dialogue.babi),
        *(tools.toolbench, tools.metatool, tools.mcp_catalogues, tools.bfcl_multi_turn),
        *(learning.ace_finance, learning.bbh, learning.gsm8k, learning.game24),
        *(learning.dynamic_cheatsheet, learning.reflexion),
        *(transcripts.tau_bench, transcripts.swe_agent),
        *(text.kv_retrieval, text.gutenberg, text.tiny_text),
    )
}


@cache
def entries() -> Mapping[str, Entry]:
    """Every dataset by its name, as `datasets.yaml` has it."""
    found = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return MappingProxyType(TypeAdapter(dict[str, Entry]).validate_python(found))


def load(name: str, limit: int | None = None) -> Dataset:
    """A dataset by its name, or `name:part`, with its first `limit` cases; the data is not fetched.

    The loaders say which parts there are. Raises UnknownName for other names and parts, BadInput where the
    data is missing or malformed, or a case's gold is not among its items.
    """
    base, _, part = name.partition(":")
    if limit is not None and limit < 1:
        raise BadInput(f"dataset {name}: a limit of {limit} cases; it takes one at least")
    loaded = LOADERS[_entry(base).loader](folder(), part)
    return Dataset(name, checked(loaded).cases[:limit], loaded.pools)


def check(name: str) -> list[Finding]:
    """The state of each of the dataset's files in the data folder. Raises UnknownName, or BadInput."""
    data = folder()
    files = _entry(name.partition(":")[0]).files
    return [Finding(file=path, state=_state(data / path, file)) for path, file in files.items()]


def get(
    name: str,
    into: Path,
    opener: Opener = urllib.request.urlopen,
    base: str = RAW,
    progress: Progress = lambda _file, _bytes, _of: None,
) -> list[Fetched]:
    """What became of each file of the dataset; those that are the source's own, or its head, are fetched.

    Files that are there and right are left alone; `progress` is told the file, its bytes so far and in all.
    Raises UnknownName; and BadInput, with nothing written, where a file cannot be fetched or is not as it
    must be: the files before it stay, so that the next call goes on there.
    """
    entry = _entry(name.partition(":")[0])
    return [Fetched(file=path, said=_got(entry, path, into, opener, base, progress)) for path in entry.files]


def _entry(name: str) -> Entry:
    if name not in entries():
        raise UnknownName("dataset", name, list(entries()))
    return entries()[name]


def _state(path: Path, file: File) -> State:
    if not path.is_file():
        return "missing"
    return "ok" if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 else "differs"


def _got(entry: Entry, path: str, into: Path, opener: Opener, base: str, progress: Progress) -> str:
    file, target = entry.files[path], into / path
    state = _state(target, file)
    if state == "ok":
        return "already there"
    if not file.origin:
        return f"{state}; it was converted when this data was made and cannot be fetched: {entry.changes}"
    address = entry.source[file.source].address(file.origin, base)
    try:
        with opener(address, timeout=_TIMEOUT) as reply:
            raw = b"".join(_blocks(reply, file, lambda done: progress(path, done, file.bytes)))
    except (OSError, HTTPException, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be fetched from {address} ({error}); call again to go on there"
        ) from error
    if file.head is not None:
        raw = b"".join(line + b"\n" for line in raw.split(b"\n")[: file.head])
    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise BadInput(
            f"{path}: what {address} gave does not have the checksum of datasets.yaml; nothing was written"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, raw)
    return "fetched"


def _blocks(reply: Any, file: File, told: Callable[[int], None]) -> Iterator[bytes]:
    """The reply's bytes, no more of them than the file can use, however long the reply is."""
    done = 0
    while done <= file.bytes and (block := reply.read(_BLOCK)):
        done += len(block)
        told(min(done, file.bytes))
        yield block
