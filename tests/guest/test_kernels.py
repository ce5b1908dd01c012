"""Which kernel a user means, and what is read from a kernel's file."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.guest import kernels
from bench.guest.modules import with_dependencies

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "BOOT", tmp_path / "boot")
    return tmp_path


def fetched(tmp_path: Path, *releases: str) -> None:
    for release in releases:
        (tmp_path / "fresh" / "modules").mkdir(parents=True)
        (tmp_path / "fresh" / "vmlinuz").write_bytes(b"kernel")
        kernels.store(release, tmp_path / "fresh" / "vmlinuz", tmp_path / "fresh" / "modules", "Debian trixie")


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("6.1", "6.1.0-56-cloud-amd64"),
        ("6.12", "6.12.43+deb13-cloud-amd64"),
        ("6", "6.12.43+deb13-cloud-amd64"),
        ("6.12.43+deb13-amd64", "6.12.43+deb13-amd64"),
        ("6.1.0-9", "6.1.0-9-cloud-amd64"),
        ("6.2", None),
        ("7", None),
    ],
)
def test_a_version_is_the_newest_kernel_of_it(tmp_path: Path, text: str, release: str | None) -> None:
    fetched(tmp_path, "6.1.0-9-cloud-amd64", "6.1.0-56-cloud-amd64", "6.12.43+deb13-amd64", "6.12.43+deb13-cloud-amd64")
    found = kernels.find(text)
    assert (found.release if found else None) == release
    assert not found or (found.image.read_bytes(), found.origin) == (b"kernel", "Debian trixie")


def test_removed_is_gone(tmp_path: Path) -> None:
    fetched(tmp_path, "6.1.0-9-cloud-amd64")
    [kernel] = kernels.cached()
    assert kernels.remove(kernel) > len(b"kernel")
    assert not list(kernels.cached())


def image(tmp_path: Path, release: str) -> Path:
    """A file with the header of a kernel, in a tree as it is built in."""
    content = bytearray(0x1000)
    content[0x202:0x206] = b"HdrS"
    content[0x20E:0x210] = (0x800).to_bytes(2, "little")
    name = f"{release} (me@here) #1".encode()
    content[0xA00 : 0xA00 + len(name)] = name
    path = tmp_path / "linux/arch/x86/boot/bzImage"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_a_file_has_its_modules_in_the_tree_where_it_was_built(tmp_path: Path) -> None:
    path = image(tmp_path, "6.18.0-rc1+")
    (tmp_path / "linux/Kconfig").touch()
    found = kernels.find(str(path))
    assert found == kernels.Kernel("6.18.0-rc1+", path, tmp_path / "linux", f"file {path}")
    assert found.version == "6.18.0"


def test_a_file_has_its_modules_beside_it(tmp_path: Path) -> None:
    path = image(tmp_path, "6.18.0")
    (path.parent / "modules").mkdir()
    found = kernels.find(str(path))
    assert found is not None
    assert found.modules == path.parent / "modules"


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(b"x" * 4096)
    with pytest.raises(BenchError, match=r"is no kernel for x86: it lacks the header of one; give a bzImage"):
        kernels.find(str(tmp_path / "bzImage"))
    with pytest.raises(BenchError, match=r"cannot read the kernel .*nothing: No such file"):
        kernels.find(str(tmp_path / "nothing"))


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    def module(name: str, depends: str, suffix: str = "") -> None:
        content = b"\0license=GPL\0depends=" + depends.encode() + b"\0name=" + name.encode() + b"\0"
        path = tmp_path / f"kernel/fs/{name}.ko{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(content) if suffix == ".xz" else content)

    module("ext4", "jbd2,mbcache")
    module("jbd2", "", ".xz")
    module("mbcache", "")
    module("dm-thin-pool", "dm_persistent_data")
    module("dm-persistent-data", "")
    module("unused", "ext4")
    found = dict(with_dependencies(tmp_path, ["ext4", "jbd2", "brd", "dm_thin_pool"]))
    assert list(found) == ["jbd2", "mbcache", "ext4", "dm_persistent_data", "dm_thin_pool"]
    assert found["jbd2"].startswith(b"\0license=GPL")
