from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _fio_runs_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.steady.measure.RUN_MS", 50)
