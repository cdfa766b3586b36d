"""A playbook file to work on."""

import pytest

from stored import FILE


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "support.yaml"
    path.write_text(FILE)
    return path
