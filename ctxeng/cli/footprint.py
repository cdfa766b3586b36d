"""`ctxeng doctor --plan`: what a local model takes at each packing, before anything is loaded."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

from ctxeng.cli.common import emit, out
from ctxeng.cli.tables import simple_table
from ctxeng.errors import BadInput
from ctxeng.extras import needs

_WEIGHTS, _CODECS = ("none", "int8", "int4"), ("dense", "int8", "int4")
_SIZES = ("weight_bytes", "kv_bytes", "work_bytes", "peak_bytes")


def show(folder: Path, context: int, *, as_json: bool) -> None:
    """A row for each packing of weights and cache. Raises BadInput for a folder that is no model."""
    for module in ("torch", "safetensors"):
        needs(module)
    from ctxeng.runtime.footprint import footprint  # noqa: PLC0415
    from ctxeng.runtime.weights import config_of  # noqa: PLC0415 - torch

    config = config_of(folder)
    if context > config.max_positions:
        raise BadInput(f"{folder}: made for {config.max_positions} positions, {context} are asked for")
    rows: list[dict[str, Any]] = []
    for weights, codec in product(_WEIGHTS, _CODECS):
        found = footprint(config, context, weights=weights, codec=codec)  # type: ignore[arg-type]
        sizes = {"parameters": found.parameters, "weight_bytes": found.weights, "kv_bytes": found.kv}
        sizes |= {"work_bytes": found.work, "peak_bytes": found.peak}
        rows.append({"weights": weights, "codec": codec, **sizes})
    free = _free()
    if as_json:
        emit({"model": str(folder), "context": context, "free": free, "plans": rows})
        return
    table = simple_table("weights", "cache", "weights take", "cache takes", "work", "peak", "fits")
    for row in rows:
        shown = (f"{row[name] / 1e6:,.1f} MB" for name in _SIZES)
        fits = "" if free is None else "yes" if row["peak_bytes"] < free else "no"
        table.add_row(row["weights"], row["codec"], *shown, fits)
    out().print(table)
    known = f"{free / 1e9:.1f} GB are free here" if free is not None else "free memory is not known here"
    millions = rows[0]["parameters"] / 1e6
    out().print(
        f"{millions:,.0f} million weights, {context:,} tokens; {known}; Python and torch take some more."
    )


def _free() -> int | None:
    """Bytes that can be had now, where the system tells."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return next(
            int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable")
        )
    except (OSError, StopIteration, ValueError):
        pages = getattr(os, "sysconf", None)
        return int(pages("SC_PAGE_SIZE") * pages("SC_PHYS_PAGES")) if pages is not None else None
