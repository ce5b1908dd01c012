"""The version of the result files; apart from the writer, which needs a Unix to lock them."""

from __future__ import annotations

__all__ = ["SCHEMA"]

# Of run.json and samples.jsonl; a reader takes older ones and refuses newer ones.
# 2: rows have `pace`.
SCHEMA = 2
