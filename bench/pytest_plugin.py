"""pytest fixtures: fresh containers on real layers, to time tools on (docs/pytest.md).

pytest loads this in every session of an environment with the suite, so nothing is imported, checked or created
until a test or an option requests a container.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.containers import requested
from bench.containers.requested import AXES, DEFAULTS, MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.containers.container import Containers, OverlayContainer
    from bench.containers.stacks import Stacks
    from bench.layers.given import Content

LINUX = sys.platform == "linux"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; each value of a repeated option makes a test of its own."""
    group = parser.getgroup("layers", "containers on real layers (fixtures of layer-bench)")
    suffix = "; several times: a test of each. [default: {}]"
    for axis, metavar, description in (
        ("driver", "DRIVER[,OPTION=VALUE]", "Storage driver, as `python -m bench list` has them"),
        ("volume", "VOLUME", "File system: ext4, xfs, xfs-noreflink"),
        ("depth", "N", "Layers of the image"),
    ):
        kind = {"type": _depth} if axis == "depth" else {}
        text = description + suffix.format(DEFAULTS[axis])
        group.addoption(f"--layer-{axis}", action="append", metavar=metavar, help=text, **kind)
    group.addoption("--layer-space", type=_size, metavar="SIZE", help="Room for what tests write. [default: 1GiB]")
    text = "Where volumes are made: on a disk, not on overlay or tmpfs. [default: $BENCH_WORKDIR or /var/tmp]"
    group.addoption("--layer-workdir", metavar="DIR", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; reject invalid options."""
    line = f"{MARK}(driver, volume, depth, content): the containers of a test; a list of values makes a test of each."
    config.addinivalue_line("markers", line)
    if not LINUX:
        return
    if any(config.getoption(f"layer_{axis}") for axis in AXES):
        with _usage():
            requested.check(requested.options(config, axis) for axis in AXES)
    if (directory := config.getoption("layer_workdir")) is not None:
        from bench.host import workdir

        with _usage():
            workdir.check(Path(directory))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a test by each axis with several values."""
    for axis in AXES:
        name = f"layer_{axis}"
        if name in metafunc.fixturenames and name not in requested.parametrised(metafunc.definition):
            values = requested.axis_values(metafunc.definition, axis)
            if len(values) > 1:
                metafunc.parametrize(name, values, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reject invalid markers and parameters before any test runs."""
    # In a worker of pytest-xdist an error here counts as a crash, so each test reports it itself.
    if not LINUX or hasattr(config, "workerinput"):
        return
    for item in items:
        if "overlay_containers" in getattr(item, "fixturenames", ()):
            with _usage(item.nodeid):
                requested.check_item(item)


@pytest.fixture
def layer_driver(request: pytest.FixtureRequest) -> str:
    """The storage driver of this test's containers, with its options: `overlay2,metacopy=on`."""
    return str(_first(request, "driver"))


@pytest.fixture
def layer_volume(request: pytest.FixtureRequest) -> str:
    """The file system below this test's containers."""
    return str(_first(request, "volume"))


@pytest.fixture
def layer_depth(request: pytest.FixtureRequest) -> int:
    """How many layers this test's image has."""
    depth: int = _first(request, "depth")
    return depth


@pytest.fixture
def layer_content(request: pytest.FixtureRequest) -> Content:
    """What the layers hold: a function of the layer's index, a directory, or None for files in `data`."""
    content: Content = request.param if hasattr(request, "param") else requested.marker(request.node).get("content")
    return content


@pytest.fixture(scope="session")
def _layer_stacks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    if not LINUX:
        pytest.skip("containers on layers need Linux")
    from bench.containers.stacks import SPACE, Stacks
    from bench.host import workdir

    config = request.config
    work = Path(config.getoption("layer_workdir") or workdir.default())
    space = config.getoption("layer_space")
    stacks = Stacks(tmp_path_factory.mktemp("layers"), work, SPACE if space is None else space)
    yield stacks
    stacks.close()


@pytest.fixture
def overlay_containers(
    request: pytest.FixtureRequest,
    _layer_stacks: Stacks,
    layer_driver: str,
    layer_volume: str,
    layer_depth: int,
    layer_content: Content,
) -> Iterator[Containers]:
    """Make a fresh container per call, because a file's copy_up happens only once in each.

    `remove(container)` before the test's end, as `teardown` of `benchmark.pedantic`, keeps many from piling up.
    """
    from bench.containers.choice import Choice
    from bench.containers.container import Containers

    if isinstance(layer_content, str | Path):
        layer_content = request.config.rootpath / layer_content
    choice = Choice(layer_driver, layer_volume, layer_depth, layer_content)
    with _skip_or_fail():
        requested.check_item(request.node)
        choice.check()
        _layer_stacks.prepare(choice)
    _inform(request, arm=choice.arm, depth=choice.depth)
    containers = Containers(lambda: _layer_stacks.container(choice))
    yield containers
    containers.close()


@pytest.fixture
def overlay_container(overlay_containers: Containers) -> OverlayContainer:
    """A fresh container on an image of layers; `.merged` is its root."""
    with _skip_or_fail():
        return overlay_containers()


def _first(request: pytest.FixtureRequest, axis: str) -> Any:
    return request.param if hasattr(request, "param") else requested.axis_values(request.node, axis)[0]


def _inform(request: pytest.FixtureRequest, **facts: str | int) -> None:
    """Add facts to the extra_info of a test's pytest-benchmark, for its files and tables."""
    if "benchmark" in request.fixturenames:
        extra_info = getattr(request.getfixturevalue("benchmark"), "extra_info", None)
        if isinstance(extra_info, dict):
            extra_info.update(facts)


def _depth(text: str) -> int:
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of layers")
    return int(text)


def _size(text: str) -> int:
    from bench.errors import BenchError
    from bench.model import parse_size

    try:
        return parse_size(text)
    except BenchError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _message(error: Exception) -> str:
    """Return an error's text with the plugin's names of options."""
    return re.sub(r"--(workdir|space)\b", r"--layer-\1", str(error))


@contextmanager
def _usage(test: str = "") -> Iterator[None]:
    from bench.errors import BenchError

    try:
        yield
    except BenchError as error:
        raise pytest.UsageError(f"{test}: {_message(error)}" if test else _message(error)) from None


@contextmanager
def _skip_or_fail() -> Iterator[None]:
    """Skip the test if the machine does not support it; fail it with one line for other errors."""
    from bench.containers.choice import UnavailableError
    from bench.errors import BenchError

    try:
        yield
    except UnavailableError as error:
        raise pytest.skip.Exception(_message(error)) from None
    except BenchError as error:
        raise pytest.fail.Exception(_message(error), pytrace=False) from None
