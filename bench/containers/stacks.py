"""Stacks of layers on volumes of this process, each built once, and their containers."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import discovery
from bench.containers.choice import Choice, UnavailableError
from bench.containers.container import OverlayContainer
from bench.drivers.base import Container, Driver, Stack
from bench.errors import BenchError
from bench.host import workdir
from bench.kernel import mounts, namespaces
from bench.kernel.limits import refused_namespaces
from bench.layers.content import Layer
from bench.layers.given import chain
from bench.measure.arms import parse_driver
from bench.measure.sizing import CONTAINERS, MARGIN, SPARE_BYTES, SPARE_INODES
from bench.measure.support import arm_support, driver_of
from bench.model import Arm, format_size
from bench.volumes.base import LoopVolume, Recipe

__all__ = ["SPACE", "Stacks"]

SPACE = 1 << 30  # bytes of each volume for the data of tests
RESERVE = 1.06  # mke2fs(8), -m: 5 % are reserved for root
INODE_RATIO = 16384  # bytes of that per inode, as mke2fs.conf has it
SEED = 1
THREAD = "/proc/thread-self/ns/mnt"


@dataclass(frozen=True)
class _Built:
    driver: Driver
    stack: Stack
    volume: LoopVolume


class Stacks:
    """Stacks below the directory `place`, each built at first use on a volume of its own.

    Volumes are made in `work`, with `space` bytes for the containers' data. They are visible to one thread and to the
    processes and threads that it starts afterwards.
    """

    def __init__(self, place: Path, work: Path, space: int = SPACE) -> None:
        self.place, self.work, self.space = place, work, space
        self._undo = ExitStack()
        self._built: dict[tuple[object, ...], tuple[Choice, _Built]] = {}
        self._namespace = ""

    def prepare(self, choice: Choice) -> None:
        """Build the stack of `choice` unless it exists.

        Raises UnavailableError if this machine does not support it, BenchError if it cannot be built.
        """
        self._stack(choice)

    @contextmanager
    def container(self, choice: Choice) -> Iterator[OverlayContainer]:
        """Make a container, mount it for the context, and remove it; earlier writes are synced before."""
        built = self._stack(choice)
        driver = built.driver
        container = driver.create_read_write(built.stack, choice.depth)
        with ExitStack() as undo:
            undo.callback(driver.remove, container)
            merged = undo.enter_context(_mount(driver, container))
            built.volume.sync()
            layers = tuple(driver.layer_path(container, index) for index in range(choice.depth))
            yield OverlayContainer(merged, container.upper, choice.depth, choice.driver, choice.volume, layers)

    def close(self) -> None:
        """Unmount everything."""
        self._built.clear()
        self._undo.close()

    def _stack(self, choice: Choice) -> _Built:
        content = choice.content
        content_key = os.path.realpath(content) if isinstance(content, str | os.PathLike) else id(content)
        key = (choice.driver, choice.volume, choice.depth, content_key)
        if self._namespace:
            _require_thread(self._namespace)
        if key not in self._built:
            self._built[key] = (choice, self._build(choice))  # keeps the content alive, so that its id stays unique
        return self._built[key][1]

    def _build(self, choice: Choice) -> _Built:
        recipe = discovery.volume(choice.volume)
        name, options = parse_driver(choice.driver)
        arm = Arm(name, choice.volume, options)
        driver = driver_of(arm)
        driver.launcher = namespaces.TETHER
        _require(choice, arm, driver)
        work = _workable(self.work)
        layers = chain(choice.content, choice.depth)
        size, inodes = self._size(driver, recipe, layers)
        _require_space(work, size, choice)
        if not self._namespace:
            self._isolate()
        with ExitStack() as undo:
            volume = _volume(recipe, self.place / str(len(self._built)), work, size, inodes)
            undo.callback(volume.close)
            support = driver.admits(volume.path)
            if not support.ok:
                raise UnavailableError(f"no {choice.arm} here", why=support.reason, fix=support.fix)
            try:
                stack = driver.build(volume.path / driver.name, layers, (choice.depth,), SEED)
            except OSError as error:
                raise BenchError(
                    f"building {choice.depth} layers for {choice.arm} failed",
                    why=f"{error.strerror} ({error.filename})" if error.filename else error.strerror or str(error),
                ) from error
            self._undo.callback(undo.pop_all().close)
        return _Built(driver, stack, volume)

    def _size(self, driver: Driver, recipe: Recipe, layers: Sequence[Layer]) -> tuple[int, int]:
        """Return bytes and inodes of a volume: the layers, containers that are copies, and the data of tests."""
        footprint = driver.footprint(layers, (len(layers),), recipe)
        copies = CONTAINERS * driver.container_bytes(layers, len(layers))
        entries = footprint.inodes + CONTAINERS * sum(map(len, layers))
        inodes = int(entries * MARGIN) + SPARE_INODES + self.space // INODE_RATIO
        size = (footprint.bytes + copies) * MARGIN + inodes * recipe.inode_bytes + SPARE_BYTES + self.space * RESERVE
        return max(int(size), recipe.minimum_bytes), inodes

    def _isolate(self) -> None:
        """Enter a private mount namespace, with a tmpfs for the volumes' mount points."""
        try:
            namespaces.private_mounts()
            mounts.mount("tmpfs", self.place, "tmpfs", options="mode=0700")
        except OSError as error:
            refusal = refused_namespaces(error, user_namespace=False)
            raise UnavailableError("no private mount namespace here", why=refusal.reason, fix=refusal.fix) from error
        self._undo.callback(mounts.unmount, self.place, detach=True)
        self._namespace = os.readlink(THREAD)


