"""Check what works on this machine, what does not, why, and which command would add it.

Each check tries the feature itself where it can, in a forked child with its own mount namespace, and leaves nothing.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import discovery
from bench.engines import api
from bench.errors import BenchError
from bench.host import engines, fingerprint, workdir
from bench.host.packages import find_program, install_hint, programs
from bench.kernel import loop, mounts
from bench.kernel.limits import refused_namespaces
from bench.kernel.namespaces import run_isolated
from bench.measure.support import driver_support
from bench.model import Support

__all__ = ["Check", "attempt", "examine", "socket_storage"]

COMPILE_SECONDS = 60.0
LOOP_BYTES = 1 << 20
REASON_BYTES = 1024  # of a child's message; less than PIPE_BUF, so that it is written in one piece


@dataclass(frozen=True)
class Check:
    """Result of one check: its area, its name, and whether it works here."""

    area: str
    name: str
    support: Support


def examine(directory: Path, socket: Path | None = None) -> list[Check]:
    """Run all checks; `directory` is the work directory of a run.

    Only the engine that listens on `socket` is queried, for its storage. Raises BenchError if none listens there.
    """
    socket_check = None if socket is None else Check("engine", str(socket), socket_storage(socket))
    checks = [*_privileges()]
    mountable, support = _workdir(directory)
    checks.append(Check("work directory", str(directory), support))
    if os.geteuid() == 0:
        trial = attempt(partial(_loop_device, mountable), user_namespace=False)
        checks.append(Check("privilege", "loop devices", trial))
    checks += _mount_api(mountable)
    checks += [Check("volume", name, recipe.probe()) for name, recipe in discovery.volumes().items()]
    rootless = os.geteuid() != 0
    checks += [Check("driver", name, driver_support(name, rootless=rootless)) for name in discovery.drivers()]
    checks += [Check("program", program, _program(program)) for program in programs() if program != "cc"]
    checks.append(Check("program", "cc", _compiler()))
    checks += [Check("engine", engine.name, _engine(engine)) for engine in engines.ENGINES]
    checks += [socket_check] if socket_check else []
    return [*checks, Check("engine", "driver to choose", _recommendation(checks))]


def _recommendation(checks: list[Check]) -> Support:
    """Recommend a storage driver, from the checks and the file system of Docker's root directory."""
    supports = {(check.area, check.name): check.support for check in checks}
    return engines.recommend_driver(
        fingerprint.distribution(),
        engines.storage(engines.ENGINES[0]).filesystem,
        overlay=supports["mount API", "mount(2)"],
        fuse=supports["driver", "fuse-overlayfs"],
    )


def attempt(work: Callable[[], str], *, user_namespace: bool) -> Support:
    """Call `work` in a forked child in new namespaces; if it returns, return support with its result.

    If it raises OSError or BenchError, return no support with the error as the reason.
    """
    reader, writer = os.pipe()

    def child() -> int:
        try:
            status, text = 0, work()
        except BenchError as error:
            status, text = 1, str(error)
        except OSError as error:
            status, text = 1, error.strerror or str(error)
        os.write(writer, text.encode()[:REASON_BYTES])
        return status

    try:
        status = run_isolated(child, user_namespace=user_namespace)
    except OSError as error:
        refusal = refused_namespaces(error, user_namespace=user_namespace)
        return Support.no(f"the kernel refuses new namespaces: {refusal.reason}", refusal.fix)
    finally:
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            message = pipe.read().decode(errors="replace")
    if status == 0:
        return Support.yes(message)
    return Support.no(message or "the trial ended without a word")


def _privileges() -> Iterator[Check]:
    if os.geteuid() == 0:
        root = attempt(lambda: "effective user 0, may make namespaces and mount", user_namespace=False)
    else:
        root = Support.no(f"effective user {os.geteuid()}: volumes of our own and cold caches need root", "run as root")
    yield Check("privilege", "root", root)
    yield Check("privilege", "user namespaces", attempt(lambda: "made one", user_namespace=True))


def _workdir(directory: Path) -> tuple[Path, Support]:
    """Return a directory to mount on, and whether `directory` can be the work directory."""
    try:
        place = workdir.check(directory)
    except BenchError as error:
        return workdir.DEFAULT, Support.no(error.why, error.fix)
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize >> 20
    return place, Support.yes(f"{mounts.mount_entry(place).fstype}, {free} MiB free")


