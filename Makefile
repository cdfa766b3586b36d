# The two commands of the README, and what CI adds to the second.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check format

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -U pip
	$(BIN)/pip install -q "torch==2.13.0"
	$(BIN)/pip install -q -e ".[dev]"
	touch $@

run: .venv/installed  ## install, and run the main job on the embedded default
	$(BIN)/ctxeng learn triage.yaml examples/support-tickets.jsonl --baseline

test: .venv/installed  ## install, and pass the tests
	$(BIN)/pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