def _require_thread(namespace: str) -> None:
    if os.readlink(THREAD) != namespace:
        raise BenchError(
            "no container in this thread",
            why="the mounts are those of another, which made the first container",
            fix="make all containers in the thread that runs the tests",
        )


def _require_space(work: Path, size: int, choice: Choice) -> None:
    free = shutil.disk_usage(work).free
    if free < size:
        growth = f"the volume of {choice.arm} at depth {choice.depth} may grow to {format_size(size)}"
        raise BenchError(
            f"not enough space in {work}",
            why=f"{growth}, and {format_size(free)} are free",
            fix="give a --workdir on a larger file system, or less --space",
        )


def _require(choice: Choice, arm: Arm, driver: Driver) -> None:
    if driver.daemon:
        why = "a test runner that is killed would leave the engine behind"
        raise BenchError(f"no {choice.arm} in tests", why=why, fix="choose overlay2, which is built alike")
    for subject, support in (
        (f"volume {choice.volume}", discovery.volume(choice.volume).probe()),
        (choice.arm, arm_support(arm)),
    ):
        if not support.ok:
            raise UnavailableError(f"no {subject} here", why=support.reason, fix=support.fix)


def _workable(path: Path) -> Path:
    try:
        return workdir.check(path)
    except BenchError as error:
        raise UnavailableError(error.what, why=error.why, fix=error.fix) from None


def _volume(recipe: Recipe, path: Path, work: Path, size: int, inodes: int) -> LoopVolume:
    """Make a volume; raise UnavailableError if a container or a security module forbids it."""
    forbidden = (PermissionError, FileNotFoundError)
    try:
        volume = recipe.make(path, work, size=size, inodes=inodes)
    except forbidden as error:
        raise UnavailableError(f"no volume {recipe.name} here", why=error.strerror or str(error)) from error
    except BenchError as error:
        if isinstance(error.__cause__, forbidden):
            raise UnavailableError(error.what, why=error.why, fix=error.fix) from error
        raise
    assert isinstance(volume, LoopVolume)
    return volume


@contextmanager
def _mount(driver: Driver, container: Container) -> Iterator[Path]:
    """Mount by the driver; at the end unmount even if a test left a file open, with a warning."""
    mounting = driver.mount(container)
    merged = mounting.__enter__()
    try:
        yield merged
    finally:
        try:
            mounting.__exit__(None, None, None)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            with suppress(OSError):
                mounts.unmount(merged, detach=True)
            merged.rmdir()
            text = f"{merged} was unmounted although a file in it is open, or a process works there"
            warnings.warn(text, RuntimeWarning, stacklevel=1)
