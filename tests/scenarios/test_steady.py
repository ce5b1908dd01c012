"""What fio prints becomes figures or an error row with fio's own words."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.host.answers import answered
from scenarios.steady.measure import Job, job
from tests.host.isolated import isolated
from tests.integration.places import require
from tests.scenarios.blocks import one_block, small

if TYPE_CHECKING:
    from pathlib import Path


def told(**changes: Any) -> dict[str, Any]:
    """Return what fio tells of a reading job, as much of it as is read."""
    direction = {
        "total_ios": 7,
        "bw_bytes": 4096,
        "clat_ns": {"N": 7, "mean": 2.5, "percentile": {"50.000000": 2, "99.000000": 9}},
        **changes.pop("read", {}),
    }
    return {"fio version": "fio-3.33", "jobs": [{"error": 0, "read": direction, **changes}]}


GOOD = Job(0, 7, {"p50": 2.0, "p99": 9.0, "mean": 2.5, "throughput": 4096.0})
NONE = Job(0, 0, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(told()), GOOD),
        (f"note: {{both}} iodepth >= 1\nfio: {{}}\n{json.dumps(told(), indent=1)}", GOOD),
        (f"{json.dumps(told())}\nfio: 1 (f=1) {{done}}\n", GOOD),
        (json.dumps(told(read={"clat_ns": {"N": 0, "mean": 0.0}})), NONE),
        (json.dumps(told(read={"total_ios": 0, "clat_ns": {"N": 0, "mean": 0, "percentile": {}}})), NONE),
        (json.dumps(told(error=28)), Job(28, 7, GOOD.figures)),
    ],
)
def test_what_fio_prints_is_read(text: str, expected: Job) -> None:
    assert answered("fio", text, partial(job, "randread")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fio: pid=0, got signal=11\n",
        json.dumps({"jobs": []}),
        json.dumps({"jobs": [{"error": 0}]}),
        json.dumps(told(read={"clat_ns": {"N": 3, "mean": 1.0}})),
        json.dumps(told())[:-20],
        json.dumps(told(read={"bw_bytes": float("nan")})),
        json.dumps(told(read={"total_ios": 1})).replace('"total_ios": 1,', '"total_ios": 1e400,'),
    ],
)
def test_what_cannot_be_read_is_an_error_with_fios_words(text: str) -> None:
    with pytest.raises(BenchError, match="fio gave no answer that can be read: some reason"):
        answered("fio", text, partial(job, "randread"), said="some reason\n")


FAKES = [
    ("echo 'note: {x}'; exec {fio} \"$@\"", ""),
    ("{fio} \"$@\"; echo 'bye {'", ""),
    ("echo '{{}}'", "BenchError: fio gave no answer that can be read: {}"),
    ("echo 'no space {{' >&2; exit 1", "BenchError: fio failed with status 1: no space {"),
    (
        '{fio} "$@" | sed \'s/"error" : 0/"error" : 28/\'; echo no room >&2',
        "BenchError: fio ended with error 28: no room",
    ),
    ("kill -9 $$", "BenchError: fio was ended by SIGKILL: it said nothing"),
    ("printf '\\377\\n'; exit 3", "BenchError: fio failed with status 3: \ufffd"),
]


@pytest.mark.root
@pytest.mark.parametrize(("script", "error"), FAKES)
def test_a_unit_is_a_sample_or_an_error_row(
    script: str, error: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(volume="ext4", driver="overlay2")
    fio = subprocess.run(["sh", "-c", "command -v fio"], capture_output=True, text=True, check=False).stdout.strip()
    if not fio:
        pytest.skip("fio is not installed")
    plan = small("steady", "ext4", "overlay2")
    fake = tmp_path / "fio"
    fake.write_text("#!/bin/sh\n" + script.replace("{fio}", fio).replace("{{", "{").replace("}}", "}") + "\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def work() -> None:
        block = one_block(plan, place, lambda cell: cell.arm.driver == "overlay2")
        assert {sample.error for sample in block.samples} == {error}
        assert all(bool(sample.metrics) == (not error) for sample in block.samples)

    isolated(work)
