"""What litellm's table says of a model, read from its file without importing it."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ctxeng.turn import Usage

_TABLE = "model_prices_and_context_window_backup.json"
# they serve whatever their owner loads, so the table has no rows for them
_SERVERS = frozenset(
    {"openai", "hosted_vllm", "lm_studio", "llamafile", "litellm_proxy", "ollama_chat", "xinference"}
)


@dataclass(frozen=True)
class Facts:
    """A model's window in tokens, US dollars per token, and whether it takes a JSON Schema for its reply."""

    provider: str = ""
    window: int = 32_000
    input: float = 0.0
    output: float = 0.0
    cached: float = 0.0
    schema: bool = False

    def cost(self, usage: Usage) -> float:
        """What that is in US dollars; 0 where no price is known."""
        fresh = usage.input - usage.cached
        return fresh * self.input + usage.cached * self.cached + usage.output * self.output


def facts(model: str) -> Facts:
    """What is known of a model id, with or without its provider; the defaults where nothing is."""
    table = _table()
    return table.get(model) or table.get(model.partition("/")[2]) or Facts()


@lru_cache(maxsize=1)
def providers() -> frozenset[str]:
    """The first parts of ids that name a provider."""
    return frozenset(known.provider for known in _table().values()) | _SERVERS


@lru_cache(maxsize=1)
def _table() -> dict[str, Facts]:
    spec = importlib.util.find_spec("litellm")
    path = Path(spec.origin).parent / _TABLE if spec and spec.origin else None
    if path is None or not path.is_file():
        return {}
    rows = json.loads(path.read_text("utf-8"))
    return {
        name: Facts(
            provider=row.get("litellm_provider", ""),
            window=int(row["max_input_tokens"]),
            input=row.get("input_cost_per_token") or 0.0,
            output=row.get("output_cost_per_token") or 0.0,
            cached=row.get("cache_read_input_token_cost") or row.get("input_cost_per_token") or 0.0,
            schema=bool(row.get("supports_response_schema")),
        )
        for name, row in rows.items()
        if isinstance(row.get("max_input_tokens"), int) and row.get("mode") in {"chat", "responses", None}
    }
