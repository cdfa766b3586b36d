"""The command line as a function: arguments in; exit code, stdout and stderr out."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ctxeng.cli.main import main
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings_models import Makers

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cli(capsys, monkeypatch):
    """Runs `ctxeng ...` in this process, with an encoder of hashed words: no weights, no wait."""
    real = Makers.build

    def build(makers, given, key):
        return real(replace(makers, encoder=HashingEmbedder()), given, key)

    monkeypatch.setattr(Makers, "build", build)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(each) for each in arguments])
        said = capsys.readouterr()
        return Ran(left.value.code or 0, said.out, said.err)

    return run


@pytest.fixture
def spawn():
    """Starts `ctxeng ...` as a process of its own, with the same encoder."""

    def start(*arguments, **options):
        command = [sys.executable, str(HERE / "hashing_main.py"), *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)

    return start


@pytest.fixture
def tasks(tmp_path):
    """Twenty-four support tickets whose words give their topic away."""
    path = tmp_path / "tasks.jsonl"
    topics = {
        "billing": "the invoice was charged twice",
        "login": "the password reset mail never came",
        "shipping": "the parcel arrived broken",
    }
    lines = []
    for number in range(24):
        topic = list(topics)[number % 3]
        line = {"question": f"Ticket {number}: {topics[topic]}", "choices": ["a", "b", "c"]}
        line["target"] = {"billing": "a", "login": "b", "shipping": "c"}[topic]
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def book(tmp_path):
    """A small playbook with a comment that has to survive."""
    path = tmp_path / "support.yaml"
    path.write_text(
        """\
ctxeng: 1
playbook: support
# the team's own words
entries:
  - id: refund-k7q2m
    when: a refund is asked for after 30 days
    text: Offer store credit first.
  - id: login-abcde
    text: Ask for the mail address before anything else.
""",
        encoding="utf-8",
    )
    return path
