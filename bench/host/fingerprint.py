"""Description of this machine, and its noise during a measurement."""

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

# Shares of the total CPU time of all CPUs between the two snapshots.
STEAL_SHARE = 0.01
"""CPU time taken by the hypervisor: it extends any CPU-bound operation by about this share, and the differences of
interest are a few percent; two equal runs, one after the other, differ by 5 %."""
OTHERS_SHARE = 0.20
"""CPU time of other processes. The bound is chosen, not measured: kernel threads that write the run's data count as
others too, and on a machine with two CPUs this is less than half of the CPU that the run does not use."""
SWAP_BYTES = 1 << 20
"""Bytes swapped in or out: a single page may have earlier causes, a mebibyte (256 pages) is memory pressure, under
which the page cache of hot and new containers is reclaimed."""
THROTTLE_EVENTS = 0
"""Any throttling changes the CPU frequency within the run (counted in drivers/thermal/intel/therm_throt.c)."""
SLOW_GOVERNORS = frozenset({"powersave", "conservative"})
"""Governors that start from the lowest frequency (Documentation/admin-guide/pm/cpufreq.rst)."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Conditions:
    """A snapshot of counters of the whole host, which are the same in a PID namespace.

    Seconds of CPU time since boot, summed over all CPUs; `pressure` is microseconds stalled since
    boot per `resource kind` (Documentation/accounting/psi.rst). None or empty: not available.
    """

    when: float  # monotonic seconds
    load: tuple[float, float, float]
    busy: float  # user, nice and system time of all processes and kernel threads
    steal: float
    idle: float  # including iowait
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
    busy = cpu.user + getattr(cpu, "nice", 0.0) + cpu.system  # user and nice include guest time
    interrupts = getattr(cpu, "irq", 0.0) + getattr(cpu, "softirq", 0.0)
    return Conditions(
        when=monotonic(),
        load=os.getloadavg(),
        busy=busy,
        steal=steal,
        idle=idle,
        total=busy + steal + idle + interrupts,
        context_switches=psutil.cpu_stats().ctx_switches,
        swapped=_swapped_bytes(proc),
        throttled=_throttle_events(sys),
        governors=_governors(sys),
        pressure=_pressure(proc),
    )


def warnings(before: Conditions, after: Conditions, own_cpu_seconds: float) -> list[RunWarning]:
    """Return a warning for each source of noise between two snapshots.

    `own_cpu_seconds` is the CPU time of the run's processes in between, including children.
    """
    noise = []
    total = after.total - before.total
    if total > 0:
        stolen = (after.steal - before.steal) / total
        if stolen > STEAL_SHARE:
            noise.append(
                RunWarning("steal", f"the hypervisor took {stolen:.1%} of the CPU time (bound: {STEAL_SHARE:.0%})")
            )
        others = max(0.0, after.busy - before.busy - own_cpu_seconds) / total
        if others > OTHERS_SHARE:
            noise.append(
                RunWarning("others", f"other processes took {others:.0%} of the CPU time (bound: {OTHERS_SHARE:.0%})")
            )
    swapped = after.swapped - before.swapped
    if swapped > SWAP_BYTES:
        noise.append(
            RunWarning("swap", f"the host swapped {swapped / (1 << 20):.1f} MiB (bound: {SWAP_BYTES >> 20} MiB)")
        )
    if before.throttled is not None and after.throttled is not None:
        events = after.throttled - before.throttled
        if events > THROTTLE_EVENTS:
            noise.append(RunWarning("heat", f"CPUs were throttled for heat {events} times"))
    slow = sorted(SLOW_GOVERNORS & {*before.governors, *after.governors})
    if slow:
        text = f"the CPU frequency governor is {' and '.join(slow)}; `cpupower frequency-set -g performance`"
        noise.append(RunWarning("governor", text))
    return noise


def fingerprint(*, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> dict[str, Any]:
    """Return a description of this machine: JSON scalars and small dicts; None for unavailable facts."""
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
    """Return the dotted number in the output of `program flag`; None if there is no program or number."""
    path = find_program(program)
    if path is None:
        return None
    try:
        # podman creates its runtime directories even for --version, in /tmp for an ordinary user.
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            done = subprocess.run(
                [path, flag],
                env={**os.environ, "XDG_RUNTIME_DIR": directory, "TMPDIR": directory},
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
    lines.sort(key=lambda line: not line.startswith(program))  # fuse-overlayfs prints fusermount3's version first
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
    """The model's name; on arm64, which has none, implementer and part."""
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
    """Whether the CPU reports a hypervisor, the firmware's names, and the kind of container."""
    flags = re.search(r"^flags\s*:(.*)$", _read(proc / "cpuinfo") or "", re.MULTILINE)
    firmware = [_read(sys / "class/dmi/id" / name) for name in ("sys_vendor", "product_name")]
    return {
        "hypervisor": "hypervisor" in flags[1].split() if flags else None,
        "firmware": " ".join(part for part in firmware if part) or None,
        "container": _container(proc),
    }


def _container(proc: Path) -> str | None:
    """The engine of the container that this process runs in; None if in none, or unknown."""
    root = proc.parent
    if (name := _read(root / "run/systemd/container")) is not None:
        return name
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    return os.environ.get("container")  # noqa: SIM112 - set so by LXC and systemd-nspawn


def _swapped_bytes(proc: Path) -> int:
    fields = dict(line.split() for line in (_read(proc / "vmstat") or "").splitlines() if len(line.split()) == 2)
    return (int(fields.get("pswpin", 0)) + int(fields.get("pswpout", 0))) * _PAGE


def _throttle_events(sys: Path) -> int | None:
    """Sum of the throttling events of cores and packages (a package counts once per core); None: not available."""
    files = (sys / "devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [int(text) for file in files if (text := _read(file)) and text.isdigit()]
    return sum(counts) if counts else None


def _pressure(proc: Path) -> dict[str, int]:
    stalled = {}
    for resource in ("cpu", "io", "memory"):
        for line in (_read(proc / "pressure" / resource) or "").splitlines():
            kind, *fields = line.split()
            totals = [value.removeprefix("total=") for value in fields if value.startswith("total=")]
            if totals:
                stalled[f"{resource} {kind}"] = int(totals[0])
    return stalled
