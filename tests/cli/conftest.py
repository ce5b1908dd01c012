from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.cli.command")

from tests.cli.command import Bench  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(place: Path) -> Bench:
    return Bench(place)
