"""Facts of the machine from fake files, and warnings from two snapshots."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from bench.host import fingerprint as module
from bench.host.fingerprint import Conditions, conditions, fingerprint, warnings

if TYPE_CHECKING:
    from pathlib import Path

QUIET = Conditions(
    when=0.0,
    load=(0.0, 0.0, 0.0),
    busy=100.0,
    steal=1.0,
    idle=1000.0,
    total=1101.0,
    context_switches=0,
    swapped=0,
    throttled=0,
)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A laptop of two CPUs as /proc and /sys show it."""
    cpu = "sys/devices/system/cpu"
    write(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Example CPU\nflags\t\t: fpu hypervisor sse\n\n",
            "proc/vmstat": "nr_free_pages 12\npswpin 3\npswpout 4\n",
            "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=17\n",
            "proc/pressure/io": "some avg10=1.00 avg60=0.00 avg300=0.00 total=20\nfull avg10=0.0 total=5\n",
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance\n",
            f"{cpu}/cpu0/thermal_throttle/core_throttle_count": "2\n",
            f"{cpu}/cpu0/thermal_throttle/package_throttle_count": "3\n",
            f"{cpu}/cpu0/thermal_throttle/core_throttle_total_time_ms": "900\n",
            f"{cpu}/cpu1/thermal_throttle/core_throttle_count": "0\n",
            f"{cpu}/intel_pstate/no_turbo": "0\n",
            "sys/class/dmi/id/sys_vendor": "QEMU\n",
            "run/.containerenv": "",
        },
    )
    return tmp_path


def test_fingerprint_of_a_known_machine(machine: Path) -> None:
    facts = fingerprint(proc=machine / "proc", sys=machine / "sys")
    assert facts["cpu_model"] == "Example CPU"
    assert facts["governor"] == "performance, powersave"
    assert facts["turbo"] is True
    assert facts["virtualisation"] == {"hypervisor": True, "firmware": "QEMU", "container": "podman"}


def test_fingerprint_of_a_machine_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("container", raising=False)
    monkeypatch.setattr(module, "find_program", lambda program: None)
    facts = fingerprint(proc=tmp_path / "proc", sys=tmp_path / "sys")
    assert facts["cpu_model"] is facts["governor"] is facts["turbo"] is None
    assert facts["virtualisation"] == {"hypervisor": None, "firmware": None, "container": None}
    assert set(facts["tools"].values()) == {None}


def test_fingerprint_of_this_machine_is_json() -> None:
    facts = fingerprint()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["psutil"]
    assert facts["memory_bytes"] > 0


def test_arm_names_its_cpu_by_numbers(tmp_path: Path) -> None:
    write(tmp_path, {"cpuinfo": "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n"})
    assert module._cpu_model(tmp_path) == "implementer 0x41 part 0xd0c"


@pytest.mark.parametrize(("boost", "turbo"), [("1\n", True), ("0\n", False)])
def test_turbo_of_other_drivers(tmp_path: Path, boost: str, turbo: bool) -> None:
    write(tmp_path, {"devices/system/cpu/cpufreq/boost": boost})
    assert module._turbo(tmp_path) is turbo


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("mke2fs 1.47.0 (5-Feb-2023)\n\tUsing EXT2FS Library version 1.47.0\n", "1.47.0"),
        ("mkfs.xfs version 6.1.0\n", "6.1.0"),
        ("fio-3.33\n", "3.33"),
        ("fusermount3 version: 3.14.0\ntool: version 1.10\nFUSE library version 3.14.0\n", "1.10"),
        ("cc (Debian 12.2.0-14+deb12u1) 12.3.0\n", "12.3.0"),
        ("Docker version 20.10.24+dfsg1, build 297e128\n", "20.10.24+dfsg1"),
        ("no number here\n", None),
    ],
)
def test_tool_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, version: str | None) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{said}' >&2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert module.tool_version("tool") == version


def test_conditions_from_files(machine: Path) -> None:
    now = conditions(proc=machine / "proc", sys=machine / "sys")
    assert now.swapped == 7 * module._PAGE
    assert now.throttled == 5
    assert now.governors == ("performance", "powersave")
    assert now.pressure == {"cpu some": 17, "io some": 20, "io full": 5}
    assert now.total >= now.busy + now.steal + now.idle
    assert json.dumps(asdict(now))


def test_conditions_where_the_kernel_tells_little(tmp_path: Path) -> None:
    now = conditions(proc=tmp_path, sys=tmp_path)
    assert now.throttled is None
    assert now.swapped == 0
    assert now.pressure == {}


def test_a_quiet_host_gives_no_warning() -> None:
    after = replace(QUIET, busy=150.0, idle=1050.0, total=1201.0)
    assert warnings(QUIET, after, own_cpu_seconds=45.0) == []


@pytest.mark.parametrize(
    ("change", "own", "words"),
    [
        ({"steal": 3.1}, 0.0, "the hypervisor took 2.1% of the CPU time"),
        ({"busy": 131.0}, 10.0, "other processes took 21% of the CPU time"),
        ({"swapped": 3 << 20}, 0.0, "swapped 3.0 MiB"),
        ({"throttled": 2}, 0.0, "throttled for heat 2 times"),
        ({"governors": ("powersave",)}, 0.0, "governor is powersave"),
    ],
)
def test_each_noise_is_named(change: dict[str, Any], own: float, words: str) -> None:
    after = replace(QUIET, **{"total": QUIET.total + 100, **change})
    [warning] = warnings(QUIET, after, own)
    assert words in warning.text


def test_bounds_themselves_are_quiet() -> None:
    after = replace(QUIET, total=QUIET.total + 100, steal=2.0, busy=120.0, swapped=1 << 20)
    assert warnings(QUIET, after, own_cpu_seconds=0.0) == []


def test_no_time_between_is_no_warning() -> None:
    assert warnings(QUIET, QUIET, own_cpu_seconds=5.0) == []
