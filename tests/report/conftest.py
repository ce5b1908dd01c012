"""A run of two scenarios as the report's tests read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.model import Param, Temperature
from bench.reading.claims import Answer, Finding, Outcome, Table
from bench.reading.headlines import Count, Glance, Headline, Slope, Time, TimesNative
from bench.reading.laws import Law, Metric
from tests.builders import make_reading, make_samples, read_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.reading.analysis import Analysis
    from bench.reading.contract import Reading
    from bench.store.reader import Run

ARMS = ("native@ext4", "overlay2@ext4", "overlay2,metacopy=on@ext4", "overlay2@xfs")
SIZES = (0, 4096, 1 << 20, 128 << 20)
SMALL: dict[str, Param] = {"temperature": Temperature.HOT.value, "size": 4096}
HEADLINES = (
    Headline("mib", "each MiB more", "ns", Slope("time", "size", {"temperature": Temperature.HOT.value})),
    Headline("small", "a hot one of 4 KiB", "ns", Time("time", SMALL)),
    Headline("ratio", "times native", "×", TimesNative("time", SMALL)),
    Headline("written", "written, 1 MiB", "bytes", Count("written_bytes", SMALL | {"size": 1 << 20})),
)
HOST = {
    "cpu_model": "A CPU",
    "cores": {"logical": 2},
    "memory_bytes": 8 << 30,
    "kernel": "6.1",
    "distribution": "Debian",
}


def _answers(analysis: Analysis) -> Iterator[Answer]:
    for arm in analysis.arms("sweep"):
        told = analysis.law("sweep", "time", "size", arm, temperature="cold")
        if told is not None:
            yield Answer(f"It costs {told.line.slope.scaled(1 << 20).text('ns')} per MiB.", arm, "sweep")


def _judge(analysis: Analysis) -> Iterator[Finding]:
    yield Finding("overlay2@ext4", Outcome.REFUTED, "it does not")
    yield Finding("overlay2@xfs", Outcome.CONFIRMED, "it does")


def make_known() -> dict[str, Reading]:
    """Return a scenario with laws, counters and claims, and one with neither."""
    hot, cold = Temperature.HOT.value, Temperature.COLD.value
    laws = [
        Law("time", "size", f"time against size, {name}", {"temperature": name}, per=float(1 << 20), per_name="MiB")
        for name in (hot, cold)
    ]
    metrics = (Metric("time", "the whole time"), Metric("part", "a part of it"))
    sweep = make_reading(
        "sweep", laws=laws, metrics=metrics, answers=_answers, claims={"C6": _judge},
        headlines=HEADLINES,
        glance=Glance("the time against size", "time", "size", "volume"),
        costs=HEADLINES[2:3],
        tables=lambda analysis: [Table("A table of its own", ("arm", "value"), (("overlay2@ext4", "42"),))],
    )  # fmt: skip
    return {"sweep": sweep, "single": make_reading("single", order=2)}


def make_cells() -> list[dict[str, Any]]:
    """Return cells of both scenarios: every arm at every size, hot and cold."""
    cells: list[dict[str, Any]] = []
    for arm in ARMS:
        for temperature in (Temperature.HOT, Temperature.COLD):
            for size in SIZES:
                time = 9000.0 + (size / 1000 if "ext4" in arm else 0)
                written = {"written_bytes": float(size)} if "overlay2" in arm else {"written_bytes": 0.0}
                cells.append(
                    {
                        "arm": arm,
                        "scenario": "sweep",
                        "depth": 8,
                        "temperature": temperature,
                        "params": {"size": size},
                        "metrics": {"time": time, "part": time / 2},
                        "counters": written,
                        "expected": {"written_bytes": f"{written['written_bytes']:g}"},
                    }
                )
        cells.append({"arm": arm, "scenario": "single", "depth": 1})
    return cells


@pytest.fixture(scope="session")
def known() -> dict[str, Reading]:
    """The scenarios of the run."""
    return make_known()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A complete run of 8 blocks."""
    directory: Path = tmp_path_factory.mktemp("results") / "20260101-quick"
    return read_back(
        directory, make_samples(make_cells(), blocks=8), host=HOST, request={"profile": "quick", "seed": 7},
        command=["python", "-m", "bench", "run"],
        skips=[{"what": "sweep on vfs@ext4", "reason": "too large", "scenario": "sweep"}],
        volumes={"ext4": {"options": "rw", "mkfs": ["mkfs.ext4", "-q"], "bytes": 1 << 30}},
    )  # fmt: skip
