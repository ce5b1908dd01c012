"""Drivers whose stacks an engine builds instead of this suite: same layers, same operations, same proofs.

`engine_driver` makes the driver `docker/overlay2` of the engine Docker and the driver Overlay2: copy_up and whiteouts
are described by the latter; layers and containers are made by the engine. An image has one file in addition to its
layers: the program that runs in it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Any, ClassVar

from bench.drivers.base import Container, Driver, Footprint, Stack
from bench.engines.base import BUSYBOX, Engine, Storage
from bench.engines.images import PROGRAM, image_name, save
from bench.host.packages import find_program
from bench.kernel import guest, mounts
from bench.layers.changes import Change
from bench.layers.content import BLOCK, Copy, Layer, data_bytes
from bench.model import Support
from bench.volumes.base import Recipe

__all__ = ["EngineContainer", "EngineDriver", "EngineStack", "engine_driver", "with_program"]

ENGINE_BYTES = 96 << 20  # of an engine's databases and temporary files
ENGINE_INODES = 2000
CONTAINER_BYTES = 1 << 20  # of a container's configuration, logs and init layer


@dataclass(frozen=True)
class EngineStack(Stack):
    """Images loaded into an engine; `ids` are their layers' directories.

    `by_hand` has the same layers, built by this suite on the same volume. `loading` and `building` are the nanoseconds
    for loading the archive into the engine and for building `by_hand`. `controls` are further stacks by hand, see
    `EngineDriver.control`.
    """

    engine: Engine | None = None
    by_hand: Stack | None = None
    loading: int = 0
    building: int = 0
    controls: list[Stack] = field(default_factory=list)


@dataclass
class EngineContainer(Container):
    """A container of an engine; `upper` and `path` are set while it runs."""

    identity: str = ""


class EngineDriver(Driver):
    """What differs from the counterpart by hand, which is the next class in the method resolution order."""

    engine: ClassVar[type[Engine]]
    storage: ClassVar[str]  # the engine's name of its storage driver
    leaves: ClassVar[str]  # what the engine leaves behind when it is killed
    programs: ClassVar[tuple[str, ...]]  # that it needs, with the one that runs in its containers
    counterpart: ClassVar[type[Driver]]  # the driver whose stack is built by hand
    cumulative: ClassVar[bool]  # a layer's directory also holds the files of all layers below
    daemon = costly = True
    profile = "standard"
    options: ClassVar = {}

    @property
    def by_hand(self) -> Driver:
        """The driver of `EngineStack.by_hand`."""
        return self.counterpart()

    def admits(self, path: Path) -> Support:
        """Tell whether the counterpart works there."""
        return self.by_hand.admits(path)

    def probe(self, volume: Recipe) -> Support:
        """Tell whether the engine is installed and its driver works on the volume."""
        if self.rootless:
            return Support.no("a private engine needs root", "run as root")
        if self.leaves and guest.block() is None:
            return Support.no(
                f"an engine that is killed leaves {self.leaves}", "measure it in a guest (`run --kernel 6.1`)"
            )
        support = self.engine.probe()
        return super().probe(volume) if support.ok else support

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> EngineStack:
        """Start the engine on `home`, load an archive of the images into it, and build the same images by hand."""
        home.mkdir()
        distinct = tuple(sorted({*depths}))
        complete = with_program(layers)
        engine = self.engine(home, self.storage)
        archive = home / "images.tar"
        try:
            engine.start()
            diff_ids = save(complete, distinct, seed, archive)
            mounts.sync(home)  # so that neither measurement includes earlier writes
            start = perf_counter_ns()
            engine.load(archive)
            loading = perf_counter_ns() - start
            ids = [str(path) for path in engine.layers(diff_ids[: distinct[-1]])]
            archive.unlink()
            mounts.sync(home)
            start = perf_counter_ns()
            by_hand = self.by_hand.build(home / "by-hand", complete, distinct, seed)
            building = perf_counter_ns() - start
        except BaseException:
            engine.stop()
            raise
        return EngineStack(home, layers, seed, ids, distinct, engine, by_hand, loading, building)

    def control(self, stack: EngineStack) -> Stack:
        """Return a second stack by hand, built on first use, because two stacks of the same builder differ too.

        The placement of a stack's files on the device and in memory is random and shared by all of its containers.
        Only a second stack by hand shows how much of a difference between engine and `by_hand` this can explain.
        """
        assert stack.by_hand is not None
        if not stack.controls:
            stack.controls.append(
                self.by_hand.build(stack.home / "control", stack.by_hand.layers, stack.depths, stack.seed)
            )
            mounts.sync(stack.home)
        return stack.controls[0]

    def close(self, stack: Stack) -> None:
        """Stop the engine."""
        _engine(stack).stop()

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Create a container by the engine."""
        identity = _engine(stack).create(image_name(depth))
        return EngineContainer(stack, depth, stack.home, None, identity=identity)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Start it by the engine; its process sleeps."""
        assert isinstance(container, EngineContainer)
        engine = _engine(container.stack)
        paths = engine.run(container.identity)
        try:
            container.path, container.upper = paths.path, paths.upper
            container.how["mount"] = f"{engine.name} {engine.known_version}"
            container.how["options"] = mounts.mount_entry(paths.merged).summary
            yield paths.merged
        finally:
            engine.halt(container.identity)

    def remove(self, container: Container) -> None:
        """Remove it by the engine."""
        assert isinstance(container, EngineContainer)
        _engine(container.stack).remove(container.identity)

    def commit(self, container: Container, target: Path) -> None:
        """Write a running container's changes to `target` as a layer, made by the engine."""
        assert isinstance(container, EngineContainer)
        _engine(container.stack).commit(container.identity, target)

    def layer_path(self, container: Container, layer: int) -> Path:
        """The engine's directory of the layer."""
        return self.shown(Path(container.stack.ids[container.depth - 1 if self.cumulative else layer]))

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """The engine's stack, two by hand, the archive, temporary copies, and the engine's own files."""
        layers = with_program(layers)
        archive = sum(data_bytes(layer) + BLOCK * len(layer) for layer in layers)
        stack = super().footprint(layers, depths, volume)  # type: ignore[safe-super]
        return stack + stack + stack + Footprint(ENGINE_INODES, 2 * archive + ENGINE_BYTES)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """The container's layer and its configuration."""
        return super().container_bytes(with_program(layers), depth) + CONTAINER_BYTES

    def changes(self, container: Container) -> Iterator[Change] | None:
        """None: the engine compares; its init layer is among the changes."""
        return None


