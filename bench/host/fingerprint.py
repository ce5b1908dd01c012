"""What this machine is, and how quiet it was while something was measured on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import psutil

from bench.host.packages import find_program, programs
from bench.model import RunWarning

__all__ = ["Conditions", "conditions", "fingerprint", "warnings"]

PACKAGES = ("click", "numpy", "pandas", "plotly", "psutil", "pyperf", "scipy")
TOOL_SECONDS = 10.0

# Shares are of the CPU time that all CPUs together had between the two snapshots.
STEAL_SHARE = 0.01
"""The hypervisor took CPU time away: it stretches any CPU-bound operation by about its share, and
the differences looked for are a few percent: two equal runs, one after the other, differ by 5 % already."""
OTHERS_SHARE = 0.20
"""Other processes' CPU time. A chosen bound, not a measured one: kernel threads that do the run's own
writing count as others too, and on a machine of two CPUs this is less than half of the one beside the run's."""
SWAP_BYTES = 1 << 20
"""Bytes swapped in or out: a single page may be old business, a mebibyte (256 pages) is memory pressure,
under which the page cache that the temperatures speak of is not kept."""
THROTTLE_EVENTS = 0
"""Any throttling changes the clock's rate within the run (drivers/thermal/intel/therm_throt.c counts it)."""
SLOW_GOVERNORS = frozenset({"powersave", "conservative"})
"""Governors that start from the lowest frequency (Documentation/admin-guide/pm/cpufreq.rst)."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Conditions:
    """A snapshot of counters that count for the whole host, so a PID namespace changes nothing.

    Seconds of CPU time since boot, summed over all CPUs; `pressure` is microseconds stalled since
    boot per `resource kind` (Documentation/accounting/psi.rst). None or empty: not told here.
    """

    when: float  # monotonic seconds
    load: tuple[float, float, float]
    busy: float  # user, nice and system time, that of every process and kernel thread
    steal: float
    idle: float  # with the time waiting for devices
    total: float
    context_switches: int
    swapped: int  # bytes in and out
    throttled: int | None
    governors: tuple[str, ...] = ()
    pressure: Mapping[str, int] = field(default_factory=dict)


def conditions(*, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Conditions:
    """Return a snapshot of the host's counters."""
    cpu = psutil.cpu_times()
    idle = cpu.idle + getattr(cpu, "iowait", 0.0)
    steal = getattr(cpu, "steal", 0.0)
    busy = cpu.user + getattr(cpu, "nice", 0.0) + cpu.system  # guests' time is in user and nice
    interrupts = getattr(cpu, "irq", 0.0) + getattr(cpu, "softirq", 0.0)
    return Conditions(
        when=monotonic(),
        load=os.getloadavg(),
        busy=busy,
        steal=steal,
        idle=idle,
        total=busy + steal + idle + interrupts,
        context_switches=psutil.cpu_stats().ctx_switches,
        swapped=_swapped(proc),
        throttled=_throttled(sys),
        governors=_governors(sys),
        pressure=_pressure(proc),
    )


def warnings(before: Conditions, after: Conditions, own_cpu_seconds: float) -> list[RunWarning]:
    """Return what made the host noisy between two snapshots, one sentence each.

    `own_cpu_seconds` is the CPU time of the run's processes in between, children included.
    """
    found = []
    total = after.total - before.total
    if total > 0:
        stolen = (after.steal - before.steal) / total
        if stolen > STEAL_SHARE:
            found.append(
                RunWarning("steal", f"the hypervisor took {stolen:.1%} of the CPU time (bound: {STEAL_SHARE:.0%})")
            )
        others = max(0.0, after.busy - before.busy - own_cpu_seconds) / total
        if others > OTHERS_SHARE:
            found.append(
                RunWarning("others", f"other processes took {others:.0%} of the CPU time (bound: {OTHERS_SHARE:.0%})")
            )
    swapped = after.swapped - before.swapped
    if swapped > SWAP_BYTES:
        found.append(
            RunWarning("swap", f"the host swapped {swapped / (1 << 20):.1f} MiB (bound: {SWAP_BYTES >> 20} MiB)")
        )
    if before.throttled is not None and after.throttled is not None:
        events = after.throttled - before.throttled
        if events > THROTTLE_EVENTS:
            found.append(RunWarning("heat", f"CPUs were throttled for heat {events} times"))
    slow = sorted(SLOW_GOVERNORS & {*before.governors, *after.governors})
    if slow:
        text = f"the CPU frequency governor is {' and '.join(slow)}; `cpupower frequency-set -g performance`"
        found.append(RunWarning("governor", text))
    return found


