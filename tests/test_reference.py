"""docs/reference.md says what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_reference_is_up_to_date() -> None:
    reference = runpy.run_path(str(DOCS / "make_reference.py"))["reference"]
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == reference(), "run python docs/make_reference.py"
