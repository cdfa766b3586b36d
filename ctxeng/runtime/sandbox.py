"""Where chat templates run: a sandbox whose loops end, whose texts and numbers stay small."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from ctxeng.errors import BadInput, MissingExtra

LIMIT = 100_000  # characters of a template
MOST = 1 << 24  # characters of a prompt
TICK = "ctxeng_tick"  # what loops call, so that they end
_BITS = 4096
_GENERATION = re.compile(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})")


def compiled(text: str, name: str) -> Any:
    """The template, sandboxed. Raises BadInput where it is none, MissingExtra without jinja2."""
    if len(text) > LIMIT:
        raise BadInput(f"{name}: {len(text):,} characters are too many for a chat template, {LIMIT:,} may be")
    try:
        from jinja2 import TemplateSyntaxError, nodes  # noqa: PLC0415 - seldom needed
        from jinja2.ext import loopcontrols  # noqa: PLC0415
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingExtra("local", "jinja2") from None

    class Sandbox(ImmutableSandboxedEnvironment):  # type: ignore[misc]
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
            return _product(left, right) if operator == "*" else refuse("a power is out of place here")

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": _now}
    try:
        # the tag marks what a model is trained on; for a prompt it means nothing
        tree = environment.parse(
            _GENERATION.sub(lambda m: f"{m[1]}{'endif' if m[2] else 'if true'}{m[3]}", text)
        )
        for block in tree.find_all((nodes.For, nodes.Macro)):
            tick = nodes.Call(nodes.Name(TICK, "load"), [], [], None, None)
            block.body.insert(0, nodes.ExprStmt(tick, lineno=block.lineno))
        return environment.from_string(tree)
    except TemplateSyntaxError as error:
        raise BadInput(f"{name}: no chat template: line {error.lineno}: {error.message}") from None


def deadline(seconds: float) -> Callable[[], None]:
    """What raises when it is called too late."""
    until = time.monotonic() + seconds

    def tick() -> None:
        if time.monotonic() > until:
            refuse(f"it took more than {seconds:g} seconds")

    return tick


def _product(left: Any, right: Any) -> Any:
    for text, times in ((left, right), (right, left)):
        if isinstance(text, str | list | tuple) and isinstance(times, int) and len(text) * times > MOST:
            refuse(f"a text repeated {times:,} times is too long")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _BITS:
        refuse("a product of these numbers is too large")
    return left * right


def _to_json(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - templates may name them by place
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """Plain JSON: Jinja2's own escapes angle brackets for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def refuse(message: str) -> NoReturn:
    """Raises ValueError: what a template says goes into the error that names it."""
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