def fingerprint(*, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> dict[str, Any]:
    """Return what this machine is: JSON scalars and small dicts; None where a fact cannot be had."""
    return {
        "hostname": socket.gethostname(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "distribution": distribution(),
        "cpu_model": _cpu_model(proc),
        "cores": {"logical": psutil.cpu_count(), "physical": psutil.cpu_count(logical=False)},
        "governor": ", ".join(_governors(sys)) or None,
        "turbo": _turbo(sys),
        "memory_bytes": psutil.virtual_memory().total,
        "virtualisation": _virtualisation(proc, sys),
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "packages": {name: _package(name) for name in PACKAGES},
        "tools": {name: tool_version(name, item.version) for name, item in programs().items() if item.version},
    }


def tool_version(program: str, flag: str = "--version") -> str | None:
    """Return the dotted number in what `program flag` prints; None if it is missing or silent."""
    path = find_program(program)
    if path is None:
        return None
    try:
        # podman makes directories where it keeps what runs, even to tell its version: for an ordinary user in /tmp.
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            done = subprocess.run(
                [path, flag],
                env={**os.environ, "XDG_RUNTIME_DIR": place, "TMPDIR": place},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=TOOL_SECONDS,
            )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [re.sub(r"\(.*?\)", "", line) for line in done.stdout.splitlines()]  # (Debian 12.2.0-14), (5-Feb-2023)
    lines.sort(key=lambda line: not line.startswith(program))  # fuse-overlayfs names fusermount3 before itself
    numbers = (re.search(r"\d+(?:\.\d+)+[\w.+~-]*", line) for line in lines)
    return next((number[0].rstrip(".,") for number in numbers if number), None)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _cpu_model(proc: Path) -> str | None:
    """The model's name; on arm64, which gives none, implementer and part."""
    text = _read(proc / "cpuinfo") or ""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    if name := facts.get("model name") or facts.get("uarch"):
        return name
    if "CPU part" in facts:
        return f"implementer {facts.get('CPU implementer')} part {facts['CPU part']}"
    return None


def _governors(sys: Path) -> tuple[str, ...]:
    files = (sys / "devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return tuple(sorted({text for file in files if (text := _read(file))}))


def _turbo(sys: Path) -> bool | None:
    cpu = sys / "devices/system/cpu"
    if (off := _read(cpu / "intel_pstate/no_turbo")) is not None:
        return off == "0"
    if (boost := _read(cpu / "cpufreq/boost")) is not None:
        return boost == "1"
    return None


def _virtualisation(proc: Path, sys: Path) -> dict[str, Any]:
    """Whether a hypervisor shows itself, which firmware names itself, and which kind of container this is."""
    flags = re.search(r"^flags\s*:(.*)$", _read(proc / "cpuinfo") or "", re.MULTILINE)
    firmware = [_read(sys / "class/dmi/id" / name) for name in ("sys_vendor", "product_name")]
    return {
        "hypervisor": "hypervisor" in flags[1].split() if flags else None,
        "firmware": " ".join(part for part in firmware if part) or None,
        "container": _container(proc),
    }


def _container(proc: Path) -> str | None:
    """The engine whose container this process is in; None outside or unknown."""
    root = proc.parent
    if (name := _read(root / "run/systemd/container")) is not None:
        return name
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    return os.environ.get("container")  # noqa: SIM112 - set so by LXC and systemd-nspawn


def _swapped(proc: Path) -> int:
    fields = dict(line.split() for line in (_read(proc / "vmstat") or "").splitlines() if len(line.split()) == 2)
    return (int(fields.get("pswpin", 0)) + int(fields.get("pswpout", 0))) * _PAGE


def _throttled(sys: Path) -> int | None:
    """Throttling events of all cores, and of each package once per core that reports it; None: not counted."""
    files = (sys / "devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [int(text) for file in files if (text := _read(file)) and text.isdigit()]
    return sum(counts) if counts else None


def _pressure(proc: Path) -> dict[str, int]:
    found = {}
    for resource in ("cpu", "io", "memory"):
        for line in (_read(proc / "pressure" / resource) or "").splitlines():
            kind, *fields = line.split()
            totals = [value.removeprefix("total=") for value in fields if value.startswith("total=")]
            if totals:
                found[f"{resource} {kind}"] = int(totals[0])
    return found
