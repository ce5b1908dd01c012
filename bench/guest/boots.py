"""A request carried out in guests: each boot measures one block, and its rows become those of an ordinary run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import discovery
from bench.drivers.engine import EngineDriver
from bench.errors import EXIT_USAGE, BenchError
from bench.guest import image
from bench.guest.kernels import Kernel
from bench.guest.machine import CPU, PROGRAM, VirtualMachine, command_line
from bench.host.fingerprint import tool_version
from bench.measure import session
from bench.measure.arms import parse_driver
from bench.measure.planning import merged
from bench.measure.request import Request
from bench.measure.runner import Listener
from bench.measure.workshop import RunContext
from bench.model import INSTRUCTIONS, Cell
from bench.store.records import Place
from bench.store.writer import RunWriter

__all__ = ["DRIVERS", "MEMORY_MIB", "SCENARIOS", "VOLUMES", "GuestRequest", "execute", "execute_each"]

SCENARIOS = ("lookup", "copy_up", "whiteouts")  # of a command about kernels that names none
DRIVERS, VOLUMES = ("native", "overlay2"), ("ext4", "xfs")  # of a request that names none
MEMORY_MIB = 4096
RAM_DISK_SHARE = 0.75  # of a guest's memory; a RAM disk takes what is written to it
SEEDS = 1000  # boots that a run may have: a boot's seed is the run's times this, plus its number
UNITS = 100_000  # units that a boot may have: the number of a unit is its boot's times this, plus its own
PAUSE = 0.05  # seconds between two looks at what guests wrote
TSC = "tsc"  # the guest's clocksource that counts instructions
KEPT = ("skips", "cells", "volumes", "build_seconds")  # what a guest knows of its run and the host does not


@dataclass(frozen=True)
class GuestRequest:
    """What is carried out in guests: a request (or only `cells` of it) and others with it, in so many `boots`."""

    request: Request
    boots: int
    memory_mib: int = MEMORY_MIB
    cells: Sequence[Cell] = ()
    also: Sequence[Request] = ()
    kind: str = ""


def execute(asked: GuestRequest, kernel: Kernel, context: RunContext) -> tuple[Path, int]:
    """Carry out `asked` on `kernel`; return the run's directory and exit status.

    Raises BenchError before anything is created, or if a guest ends without an answer; its rows so far are kept.
    """
    [result] = execute_each(asked, [kernel], context)
    if isinstance(result, BenchError):
        raise result
    return result


def execute_each(
    asked: GuestRequest, kernels: Sequence[Kernel], context: RunContext
) -> list[tuple[Path, int] | BenchError]:
    """Carry out `asked` on each kernel; return each run's directory and exit status, or why there is none.

    As many guests run at a time as there are processors: those of the next kernel begin as soon as one is free.
    Raises BenchError before anything is created.
    """
    complete, *others = (_complete(each) for each in (asked.request, *asked.also))
    asked = replace(asked, request=complete, also=others)
    with contextlib.ExitStack() as undo:
        undo.enter_context(session.host_lock())  # guests would disturb a run that takes times
        listener = undo.enter_context(context.listener())
        return _Runs(asked, kernels, context, listener).all()


@dataclass
class _Runs:
    """The runs of several kernels, whose guests share the processors."""

    asked: GuestRequest
    kernels: Sequence[Kernel]
    context: RunContext
    listener: Listener
    active: dict[int, _Boots] = field(default_factory=dict)  # by the number of the kernel
    results: dict[int, tuple[Path, int] | BenchError] = field(default_factory=dict)

    def all(self) -> list[tuple[Path, int] | BenchError]:
        """Carry them all out."""
        waiting = list(range(len(self.kernels)))
        try:
            while waiting or self.active:
                if self._fill() > 0 and waiting:
                    self._begin(waiting.pop(0))
                    continue
                for number in list(self.active):
                    self._attend(number)
                time.sleep(PAUSE)
        finally:
            for run in self.active.values():
                run.close(problem="interrupted")
        return [self.results[number] for number in range(len(self.kernels))]

    def _fill(self) -> int:
        """Start guests of the active runs; return the number of processors that are still free."""
        free = len(os.sched_getaffinity(0)) - sum(len(run.running) for run in self.active.values())
        for run in self.active.values():
            free -= run.fill(free)
        return free

    def _begin(self, number: int) -> None:
        try:
            self.active[number] = _prepared(self.asked, self.kernels[number], self.context)
        except BenchError as error:
            self.results[number] = error

    def _attend(self, number: int) -> None:
        run = self.active[number]
        try:
            run.attend(self.listener)
        except BenchError as error:
            self.results[number] = error
            run.close(problem=str(error))
            del self.active[number]
        else:
            if run.done:
                self.results[number] = run.writer.directory, run.finish()
                del self.active[number]


def _prepared(asked: GuestRequest, kernel: Kernel, context: RunContext) -> _Boots:
    """Return a run, with its directory; no guest runs yet."""
    started = time.monotonic()
    content = image.make(
        kernel, asked.request, int(asked.memory_mib * RAM_DISK_SHARE) << 10, asked.cells, list(asked.also)
    )
    kind = f"{asked.kind or asked.request.profile}-{kernel.version}"
    directory = context.results / session.new_run_id(context.results, asked.request, kind)
    place = Place(
        kernel=kernel.release,
        origin=kernel.origin,
        sha256=hashlib.sha256(kernel.image.read_bytes()).hexdigest(),
        initramfs=hashlib.sha256(content).hexdigest(),
        clock=INSTRUCTIONS,
        machine=f"{PROGRAM} {tool_version(PROGRAM) or ''}, -accel tcg -cpu {CPU} -icount shift=0,sleep=off".strip(),
        memory_mib=asked.memory_mib,
        boots=asked.boots,
        command_line=command_line(0),
    )
    described = session.provenance(context, merged([asked.request, *asked.also]), directory.name)
    writer = RunWriter(directory, {**described, "skips": [], "cells": {}, "place": place})
    return _Boots(kernel, asked, writer, _file(content), started)


def _complete(request: Request) -> Request:
    """Return a request with the defaults of guests. Raises BenchError for what they cannot do."""
    for name in request.scenarios:
        discovery.scenario(name)
    for text in request.drivers:
        name, options = parse_driver(text)
        driver = discovery.driver(name)
        driver(dict(options))
        if issubclass(driver, EngineDriver) and not driver.engine.in_guests:
            raise BenchError(
                f"{name} cannot be measured in a guest", why="it needs more than its programs", fix="leave it out"
            )
    return replace(
        request,
        drivers=request.drivers or DRIVERS,
        volumes=request.volumes or VOLUMES,
        rootless=False,
    )


def _file(content: bytes) -> int:
    """Return the descriptor of a nameless file."""
    descriptor = os.memfd_create("initramfs")
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    return descriptor


@dataclass
class _Boots:
    """The boots of one kernel's run."""

    kernel: Kernel
    asked: GuestRequest
    writer: RunWriter
    file: int  # the initramfs
    started: float
    waiting: list[int] = field(init=False)  # blocks
    running: dict[int, VirtualMachine] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)  # exit statuses by block
    units: int = 0
    errors: int = 0
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # of boots that wait for an earlier one's end
    total: int = 0  # units of one boot
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = list(range(self.asked.boots))

    @property
    def done(self) -> bool:
        """Whether all boots have ended."""
        return not self.waiting and not self.running

    def fill(self, most: int) -> int:
        """Start at most so many of the boots that wait; return how many were started."""
        blocks, self.waiting = self.waiting[: max(most, 0)], self.waiting[max(most, 0) :]
        for block in blocks:
            seed = self.asked.request.seed * SEEDS + block
            self.running[block] = VirtualMachine(self.kernel.image, self.file, seed, block, self.asked.memory_mib)
        return len(blocks)

    def attend(self, listener: Listener) -> None:
        """Take what the guests wrote; raises BenchError if one ended without an answer."""
        for block, machine in list(self.running.items()):
            self._attend(block, machine, listener)

    def finish(self) -> int:
        """Record the end; return the exit status."""
        self._save(complete=True, blocks=dict.fromkeys(self.facts.get("cells", {}), self.asked.boots))
        self._close()
        return EXIT_USAGE if self.errors else max(self.ended.values())

    def close(self, *, problem: str) -> None:
        """End the guests, and record why."""
        with contextlib.suppress(BenchError):
            self._save(complete=False, problem=problem)
        self._close()

    def _close(self) -> None:
        for machine in self.running.values():
            machine.close()
        self.writer.close()
        os.close(self.file)

    def _save(self, **changes: Any) -> None:
        self._write(everything=True)
        seconds = round(time.monotonic() - self.started, 3)
        self.writer.save(ended=session.now(), seconds=seconds, units=self.units, errors=self.errors, **changes)

    def _attend(self, block: int, machine: VirtualMachine, listener: Listener) -> None:
        over = not machine.alive
        for message in machine.messages():
            for kind, value in message.items():
                self._take(block, kind, value, listener)
        if over:
            if self.ended.get(block, EXIT_USAGE) and not self.errors:
                raise BenchError(
                    f"the guest with {self.kernel.release} ended in boot {block + 1}", why=machine.last_words()
                )
            self.running.pop(block).close()
        elif machine.silent:
            raise BenchError(f"the guest with {self.kernel.release} says nothing any more", why=machine.last_words())

    def _take(self, block: int, kind: str, value: Any, listener: Listener) -> None:
        if kind == "row":
            self._row(block, value)
            listener.phase(f"{self.kernel.version}: {self.units} of {self.total * self.asked.boots} units")
        elif kind == "save":
            self._know({key: value[key] for key in KEPT if key in value} if block == 0 else {})
        elif kind == "phase":
            listener.phase(f"{self.kernel.version}, boot {block + 1} of {self.asked.boots}: {value}")
        elif kind == "problem":
            listener.problem(value)
        elif kind == "kernel":
            place = self.writer.provenance["place"]
            place.refused = value.get("refused", {})
            self._know({"host": {**self.writer.provenance["host"], "kernel": value["release"]}})
        elif kind == "null" and block == 0:
            self.writer.provenance["place"].null = value
        elif kind == "clocksource" and value != TSC:
            raise BenchError(
                f"the clock of {self.kernel.release} does not count instructions", why=f"its clocksource is {value}"
            )
        elif kind == "failed":
            raise BenchError(f"nothing measured on {self.kernel.release}", why=value)
        elif kind == "end":
            self.ended[block] = value

    def _know(self, facts: Mapping[str, Any]) -> None:
        if facts:
            self.facts.update(facts)
            self.total = sum(self.facts.get("cells", {}).values())
            self.writer.save(**facts)

    def _row(self, block: int, row: dict[str, Any]) -> None:
        """Keep a row; it is written when all boots before its own have ended, so that files repeat as well."""
        self.units += 1
        self.errors += bool(row["error"])
        numbered = {**row, "sequence": block * UNITS + row["sequence"], "clock": INSTRUCTIONS}
        self.rows.setdefault(block, []).append(numbered)
        self._write(everything=False)

    def _write(self, *, everything: bool) -> None:
        for block in sorted(self.rows):
            if not everything and any(earlier not in self.ended for earlier in range(block)):
                break
            for row in self.rows.pop(block):
                self.writer.append(row)
