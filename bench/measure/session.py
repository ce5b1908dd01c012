"""A run from request to results: checks, private namespace, volumes, runner, provenance.

All mounts of the run are in that namespace and on loop devices with autoclear, so nothing is left
however it ends. Rows are written one by one; `resume` continues them.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import itertools
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from bench import __version__, discovery
from bench.errors import EXIT_USAGE, BenchError, Interrupted, as_called
from bench.host import fingerprint, workdir
from bench.host.leftovers import WorkDirectory
from bench.kernel import mounts, namespaces
from bench.kernel.limits import refused_namespaces
from bench.measure.arms import recipe_name
from bench.measure.pace import PATIENCE
from bench.measure.plan import Plan
from bench.measure.planning import make
from bench.measure.request import Request
from bench.measure.runner import Listener, Runner, interruption
from bench.measure.workshop import RunContext, Survey, Workload, Workshop
from bench.model import RunWarning, Skip
from bench.scenario import reference
from bench.store.writer import Writer

if TYPE_CHECKING:
    from bench.store.reader import Run

__all__ = ["execute", "extend", "host_lock", "new_run_id", "now", "provenance", "resume", "start"]

# The mount point in the private namespace is one of these standard directories, which must not contain
# anything that the run uses; nothing changes outside the namespace.
STAGES = ("/mnt", "/media", "/srv", "/opt", "/home")
# Share of units that started on a CPU slower than its best, above which the run has a warning. A median tolerates
# less than half of them, but an interval widens with each.
DISTURBED_SHARE = 0.10
# Keys of run.json that describe a single stretch of measuring.
STRETCH = (
    *("started", "complete", "ended", "seconds", "units", "errors", "warnings"),
    *("conditions", "build_seconds", "volumes", "interrupted", "problem"),
)
LOCK_NAME = "\0layer-bench"  # an abstract socket: it has no file and disappears with its process
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def new_run_id(results: Path, request: Request, kind: str = "", when: datetime.datetime | None = None) -> str:
    """Return the name of a new run: time, kind (for an ordinary run the profile), seed, and a number if it is taken."""
    timestamp = when or datetime.datetime.now(datetime.UTC)
    name = f"{timestamp:%Y%m%dT%H%M%SZ}-{kind or request.profile}-s{request.seed}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in names if not (results / each / "run.json").exists())


def execute(request: Request, session: RunContext) -> tuple[Path, int]:
    """Run `request`; return the run's directory and exit status. Raises BenchError before anything is created."""
    return start(make(request), session, new_run_id(session.results, request), Survey(()))


def start(plan: Plan, session: RunContext, run_id: str, work: Workload, **facts: Any) -> tuple[Path, int]:
    """Do `work` on a plan as a new run, with `facts` added to its provenance; return as `execute`."""
    directory = session.results / run_id
    return directory, _run(plan, session, directory, work, facts)


def resume(directory: Path, session: RunContext) -> tuple[Path, int]:
    """Continue an incomplete run with its own request; return as `execute`."""
    from bench.store.reader import load

    earlier = load(directory)
    record = earlier.provenance
    if record.kind:
        why = "pairs are compared within one stretch of time"
        raise BenchError(f"run {directory.name} is no survey and cannot go on", why=why, fix="start a new one")
    if record.complete:
        raise BenchError(f"run {directory.name} is complete", fix="start a new one")
    _require_unpacked(earlier)
    try:
        if not record.request:
            raise ValueError("it has no request")
        if unknown := record.request.keys() - {field.name for field in dataclasses.fields(Request)}:
            raise ValueError(f"this version knows no {min(unknown)}")
        request = msgspec.convert(record.request, Request)
    except ValueError as error:
        raise BenchError(f"{directory / 'run.json'} does not say what was asked for", why=str(error)) from error
    used = record.seconds
    if used >= request.seconds:
        raise BenchError(f"run {directory.name} has used its {request.seconds:.0f} s", fix="start a new one")
    continued = dataclasses.replace(session, started=session.started - used)
    return directory, _run(make(request), continued, directory, Survey(_observed_cells(earlier)), {})


def extend(run: Run, plan: Plan, session: RunContext, work: Workload, **facts: Any) -> tuple[Path, int]:
    """Do more `work` on a plan for `run`, on new volumes; provenance and return value are as of `start`.

    New rows are appended. The entries of run.json about the previous stretch move to its list `earlier`.
    """
    _require_unpacked(run)
    stretch = {key: run.whole[key] for key in STRETCH if key in run.whole}
    facts |= {"command": run.provenance.command, "earlier": [*run.provenance.earlier, stretch]}
    continued = dataclasses.replace(session, started=session.started - run.provenance.seconds)
    return run.directory, _run(plan, continued, run.directory, work, facts)


