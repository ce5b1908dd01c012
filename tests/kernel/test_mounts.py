"""mountinfo as it is, and options that the kernel would cut."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.kernel import mounts
from bench.kernel.mounts import OptionsTooLongError, mount_entry, mount_table
from tests.host.isolated import isolated

if TYPE_CHECKING:
    from pathlib import Path

LINES = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:25 / /mnt/a\040b ro,nosuid - tmpfs none\134x rw,size=4k
31 27 0:26 / /merged rw - overlay overlay rw,lowerdir=/a:/b:/c,upperdir=/u,workdir=/w,index=off
32 27 0:27 / /plus rw - overlay overlay rw,lowerdir+=/a,lowerdir+=/b,upperdir=/u,workdir=/w,volatile
"""


def test_a_table_is_read_in_order_with_both_kinds_of_options() -> None:
    entries = mount_table(LINES)
    assert [entry.target for entry in entries] == ["/proc", "/", "/mnt/a b", "/merged", "/plus"]
    assert [entry.fstype for entry in entries] == ["proc", "ext4", "tmpfs", "overlay", "overlay"]
    assert entries[1].options == "rw,relatime,discard"
    assert entries[2].options == "ro,nosuid,rw,size=4k"
    assert entries[2].source == "none\\x"


@pytest.mark.parametrize("name", ["é b", "tab\there", "line\nfeed", "back\\slash", "\u3000wide", "\x85next", "\udcff"])
def test_any_name_of_a_mount_point_is_read(name: str) -> None:
    escaped = "".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in name)
    [entry] = mount_table(f"30 27 0:25 / /mnt/{escaped} rw - tmpfs none rw\n")
    assert entry.target == f"/mnt/{name}"


@pytest.mark.root
def test_any_name_of_a_real_mount_point_is_read(tmp_path: Path) -> None:
    def work() -> None:
        for name in (b"\xc3\xa9 b", b"\xff\xe3\x80\x80", b"a\\b\n"):
            target = os.fsencode(tmp_path) + b"/" + name
            os.mkdir(target)
            mounts.mount("none", os.fsdecode(target), "tmpfs")
            assert mount_table()[-1].target == os.fsdecode(target)

    isolated(work)


@pytest.mark.parametrize(("place", "summary"), [(3, "rw,index=off,lowerdir×3"), (4, "rw,volatile,lowerdir×2")])
def test_a_summary_counts_the_layers_instead_of_naming_them(place: int, summary: str) -> None:
    assert mount_table(LINES)[place].summary == summary


def test_the_deepest_mount_holds_a_path() -> None:
    assert mount_entry("/").target == "/"
    assert mount_entry("/proc/self").fstype == "proc"


@given(extra=st.integers(0, 3 * mounts.PAGE))
def test_options_that_do_not_fit_a_page_are_refused_before_the_call(extra: int) -> None:
    options = "x" * (mounts.PAGE + extra)
    with pytest.raises(OptionsTooLongError) as caught:
        mounts.mount("none", "/nowhere", "overlay", options=options)
    assert caught.value.errno == errno.E2BIG
    assert str(len(options)) in str(caught.value)


def test_the_length_is_in_bytes_not_characters() -> None:
    with pytest.raises(OptionsTooLongError):
        mounts.mount("none", "/nowhere", "overlay", options="é" * (mounts.PAGE // 2))


@pytest.mark.root
def test_options_of_one_page_reach_the_kernel(tmp_path: Path) -> None:
    def work() -> None:
        with pytest.raises(OSError, match=r"Invalid argument|wrong fs type") as caught:
            mounts.mount("none", tmp_path, "tmpfs", options="x" * (mounts.PAGE - 1))
        assert not isinstance(caught.value, OptionsTooLongError)

    isolated(work)


@pytest.mark.root
def test_the_kernels_own_words_come_with_the_error(tmp_path: Path) -> None:
    def work() -> None:
        with pytest.raises(OSError, match=r"Invalid argument \(.*(nonsense|[Uu]nknown).*\)"):
            mounts.fs_mount("overlay", tmp_path, [("nonsense", "1")])
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError, match="No such device"):
            mounts.fs_mount("nosuchfs", tmp_path, [])
        assert os.listdir("/proc/self/fd") == before

    isolated(work)


@pytest.mark.root
def test_a_value_too_long_for_fsconfig_is_named(tmp_path: Path) -> None:
    def work() -> None:
        with pytest.raises(OSError, match=r"fsconfig takes 255 bytes, lowerdir\+ has 256"):
            mounts.fs_mount("overlay", tmp_path, [("lowerdir+", "/" + "x" * 255)])

    isolated(work)


@pytest.mark.root
def test_both_ways_mount_the_same(tmp_path: Path) -> None:
    def work() -> None:
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
        mounts.mount("none", tmp_path / "old", "tmpfs", flags=mounts.MS_NOATIME, options="size=64k")
        mounts.fs_mount("tmpfs", tmp_path / "new", [("size", "64k"), ("noswap", None)])
        old, new = mount_entry(tmp_path / "old"), mount_entry(tmp_path / "new")
        assert (old.target, new.target) == (str(tmp_path / "old"), str(tmp_path / "new"))
        assert "noatime" in old.options.split(",")
        assert {"size=64k", "noswap"} <= set(new.options.split(","))
        for name in ("old", "new"):
            mounts.unmount(tmp_path / name)
        assert mount_entry(tmp_path / "old").target != str(tmp_path / "old")

    isolated(work)


@pytest.mark.root
def test_a_busy_mount_goes_only_lazily(tmp_path: Path) -> None:
    def work() -> None:
        mounts.mount("none", tmp_path, "tmpfs")
        with (tmp_path / "file").open("w"):
            with pytest.raises(OSError, match="busy"):
                mounts.unmount(tmp_path)
            mounts.unmount(tmp_path, detach=True)
        assert mount_entry(tmp_path).target != str(tmp_path)

    isolated(work)
