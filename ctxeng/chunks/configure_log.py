"""What configurations achieved, as JSON lines: what the configuration agent is trained from."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, FiniteFloat, ValidationError

from ctxeng.errors import BadInput
from ctxeng.message import Value

logger = logging.getLogger(__name__)


class SelectionOutcome(Value):
    """One question answered with one configuration. It holds no text, of the question or of documents.

    Outcomes of one `turn` are of the same question and candidates. `version` says which features these are.
    """

    turn: str
    configuration: str
    score: float = Field(ge=0, le=1)
    version: str
    features: tuple[FiniteFloat, ...]


@dataclass(frozen=True)
class SelectionLog:
    """An append-only file of outcomes that a kill leaves readable and several processes may write to."""

    path: Path

    def add(self, outcome: SelectionOutcome) -> None:
        """Append it in one write. A line that a kill left torn is closed off first, never cut."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            torn = bool(os.fstat(handle).st_size)
            if torn:
                os.lseek(handle, -1, os.SEEK_END)
                torn = os.read(handle, 1) != b"\n"
            line = b"\n" * torn + outcome.model_dump_json().encode() + b"\n"
            if os.write(handle, line) < len(line):
                raise OSError(f"{self.path}: the disk took a part of an outcome only")
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self) -> list[SelectionOutcome]:
        """All outcomes; of one turn and configuration the last, so that feedback given twice counts once.

        Torn lines are skipped, with a warning. Raises BadInput for a whole line that is no outcome.
        """
        if not self.path.exists():
            return []
        found: dict[tuple[str, str], SelectionOutcome] = {}
        for number, line in enumerate(self.path.read_bytes().splitlines(), 1):
            if not line:  # two processes closed off the same torn line
                continue
            try:
                record = json.loads(line)
            except ValueError:
                logger.warning("%s:%d: a torn line was skipped", self.path, number)
                continue
            try:
                outcome = SelectionOutcome.model_validate(record)
            except ValidationError as error:
                raise BadInput(f"{self.path}:{number}: no selection outcome ({error})") from error
            found[outcome.turn, outcome.configuration] = outcome
        return list(found.values())
