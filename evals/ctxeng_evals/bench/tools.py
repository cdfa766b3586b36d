"""Tools: which are found, what learning adds, whole sessions under a cap, and how fast that is."""

from __future__ import annotations