def _mount_api(place: Path) -> Iterator[Check]:
    """Mount overlay by both interfaces, on a tmpfs over `place` that only the child sees."""
    rootless = os.geteuid() != 0
    flags = ["userxattr"] if rootless else []
    option = "run as root" if rootless else "a newer kernel"
    trials: dict[str, tuple[Callable[[Path], None], str]] = {
        "fsopen and lowerdir+": (lambda top: _fsconfig(top, flags), "a kernel of 6.7 or later"),
        "mount(2)": (lambda top: _mount2(top, flags), "modprobe overlay"),
        "overlay option volatile": (lambda top: _mount2(top, [*flags, "volatile"]), option),
        "overlay option metacopy=on": (lambda top: _mount2(top, [*flags, "metacopy=on"]), option),
    }
    for name, (mount, fix) in trials.items():
        support = attempt(partial(_trial, place, mount), user_namespace=rootless)
        yield Check("mount API", name, support if support.ok or support.fix else Support.no(support.reason, fix))


def _trial(place: Path, mount: Callable[[Path], None]) -> str:
    """Mount overlay by `mount`, read through it, and return the options in effect."""
    outside = place.stat().st_dev
    mounts.mount("none", place, "tmpfs")
    if place.stat().st_dev == outside:  # never create anything outside the tmpfs
        raise OSError(errno.EBUSY, f"a tmpfs mounted on {place} is not seen there")
    for name in ("one", "two", "upper", "work", "merged"):
        (place / name).mkdir()
    (place / "one" / "file").touch()
    mount(place)
    (place / "merged" / "file").read_bytes()
    return f"mounted with {mounts.mount_table()[-1].summary}"


def _fsconfig(top: Path, flags: list[str]) -> None:
    lower = [("lowerdir+", str(top / "one")), ("lowerdir+", str(top / "two"))]
    upper = [("upperdir", str(top / "upper")), ("workdir", str(top / "work"))]
    mounts.fs_mount("overlay", top / "merged", [*((flag, None) for flag in flags), *lower, *upper])


def _mount2(top: Path, flags: list[str]) -> None:
    options = [*flags, f"lowerdir={top}/two:{top}/one", f"upperdir={top}/upper", f"workdir={top}/work"]
    mounts.mount("overlay", top / "merged", "overlay", options=",".join(options))


def _loop_device(place: Path) -> str:
    """Attach a nameless file to a loop device; both disappear with this process."""
    image = loop.nameless_file(place, LOOP_BYTES)
    device = loop.LoopDevice(image)
    return "made one" if device.direct_io else f"made one, but {place} gives it no direct I/O"


def _program(program: str) -> Support:
    path = find_program(program)
    adds = programs()[program].adds
    if path is None:
        return Support.no(f"not installed; it adds {adds}", install_hint(program))
    return Support.yes(path)


def _compiler() -> Support:
    """Compile and link a program that includes a header of the C library."""
    path = find_program("cc")
    if path is None:
        return _program("cc")
    source = "#include <time.h>\nint main(void) { struct timespec t; return clock_gettime(CLOCK_MONOTONIC, &t); }\n"
    command = [path, "-x", "c", "-o", "/dev/null", "-"]
    try:
        compiled = subprocess.run(
            command, input=source, text=True, capture_output=True, check=False, timeout=COMPILE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Support.no(f"{path} does not run: {error}", install_hint("cc"))
    if compiled.returncode != 0:
        errors = compiled.stderr.strip().splitlines()
        return Support.no(f"{path} cannot compile: {errors[0] if errors else compiled.returncode}", install_hint("cc"))
    return Support.yes(path)


def socket_storage(socket: Path) -> Support:
    """Describe the storage of the engine at a socket as `docker info` does; BenchError if it does not answer."""
    answer = api.info(socket)
    details = dict(answer.get("DriverStatus") or ())
    parts = [
        f"version {answer.get('ServerVersion', 'unknown')}, running",
        f"driver {answer['Driver']} on {details.get('Backing Filesystem', 'a file system that it does not tell')}",
        f"root {answer.get('DockerRootDir', 'not told')}",
        *(f"{key}: {value}" for key, value in details.items() if key != "Backing Filesystem"),
    ]
    return Support.yes("; ".join(parts))


def _engine(engine: engines.InstalledEngine) -> Support:
    path = engines.find(engine)
    if path is None:
        return Support.no("not installed; nothing of the suite needs it", f"apt-get install {engine.package}")
    active = engines.running(engine)
    state = {True: "running", False: "not running", None: "no daemon"}[active]
    number = engines.version(engine) or "unknown"
    return Support.yes(f"{path}, version {number}, {state}; {engines.storage(engine).text}")
