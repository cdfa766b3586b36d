"""`ctxeng serve`: a local model behind an OpenAI-compatible address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ctxeng.cli.common import notes
from ctxeng.errors import BadInput, MissingExtra
from ctxeng.extras import installed
from ctxeng.settings_local import LocalSettings

_PATIENCE = 5  # seconds that streams have to end after Ctrl-C


def serve(
    folder: Annotated[
        Path, typer.Argument(help="Hugging Face weights: config.json, safetensors, tokenizer.json.")
    ],
    host: Annotated[
        str, typer.Option(help="Where to listen; other machines reach it only if you say so.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 8000,
    memory: Annotated[str, typer.Option(help="Cap of the key-value cache, such as 2GiB.")] = "1GiB",
    weights: Annotated[str, typer.Option(help="none, int8 or int4: how matrices are held.")] = "none",
    codec: Annotated[str, typer.Option(help="dense, int8 or int4: how the cache is held.")] = "dense",
    method: Annotated[
        str | None, typer.Option(help="A published way to thin the cache, such as snapkv.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Keep read prefixes here for the next start.")] = None,
    key_env: Annotated[
        str | None, typer.Option(help="The environment variable that holds the API key.")
    ] = None,
    most: Annotated[int, typer.Option(help="Tokens of an answer at most.", min=1)] = 4096,
    waiting: Annotated[int, typer.Option(help="Requests under way at most.", min=1)] = 256,
) -> None:
    """Serve chat, completions and embeddings in OpenAI's form, until Ctrl-C.

    Example: [bold]ctxeng serve ./qwen --weights int8 --codec int8[/bold], then point any OpenAI client at
    http://127.0.0.1:8000/v1
    """
    for package in ("fastapi", "uvicorn"):
        if not installed(package):
            raise MissingExtra("server", package)
    key = os.environ.get(key_env, "") if key_env else ""
    if key_env and not key:
        raise BadInput(f"the environment variable {key_env} is not set")
    if host not in {"127.0.0.1", "localhost", "::1"} and not key:
        raise BadInput(f"listening on {host} needs a key: name its environment variable with --key-env")
    given = _checked(memory=memory, weights=weights, codec=codec, method=method, store=store)
    _run(folder, given, key, host, port, most, waiting)


def _checked(**options: Any) -> LocalSettings:
    from pydantic import ValidationError  # noqa: PLC0415 - with the settings

    store = options.pop("store")
    try:
        return LocalSettings.model_validate({**options, "store": str(store) if store else None})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"--{first['loc'][0]}: {first['msg']}") from None


def _run(folder: Path, given: LocalSettings, key: str, host: str, port: int, most: int, waiting: int) -> None:
    import uvicorn  # noqa: PLC0415 - torch and a web server, seconds

    from ctxeng.runtime.server.app import Server  # noqa: PLC0415
    from ctxeng.settings_local import Boxes  # noqa: PLC0415

    boxes = Boxes()
    with notes().status(f"loading {folder} ..."):
        model = boxes.model(folder, given)
    server = Server(model.box, model.plan, key, most, waiting, hosts=(host,))
    config = uvicorn.Config(
        server.app(),
        host=host,
        port=port,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    try:
        uvicorn.Server(config).run()
    except KeyboardInterrupt:  # uvicorn has shut down, and hands it on
        pass
    finally:
        boxes.close()
