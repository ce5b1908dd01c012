"""A run from request to results: checks, a private namespace, volumes, the runner, provenance.

Everything that the run mounts lives in that namespace and on loop devices that clear themselves, so
that nothing is left however it ends. Rows are written as they come; `resume` goes on with them.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
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
from bench.errors import EXIT_USAGE, BenchError, Interrupted
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
from bench.store.writer import RunWriter

if TYPE_CHECKING:
    from bench.store.reader import Run

__all__ = ["execute", "extend", "new_run_id", "resume", "start"]

# A directory that exists everywhere and that nothing of the run lies below serves as mount point in
# the private namespace; outside of it nothing changes.
STAGES = ("/mnt", "/media", "/srv", "/opt", "/home")
# Units that started on a CPU slower than at its best. A median stands up to fewer than half of them, an
# interval widens with each: from a tenth on a reader should know before reading any figure.
DISTURBED_SHARE = 0.10
# What run.json says of one stretch of measuring only.
STRETCH = (
    *("started", "complete", "ended", "seconds", "units", "errors", "warnings"),
    *("conditions", "build_seconds", "volumes", "interrupted", "problem"),
)
LOCK_NAME = "\0layer-bench"  # an abstract socket: it leaves no file and ends with its process
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def new_run_id(request: Request, kind: str = "", now: datetime.datetime | None = None) -> str:
    """Return a name for a run: time, kind (of an ordinary run, its profile) and seed."""
    when = now or datetime.datetime.now(datetime.UTC)
    return f"{when:%Y%m%dT%H%M%SZ}-{kind or request.profile}-s{request.seed}"


def execute(request: Request, session: RunContext, run_id: str | None = None) -> tuple[Path, int]:
    """Run `request`; return (the run's directory, exit status). Raises BenchError before anything is made."""
    return start(make(request), session, run_id or new_run_id(request), Survey(()))


def start(made: Plan, session: RunContext, run_id: str, work: Workload, **facts: Any) -> tuple[Path, int]:
    """Do `work` on the plan `made` as a new run whose provenance has `facts` too; return as `execute`."""
    directory = session.results / run_id
    if (directory / "run.json").exists():
        raise BenchError(f"run {directory.name} exists", fix="wait a second, or give another --results")
    return directory, _run(made, session, directory, work, facts)


def resume(directory: Path, session: RunContext) -> tuple[Path, int]:
    """Go on with a run that was cut short, with its own request; return as `execute`."""
    from bench.store.reader import load

    earlier = load(directory)
    provenance = earlier.provenance
    if provenance.kind:
        why = "pairs are compared within one stretch of time"
        raise BenchError(f"run {directory.name} is no survey and cannot go on", why=why, fix="start a new one")
    if provenance.complete:
        raise BenchError(f"run {directory.name} is complete", fix="start a new one")
    _require_unpacked(earlier)
    try:
        if not provenance.request:
            raise ValueError("it has no request")
        if strange := provenance.request.keys() - {field.name for field in dataclasses.fields(Request)}:
            raise ValueError(f"this version knows no {min(strange)}")
        request = msgspec.convert(provenance.request, Request)
    except ValueError as error:
        raise BenchError(f"{directory / 'run.json'} does not say what was asked for", why=str(error)) from error
    spent = provenance.seconds
    if spent >= request.seconds:
        raise BenchError(f"run {directory.name} has used its {request.seconds:.0f} s", fix="start a new one")
    moved = dataclasses.replace(session, started=session.started - spent)
    return directory, _run(make(request), moved, directory, Survey(_observed(earlier)), {})


def extend(run: Run, made: Plan, session: RunContext, work: Workload, **facts: Any) -> tuple[Path, int]:
    """Do more `work` on the plan `made` for `run`, on new volumes; provenance and return as those of `start`.

    Its rows follow those that the run has. What run.json said of measuring them goes to its list `earlier`.
    """
    _require_unpacked(run)
    stretch = {key: run.whole[key] for key in STRETCH if key in run.whole}
    facts |= {"command": run.provenance.command, "earlier": [*run.provenance.earlier, stretch]}
    moved = dataclasses.replace(session, started=session.started - run.provenance.seconds)
    return run.directory, _run(made, moved, run.directory, work, facts)


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


def _observed(run: Run) -> list[dict[str, Any]]:
    """Return which cell each unit of an earlier part observed."""
    import pandas as pd

    keys = ["sequence", "block", "scenario", "arm", "depth", "temperature"]
    rows = []
    for record in run.units[[*keys, *run.parameters]].to_dict("records"):
        params = {name: record[name] for name in run.parameters if not pd.isna(record[name])}
        rows.append({**{key: record[key] for key in keys}, "params": params})
    return rows


def _run(made: Plan, session: RunContext, directory: Path, task: Workload, facts: Mapping[str, Any]) -> int:
    work = workdir.check(session.workdir)
    with ExitStack() as undo:
        undo.enter_context(_alone())
        for line in _left_out(made):
            _say(line)
        if any(discovery.volume(recipe_name(name)).filesystem for name in made.volumes):
            workdir.require_space(work, made.needed_bytes)
        provenance = _provenance(session, made, directory.name)
        writer = RunWriter(directory, {**provenance, **facts})
        undo.callback(writer.close)
        place = work
        if not all(discovery.volume(recipe_name(name)).filesystem for name in made.volumes):
            place = undo.enter_context(WorkDirectory(work))
        worker = _Worker(made, session, writer, place, task)
        try:
            status = namespaces.run_isolated(worker.main, user_namespace=made.request.rootless)
        except OSError as error:
            told = refused_namespaces(error, user_namespace=made.request.rootless)
            raise BenchError("cannot make a private namespace", why=told.reason, fix=told.fix) from error
    return status


def _left_out(made: Plan) -> list[str]:
    """Return a line for each reason why something is left out that could be added, with what it takes."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for skip in made.skips:
        if skip.fix and not skip.by_choice:
            grouped.setdefault((skip.reason, skip.fix), []).append(skip.what)
    return [f"without {', '.join(whats)}: {reason}; {fix}" for (reason, fix), whats in grouped.items()]


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the host's lock: two runs would disturb each other's times."""
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


def _provenance(session: RunContext, made: Plan, run_id: str) -> dict[str, Any]:
    return {
        "run": run_id,
        "version": __version__,
        "command": list(session.command),
        "request": made.request,
        "started": _now(),
        "host": fingerprint.fingerprint(),
        "skips": made.skips,
        "cells": {name: len(cells) for name, cells in made.cells.items()},
        "warnings": [],
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass
class _Worker:
    """What runs as PID 1 of the private namespaces."""

    plan: Plan
    session: RunContext
    writer: RunWriter
    work: Path
    task: Workload

    def main(self) -> int:
        """Run, and turn whatever ends it into provenance and an exit status."""
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        try:
            with self.session.listener() as listener:
                return self._measure(listener)
        except (Interrupted, BenchError, OSError) as error:
            return self._ended(error)

    def _ended(self, error: BaseException) -> int:
        """Write and say why the run ended early; return the exit status."""
        if (stop := interruption(error)) is not None:
            name = signal.Signals(stop.signum).name
            self._close(interrupted=name)
            onward = f": `python -m bench run --resume {self._run_id}`" if isinstance(self.task, Survey) else ""
            _say(f"stopped by {name}; the samples so far are kept{onward}")
            return 128 + stop.signum
        if isinstance(error, OSError):
            where = f" ({error.filename})" if error.filename else ""
            self._close(problem=str(error))
            _say(f"the run failed: {error.strerror or error}{where}; `python -m bench doctor` tells what works here")
        else:
            self._close(problem=str(error))
            _say(str(error))
        return EXIT_USAGE

    @property
    def _run_id(self) -> str:
        return self.writer.directory.name

    def _save(self, **changes: Any) -> None:
        self.writer.save(ended=_now(), seconds=round(time.monotonic() - self.session.started, 3), **changes)

    def _close(self, **changes: Any) -> None:
        """Write why the run ended early; where that fails too, what is told is the first reason."""
        with suppress(BenchError):
            self._save(complete=False, **changes)

    def _measure(self, listener: Listener) -> int:
        before = fingerprint.conditions()
        stage = self._stage()
        tools, skips = self._tools(stage)
        self.writer.save(skips=[*self.writer.provenance["skips"], *skips])
        shop = Workshop(self.plan, self.session, self.writer, self.work, listener, stage, tools)
        done = self.task(shop)
        after = fingerprint.conditions()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(item.ru_utime + item.ru_stime for item in usage)
        units = shop.runners[-1].sequence
        errors = sum(runner.errors for runner in shop.runners)
        self._save(
            complete=True,
            units=units,
            errors=errors,
            build_seconds=shop.runners[0].build_seconds,
            conditions={"before": before, "after": after},
            warnings=[
                *fingerprint.warnings(before, after, own),
                *_disturbed(shop.runners),
                *_of_volumes(self.writer.provenance.get("volumes", {})),
            ],
            **done,
        )
        if errors:
            _say(f"{errors} of {units} units failed; their rows say why (`error` in samples.jsonl)")
        return EXIT_USAGE if errors else 0

    def _stage(self) -> Path:
        """Mount a tmpfs, private to this namespace, where nothing that the run needs lies below."""
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


def _of_volumes(volumes: Mapping[str, Mapping[str, Any]]) -> list[RunWarning]:
    """Return a warning for what volumes are found to lack that figures or proofs rest on."""
    lacking = {
        "direct_io": "no direct I/O below {}: the work directory's file system refuses it, so that the host's page "
        "cache keeps a copy and cold is not cold",
        "nanoseconds": "times of {} have whole seconds: comparing trees misses an edit of the same size within one",
    }
    found = {key: ", ".join(name for name, facts in volumes.items() if facts.get(key) is False) for key in lacking}
    return [RunWarning(f"no {key}", lacking[key].format(names), names) for key, names in found.items() if names]


def _disturbed(runners: Sequence[Runner]) -> list[RunWarning]:
    share = sum(runner.disturbed for runner in runners) / max(sum(runner.units for runner in runners), 1)
    if share <= DISTURBED_SHARE:
        return []
    waited = f"{PATIENCE / 1e6:.0f} ms"
    text = f"{share:.0%} of the units found no undisturbed CPU within {waited} (bound: {DISTURBED_SHARE:.0%})"
    return [RunWarning("disturbed", text)]


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in SIGNALS:  # the first one stops the run; more would only cut its goodbye short
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
