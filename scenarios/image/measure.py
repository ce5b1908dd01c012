"""What the layers of a user's image cost: the image as it was built against the same in fewer layers.

It has cells only where an image was given (bench.image.registry, command `image`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns

from bench.image.registry import Subject, subject
from bench.kernel.container import Ended, prepare
from bench.layers.content import BLOCK, File, Layer, pieces
from bench.scenario.clock import NULL, accesses, each
from bench.scenario.contract import Grid, Params, ProofError, Scenario, Unit
from bench.scenario.temperature import read_in
from scenarios.image.reading import READING

CYCLES = 5  # mounts of one container
CHUNK = 1 << 20
COMMAND_BYTES = 256 << 20  # that a command may write


def grids(profile: str) -> Iterable[Grid]:
    """No cells but those of the command `image`."""
    return ()


def layer(index: int, params: Params) -> Layer:
    """The image's own."""
    return subject(str(params["image"])).layers(str(params["layering"]))[index]


def _subject(unit: Unit) -> Subject:
    return subject(str(unit.params["image"]))


def touch(unit: Unit) -> None:
    """Look up what will be looked up and read what will be written, in another container, so that it is in memory."""
    known = _subject(unit)
    operation = unit.params["operation"]
    if operation == "lookup":
        accesses([os.fsencode(path) for path in known.lookups], unit.merged)
    elif operation == "list":
        for path in known.listings:
            os.listdir(unit.merged / path)
    elif operation == "write":
        for path in known.writes:
            read_in(unit.merged / path)
    elif operation == "start":
        for step in known.steps:
            _step(unit, step.path, "read" if step.action == "write" else step.action)
    elif operation == "run":
        _execute(unit, known, lambda: None)


def operate(unit: Unit) -> Iterator[None]:
    """Time the unit's operation."""
    yield from OPERATIONS[str(unit.params["operation"])](unit, _subject(unit))


def _mount(unit: Unit, known: Subject) -> Iterator[None]:
    """Mount and unmount another container of the image, after one untimed cycle."""
    container = unit.driver.create_read_write(unit.container.stack, unit.depth)
    try:
        with unit.driver.cycle(container) as cycle:
            cycle()
            unit.settle()
            unit.record("mount", each(lambda _: cycle(), range(CYCLES)))
    finally:
        unit.driver.remove(container)
    yield


def _lookup(unit: Unit, known: Subject) -> Iterator[None]:
    """Look up each path once; the unit's observation is the mean, because paths differ in their layers."""
    paths = [os.fsencode(path) for path in known.lookups]
    unit.settle()
    yield
    times: list[int] = []
    for part in unit.parts(paths):
        times += accesses(part, unit.merged)
        yield
    _mean(unit, "lookup", times)


def _list(unit: Unit, known: Subject) -> Iterator[None]:
    """List each directory once; the first listing merges the layers."""
    unit.settle()
    yield
    times: list[int] = []
    for path in known.listings:
        times += each(os.listdir, [unit.merged / path])
        yield
    _mean(unit, "list", times)


def _write(unit: Unit, known: Subject) -> Iterator[None]:
    """Open each file for writing and write its first page back: the copy_up of a file that stays as it was."""
    first = [_first_page(known.files[path]) for path in known.writes]
    unit.settle()
    yield
    times: list[int] = []
    for path, page in zip(known.writes, first, strict=True):
        times.append(_write_back(unit, path, page))
        yield
    _mean(unit, "write", times)


def _write_back(unit: Unit, path: str, page: bytes) -> int:
    place = os.fsencode(unit.merged / path)
    start = perf_counter_ns()
    descriptor = os.open(place, os.O_WRONLY)
    os.pwrite(descriptor, page, 0)
    taken = perf_counter_ns() - start - NULL.clock
    os.close(descriptor)
    return taken


def _first_page(file: File) -> bytes:
    return next(pieces(file, 0), b"")[:BLOCK]


def _start(unit: Unit, known: Subject) -> Iterator[None]:
    """Go through the list's paths in order, at once."""
    unit.settle()
    yield
    start = perf_counter_ns()
    for step in known.steps:
        _step(unit, step.path, step.action)
    unit.record("start", [perf_counter_ns() - start - NULL.clock])
    yield


def _step(unit: Unit, path: str, action: str) -> None:
    place = os.fsencode(unit.merged / path)
    if action == "lookup":
        os.access(place, os.F_OK)
        return
    descriptor = os.open(place, os.O_RDWR if action == "write" else os.O_RDONLY)
    try:
        content = os.read(descriptor, BLOCK if action == "write" else CHUNK)
        if action == "write":
            os.pwrite(descriptor, content, 0)
        else:
            while os.read(descriptor, CHUNK):
                pass
    finally:
        os.close(descriptor)


def _mean(unit: Unit, metric: str, times: list[int]) -> None:
    unit.metrics[metric] = sum(times) / len(times)
    unit.operations[metric] = len(times)


def _run(unit: Unit, known: Subject) -> Iterator[None]:
    """Execute the command in a container whose root this is; the container is made before."""
    unit.notes["ended"] = _execute(unit, known, unit.settle)
    unit.record("run", [unit.notes["ended"].nanoseconds])
    yield


def _execute(unit: Unit, known: Subject, settle: Callable[[], None]) -> Ended:
    config = known.image.config
    given = [str(text).partition("=") for text in config.get("Env") or ()]
    prepared = prepare(
        unit.merged,
        known.command,
        environment={key: value for key, _, value in given},
        directory=str(config.get("WorkingDir") or "/"),
        user=str(config.get("User") or ""),
    )
    try:
        settle()
        return prepared.run(known.seconds)
    finally:
        prepared.close()


OPERATIONS = {"mount": _mount, "lookup": _lookup, "list": _list, "write": _write, "start": _start, "run": _run}


def prove(unit: Unit) -> None:
    """What was looked up is there, and what was written has its content, in the container's own layer."""
    known = _subject(unit)
    operation = unit.params["operation"]
    if operation == "lookup":
        there = all(os.path.lexists(unit.merged / path) for path in known.lookups)
        unit.require_proof(there, "every path that was looked up is there")
    elif operation == "list":
        shown = all(os.path.isdir(unit.merged / path) for path in known.listings)
        unit.require_proof(shown, "every path that was listed is a directory")
    elif operation == "write":
        for path in known.writes:
            with open(unit.merged / path, "rb", buffering=0) as file:
                same = file.read(BLOCK) == _first_page(known.files[path])
            unit.require_proof(same, "what was written back is the image's content")
            if unit.container.upper is not None:
                unit.require_proof((unit.container.upper / path).exists(), "upper holds the file after")
    elif operation == "run":
        ended = unit.notes["ended"]
        if ended.status:
            raise ProofError(f"the command ended with status {ended.status}: {' '.join(ended.head.split())}")
        expected = known.outputs.setdefault("run", ended.digest)
        unit.require_proof(ended.digest == expected, "the command wrote what it wrote the first time")
    unit.require_proof(bool(os.listdir(unit.merged)), "the image's files are seen")


def working_bytes(params: Params) -> int:
    """A copy of every file that is written."""
    known = subject(str(params["image"]))
    if params["operation"] == "write":
        return sum(known.files[path].size for path in known.writes)
    if params["operation"] == "start":
        return sum(known.files[step.path].size for step in known.steps if step.action == "write")
    return COMMAND_BYTES if params["operation"] == "run" else 0


SCENARIO = Scenario(
    reading=READING,
    weight=0.1,
    grids=grids,
    content=("image", "layering"),
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    working_bytes=working_bytes,
    gated=False,
    command="image",
    foreign=True,
)
