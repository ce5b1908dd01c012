"""The version of the result files; apart from the writer, which needs a Unix to lock them."""

from __future__ import annotations

__all__ = ["SCHEMA"]

SCHEMA = 1  # of run.json and samples.jsonl; a reader refuses newer ones
