"""JSON values held against JSON Schemas, with nothing fetched: a schema that points elsewhere is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import JsonValue

from ctxeng.errors import BadInput


def misfit(value: JsonValue, schema: Mapping[str, JsonValue]) -> str:
    """What of the value does not fit the schema, and where; empty where it fits. Raises BadInput."""
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - comes with jsonschema

    try:
        fault = next(_validator(json.dumps(schema, sort_keys=True)).iter_errors(value), None)
    except Unresolvable as error:
        raise BadInput(f"the JSON Schema refers to something outside itself: {error}") from error
    if fault is None:
        return ""
    return f"{'.'.join(map(str, fault.absolute_path)) or 'the value'}: {fault.message[:200]}"


def checked(schema: Mapping[str, JsonValue]) -> None:
    """Raises BadInput where this is no JSON Schema."""
    _validator(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    # 0.1 s to import, and only where a schema is asked for
    from jsonschema import Draft202012Validator, SchemaError, validators  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    given = json.loads(schema)
    known = validators.validator_for(given, default=Draft202012Validator)
    try:
        known.check_schema(given)
    except SchemaError as error:
        raise BadInput(f"not a JSON Schema: {error.message}") from error
    return known(given, registry=Registry())
