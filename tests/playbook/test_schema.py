"""The JSON Schema for editors."""

import jsonschema
import pytest

from ctxeng.playbook.schema import entries_schema


def test_the_schema_knows_good_entries_from_bad_ones():
    schema = entries_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(
        [{"id": "a-aaaaa", "text": "t", "audience": ["answer"]}, {"text": "no id yet"}], schema
    )
    for bad in (
        {"text": "t", "id": "BAD"},
        {"id": "a-aaaaa"},
        {"text": "t", "txet": "t"},
        {"text": "t", "status": "x"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([bad], schema)