def _require_unpacked(run: Run) -> None:
    from bench.store.rows import PACKED, PAIRS

    if run.samples.name == PAIRS:
        raise BenchError(
            f"run {run.id} has its pairs only",
            why="its rows are kept elsewhere",
            fix="put samples.jsonl beside run.json",
        )
    if run.samples.suffix == PACKED:
        raise BenchError(f"run {run.id} is packed", fix=f"`unxz {run.samples}`")


def _observed_cells(run: Run) -> list[dict[str, Any]]:
    """Return the cell of each unit of an earlier part of the run."""
    import pandas as pd

    keys = ["sequence", "block", "scenario", "arm", "depth", "temperature"]
    rows = []
    for record in run.units[[*keys, *run.parameters]].to_dict("records"):
        params = {name: record[name] for name in run.parameters if not pd.isna(record[name])}
        rows.append({**{key: record[key] for key in keys}, "params": params})
    return rows


def _run(plan: Plan, session: RunContext, directory: Path, workload: Workload, facts: Mapping[str, Any]) -> int:
    work = workdir.check(session.workdir)
    with ExitStack() as undo:
        undo.enter_context(host_lock())
        for line in _left_out(plan):
            _print(line)
        if any(discovery.volume(recipe_name(name)).filesystem for name in plan.volumes):
            workdir.require_space(work, plan.needed_bytes)
        known = {"skips": plan.skips, "cells": {name: len(cells) for name, cells in plan.cells.items()}}
        described = provenance(session, plan.request, directory.name)
        writer = session.writer(directory, {**described, **known, **facts})
        undo.callback(writer.close)
        if not all(discovery.volume(recipe_name(name)).filesystem for name in plan.volumes):
            work = undo.enter_context(WorkDirectory(work))
        worker = _Worker(plan, session, writer, work, workload)
        try:
            status = namespaces.run_isolated(worker.main, user_namespace=plan.request.rootless)
        except OSError as error:
            refusal = refused_namespaces(error, user_namespace=plan.request.rootless)
            raise BenchError("cannot make a private namespace", why=refusal.reason, fix=refusal.fix) from error
    return status


def _left_out(plan: Plan) -> list[str]:
    """Return a line for each reason with a fix why something is left out, except by choice."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for skip in plan.skips:
        if skip.fix and not skip.by_choice:
            grouped.setdefault((skip.reason, skip.fix), []).append(skip.what)
    return [f"without {', '.join(names)}: {reason}; {fix}" for (reason, fix), names in grouped.items()]


@contextmanager
def host_lock() -> Iterator[None]:
    """Hold the host's lock, because a run beside another one would disturb its times."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(LOCK_NAME)
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise BenchError(
            "another run is measuring on this machine",
            why="two at a time would disturb each other",
            fix="wait for it to end",
        ) from None
    with lock:
        yield


def provenance(session: RunContext, request: Request, run_id: str) -> dict[str, Any]:
    """Return what run.json says of a run before anything is planned or measured."""
    return {
        "run": run_id,
        "version": __version__,
        "command": list(session.command),
        "request": request,
        "started": now(),
        "host": fingerprint.fingerprint(),
        "warnings": [],
    }


