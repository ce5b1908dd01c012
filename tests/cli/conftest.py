from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import Bench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(place: Path) -> Bench:
    return Bench(place)