def _engine(stack: Stack) -> Engine:
    assert isinstance(stack, EngineStack)
    assert stack.engine is not None
    return stack.engine


def with_program(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers with the container's program added at the end of the bottom one."""
    return ((*layers[0], _program()), *layers[1:])


@functools.cache
def _program() -> Copy:
    path = Path(find_program(BUSYBOX) or BUSYBOX)
    return Copy(PROGRAM, path.stat().st_size if path.exists() else 0, mode=0o755, source=path)


def engine_driver(engine: type[Engine], storage: Storage, counterpart: type[Driver]) -> type[EngineDriver]:
    """Return the driver `engine/storage`, whose stack is compared with one of `counterpart` by hand."""
    facts: dict[str, Any] = {
        "name": f"{engine.name}/{storage.name}",
        "title": f"{storage.name}, by {engine.name} itself",
        "order": engine.order + counterpart.order,
        "usual_volumes": storage.volumes,
        "engine": engine,
        "storage": storage.name,
        "counterpart": counterpart,
        "cumulative": storage.cumulative,
        "max_depth": engine.most_layers or counterpart.max_depth,
        "packages": (),
        "leaves": storage.leaves,
        "programs": (*engine.programs, *storage.programs, BUSYBOX),
        "__doc__": f"Stacks of {engine.name}'s {storage.name}.",
    }
    name = f"{engine.name}_{storage.name}".title().replace("-", "").replace("_", "")
    return type(name, (EngineDriver, counterpart), facts)