def now() -> str:
    """Return the time of day as run.json has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass
class _Worker:
    """PID 1 of the private namespaces."""

    plan: Plan
    session: RunContext
    writer: Writer
    work: Path
    workload: Workload

    def main(self) -> int:
        """Run; record an early end in the provenance; return the exit status."""
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        try:
            with self.session.listener() as listener:
                return self._measure(listener)
        except (Interrupted, BenchError, OSError) as error:
            return self._end_early(error)

    def _end_early(self, error: BaseException) -> int:
        """Record and print why the run ended early; return the exit status."""
        if (stop := interruption(error)) is not None:
            name = signal.Signals(stop.signum).name
            self._close(interrupted=name)
            hint = f": `python -m bench run --resume {self._run_id}`" if isinstance(self.workload, Survey) else ""
            _print(f"stopped by {name}; the samples so far are kept{hint}")
            return 128 + stop.signum
        if isinstance(error, OSError):
            path = f" ({error.filename})" if error.filename else ""
            self._close(problem=str(error))
            _print(f"the run failed: {error.strerror or error}{path}; `python -m bench doctor` tells what works here")
        else:
            self._close(problem=str(error))
            _print(str(error))
        return EXIT_USAGE

    @property
    def _run_id(self) -> str:
        return self.writer.directory.name

    def _save(self, **changes: Any) -> None:
        self.writer.save(ended=now(), seconds=round(time.monotonic() - self.session.started, 3), **changes)

    def _close(self, **changes: Any) -> None:
        """Record why the run ended early; a failure to do so is ignored in favour of the first error."""
        with suppress(BenchError):
            self._save(complete=False, **changes)

    def _measure(self, listener: Listener) -> int:
        before = fingerprint.conditions()
        stage = self._stage()
        tools, skips = self._tools(stage)
        self.writer.save(skips=[*self.writer.provenance["skips"], *skips])
        shop = Workshop(self.plan, self.session, self.writer, self.work, listener, stage, tools)
        facts = self.workload(shop)
        after = fingerprint.conditions()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu_seconds = sum(resources.ru_utime + resources.ru_stime for resources in usage)
        units = shop.runners[-1].sequence
        errors = sum(runner.errors for runner in shop.runners)
        self._save(
            complete=True,
            units=units,
            errors=errors,
            build_seconds=shop.runners[0].build_seconds,
            conditions={"before": before, "after": after},
            warnings=[
                *fingerprint.warnings(before, after, cpu_seconds),
                *_disturbed_warnings(shop.runners),
                *_volume_warnings(self.writer.provenance.get("volumes", {})),
            ],
            **facts,
        )
        if errors:
            _print(f"{errors} of {units} units failed; their rows say why (`error` in samples.jsonl)")
        return EXIT_USAGE if errors else 0

    def _stage(self) -> Path:
        """Mount a tmpfs in this namespace on a directory that contains nothing the run needs."""
        paths = [self.work, self.writer.directory.resolve(), Path.cwd(), Path(sys.prefix), Path(__file__).resolve()]
        for name in STAGES:
            stage = Path(name)
            if stage.is_dir() and not any(path.is_relative_to(stage) for path in paths):
                mounts.mount("tmpfs", stage, "tmpfs", options="mode=0700")
                return stage
        raise BenchError("no directory to mount on", why=f"none of {', '.join(STAGES)} is free", fix="mkdir /srv")

    def _tools(self, stage: Path) -> tuple[dict[str, str], list[Skip]]:
        program, support = reference.compile_reference(stage)
        if support.ok:
            return {reference.NAME: program}, []
        skip = Skip("harness: comparison with C", support.reason, support.fix, scenario="harness")
        for name, cells in list(self.plan.cells.items()):
            self.plan.cells[name] = [cell for cell in cells if cell.values.get("clock") != "c"]
        return {}, [skip]


def _volume_warnings(volumes: Mapping[str, Mapping[str, Any]]) -> list[RunWarning]:
    """Return a warning for each missing property of volumes that figures or proofs depend on."""
    lacking = {
        "direct_io": "no direct I/O below {}: the work directory's file system refuses it, so that the host's page "
        "cache keeps a copy and cold is not cold",
        "nanoseconds": "times of {} have whole seconds: comparing trees misses an edit of the same size within one",
    }
    affected = {key: ", ".join(name for name, facts in volumes.items() if facts.get(key) is False) for key in lacking}
    return [RunWarning(f"no {key}", lacking[key].format(names), names) for key, names in affected.items() if names]


def _disturbed_warnings(runners: Sequence[Runner]) -> list[RunWarning]:
    share = sum(runner.disturbed for runner in runners) / max(sum(runner.units for runner in runners), 1)
    if share <= DISTURBED_SHARE:
        return []
    waiting = f"though each may wait for {PATIENCE / 1e6:.0f} ms in the mean"
    text = f"{share:.0%} of the units found no undisturbed CPU (bound: {DISTURBED_SHARE:.0%}), {waiting}"
    return [RunWarning("disturbed", text)]


def _interrupt(number: int, frame: FrameType | None) -> None:
    for caught in SIGNALS:  # the first signal stops the run; further ones would only interrupt the shutdown
        signal.signal(caught, signal.SIG_IGN)
    raise Interrupted(number)


def _print(text: str) -> None:
    print(f"bench: {as_called(text)}", file=sys.stderr, flush=True)
