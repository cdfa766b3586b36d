"""Python functions as tools: their schema from the signature, their calls run with errors as results."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model

from ctxeng.errors import BadInput
from ctxeng.turn import Call, Result, Scope, Tool


@dataclass(frozen=True)
class Functions:
    """A runner over plain functions, sync or async. A parameter named `scope` receives the turn's scope."""

    functions: Mapping[str, Callable[..., Any]]

    @classmethod
    def of(cls, *functions: Callable[..., Any]) -> Functions:
        """A runner over these functions, each under its own name."""
        return cls({function.__name__: function for function in functions})

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The functions as tools a model may call: name, first paragraph of the docstring, JSON Schema."""
        return tuple(as_tool(name, function) for name, function in self.functions.items())

    def run(self, call: Call, scope: Scope) -> Result:
        """The call's result. What the function raises becomes a result with `is_error`."""
        with ThreadPoolExecutor(1) as alone:  # a loop may be running here already, as in a notebook
            return alone.submit(asyncio.run, self.arun(call, scope)).result()

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited; a sync function runs in a worker thread."""
        function = self.functions.get(call.name)
        if function is None:
            return _failed(call, f"no tool named {call.name!r}; there are: {', '.join(self.functions)}")
        if call.malformed:
            return _failed(call, f"the arguments are not valid JSON: {call.malformed}")
        try:
            arguments = _arguments(function, call.arguments)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
            return _failed(call, f"bad arguments: {'; '.join(faults)}")
        if "scope" in inspect.signature(function).parameters:
            arguments["scope"] = scope
        try:
            if inspect.iscoroutinefunction(function):
                value = await function(**arguments)
            else:
                value = await asyncio.to_thread(function, **arguments)
            return Result(call_id=call.id, text=value if isinstance(value, str) else dumped(value))
        except Exception as error:  # noqa: BLE001 - a tool may raise anything, and the model is told what
            return _failed(call, f"{type(error).__name__}: {error}")


def as_tool(name: str, function: Callable[..., Any]) -> Tool:
    """A function as a tool: its signature becomes the JSON Schema of its parameters.

    Raises BadInput for a parameter that cannot be passed by its name.
    """
    schema = _model(function).model_json_schema(by_alias=True)
    about = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return Tool(name=name, description=about, parameters={k: v for k, v in schema.items() if k != "title"})


def _model(function: Callable[..., Any]) -> Any:
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    extra: Literal["allow", "ignore"] = "ignore"
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise BadInput(f"function {function.__name__}: parameter {name} can only be given by position")
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "allow"
        elif name != "scope" and parameter.kind is not parameter.VAR_POSITIONAL:
            default = ... if parameter.default is parameter.empty else parameter.default
            # pydantic keeps some names to itself (copy, model_config, _private): the field's own is another
            fields[f"field_{len(fields)}"] = (hints.get(name, Any), Field(default, alias=name))
    return create_model(function.__name__, __config__=ConfigDict(extra=extra), **fields)


def _arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    checked = _model(function).model_validate(dict(given))
    fields = type(checked).model_fields
    named = {fields[name].alias: getattr(checked, name) for name in checked.model_fields_set & set(fields)}
    return {**named, **{k: v for k, v in (checked.model_extra or {}).items() if k != "scope"}}


def dumped(value: object) -> str:
    """What a function returned, as JSON."""
    return json.dumps(TypeAdapter(type(value)).dump_python(value, mode="json"), ensure_ascii=False)


def _failed(call: Call, why: str) -> Result:
    return Result(call_id=call.id, text=why, is_error=True)
