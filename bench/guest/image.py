"""The initramfs of a guest: this Python, the suite, the programs that a request needs, and the kernel's modules."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import msgspec

from bench import discovery
from bench.drivers.engine import EngineDriver
from bench.engines.base import OWN_PATHS, Engine
from bench.errors import BenchError
from bench.guest.compiled import compile_all
from bench.guest.cpio import Archive
from bench.guest.inside import ORDER, SUITE, Order
from bench.guest.kernels import Kernel
from bench.guest.modules import with_dependencies
from bench.host.packages import find_program, install_hint
from bench.measure.arms import recipe_name
from bench.measure.request import Request
from bench.model import Cell

__all__ = ["make"]

PACKAGES = ("bench", "scenarios", "click", "msgspec", "psutil")  # what measuring imports
DATA = frozenset({".c", ".typed"})  # files beside modules that are included
LEFT_OUT = frozenset({"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo"})
# crc32c is asked for by name at mkfs and mount of ext4 and xfs; no program in the guest could answer the kernel.
MODULES = ("crc32c_generic", "crc32c_intel", "loop", "brd", "overlay", "ext4", "fuse")
SETTINGS = (Path("/etc/mke2fs.conf"),)  # without it mkfs.ext4 chooses other features
DIRECTORIES = ("proc", "sys", "dev", "tmp", "run", "mnt", "work", "results", "etc", "root", "var/tmp")
INIT = """#!{python} -u
from bench.kernel.mounts import mount

for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
    mount(kind, target, kind)

from bench.guest.inside import main  # imports what reads /proc

main()
"""
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def make(
    kernel: Kernel, request: Request, ram_disk_kib: int, cells: Sequence[Cell] = (), also: Sequence[Request] = ()
) -> bytes:
    """Return the initramfs for `request`, or only these cells of it, and for others, on `kernel`."""
    requests = (request, *also)
    buffer = io.BytesIO()
    archive = Archive(buffer)
    for name in DIRECTORIES:
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    python = Path(sys.executable).resolve()
    archive.data("init", INIT.format(python=python).encode(), 0o755)
    binaries = [python, *_add_python(archive)]
    for program in sorted(set().union(*map(_programs, requests))):
        path = shutil.which(program, path=OWN_PATHS) or find_program(program)
        if path is None:
            raise BenchError(f"the program {program} is not installed", fix=install_hint(program))
        archive.file(Path(path).resolve(), f"/usr/bin/{program}")
        binaries.append(Path(path).resolve())
    for settings in SETTINGS:
        if settings.exists():
            archive.file(settings)
    archive.file(python)
    for library in sorted(_libraries(binaries)):
        archive.file(library.resolve(), str(library))
    files = []
    for number, (name, content) in enumerate(with_dependencies(kernel.modules, _modules(requests))):
        file = f"/modules/{number:02}-{name}.ko"
        archive.data(file, content)
        files.append((name, file))
    order = Order(request, tuple(also), tuple(cells), tuple(files), ram_disk_kib)
    archive.data(str(ORDER), msgspec.json.encode(order))
    archive.close()
    return buffer.getvalue()


def _modules(requests: Sequence[Request]) -> tuple[str, ...]:
    recipes = [discovery.volume(recipe_name(name)) for request in requests for name in request.volumes]
    drivers = [discovery.driver(name.partition(",")[0]) for request in requests for name in request.drivers]
    names = [name for recipe in recipes for name in (recipe.filesystem, *recipe.modules)]
    names += [name for driver in drivers for name in driver.modules]
    if any(driver.daemon for driver in drivers):
        names += [name for recipe in discovery.volumes().values() for name in recipe.modules]
    return (*MODULES, *names)


def _programs(request: Request) -> set[str]:
    """Return the programs that a request needs in the guest: those that make its volumes, and of its drivers."""
    recipes = [discovery.volume(recipe_name(name)) for name in request.volumes]
    packages = [package for recipe in recipes for package in recipe.packages]
    programs = {"mkfs.ext4", *(recipe.program for recipe in recipes)}
    for kind in (discovery.driver(name.partition(",")[0]) for name in request.drivers):
        packages += kind.packages
        if issubclass(kind, EngineDriver):
            programs |= {*kind.programs, *_of_storages(kind.engine)}
    packages += [package for name in request.scenarios for package in discovery.scenario(name).packages]
    return programs | {package.program for package in packages}


def _of_storages(engine: type[Engine]) -> set[str]:
    """Return the installed programs of all storages of an engine, of which it may choose one by itself."""
    kinds = [discovery.driver(storage.counterpart) for storage in engine.storages]
    names = {package.program for kind in kinds for package in kind.packages}
    names |= {program for storage in engine.storages for program in storage.programs}
    return {name for name in names if find_program(name)}


def _add_python(archive: Archive) -> list[Path]:
    """Add the standard library and the packages, each module compiled; return their extension modules.

    Compiling would take an emulated processor long. The same sources give the same files, whatever this Python has
    compiled before, because a guest's counts depend on them.
    """
    standard = Path(sysconfig.get_path("stdlib"))
    trees = [(standard, standard)]
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise BenchError(f"no package {package}", fix="install the suite again")
        trees.append((Path(next(iter(spec.submodule_search_locations))), SUITE / package))
    files = {str(target / path.relative_to(source)): path for source, target in trees for path in _files(source)}
    compiled = compile_all({name: path for name, path in files.items() if path.suffix == ".py"})
    extensions = []
    for name, path in files.items():
        if path.suffix == ".py":
            archive.data(name, path.read_bytes())
            archive.data(importlib.util.cache_from_source(name), compiled[name])
        elif path.name.endswith(tuple(EXTENSION_SUFFIXES)):
            archive.data(name, path.read_bytes(), 0o755)
            extensions.append(path)
        elif path.suffix in DATA:
            archive.data(name, path.read_bytes())
    return extensions


def _files(tree: Path) -> Iterator[Path]:
    """Yield the files of a tree of modules in order, without what is left out."""
    for directory, names, files in os.walk(tree):
        names[:] = sorted(set(names) - LEFT_OUT - {name for name in names if name.endswith("-packages")})
        yield from (Path(directory, name) for name in sorted(files))


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that programs and extension modules need, with the loader."""
    found: set[Path] = set()
    for binary in binaries:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        found.update(Path(path) for path in _LIBRARY.findall(listed))
    return found
