"""The README's snippets run, and its YAML is what the settings accept."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctxeng.settings import read
from ctxeng_evals.suite import read_suite

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.strip().splitlines()[-1][:50])
def test_a_snippet_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_yaml_is_what_the_settings_accept(tmp_path):
    app, suite = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "app.yaml"
    path.write_text(app)
    settings = read(path)
    assert settings.context.window == 32_000
    assert settings.learning.budget.tokens == 4_000
    path.write_text(suite)
    assert set(read_suite(path).subjects) == {"bm25", "recency", "mine"}


def test_every_link_to_a_file_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
