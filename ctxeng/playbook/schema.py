"""The JSON Schema of a playbook's `entries`, for editors; the rest of the file is others' business."""

from __future__ import annotations

from typing import Any

from ctxeng.playbook.yamlfile import ENTRIES


def entries_schema() -> dict[str, Any]:
    """The schema of the value of `entries:`; an id may be left out, since the store gives one."""
    schema = ENTRIES.json_schema()
    entry = schema["$defs"]["Entry"]
    entry["required"] = [name for name in entry["required"] if name != "id"]
    entry["properties"]["id"]["description"] = "Left out, it is given at the next commit."
    return schema
