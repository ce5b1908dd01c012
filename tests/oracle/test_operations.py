"""Each operation does what its name says, and streams are drawn from a seed."""

from __future__ import annotations

import os
import random
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from bench.oracle import attributes, contents, entries, operations, unusual
from bench.oracle.access import ABSENT, Seen, digest
from bench.oracle.replay import replay, tree
from bench.oracle.streams import KINDS, stream
from tests.host.isolated import needs_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.oracle.operations import Operation

DIRECTORIES, NAMES = ("", "a", "a/b"), ("x", "y", "z")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "file").chmod(0o644)
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def file(size: int, links: int = 1, mode: str = "0o644") -> Seen:
    return Seen("file", mode, os.getuid(), os.getgid(), size, links)


def test_what_operations_do_and_say(root: int, tmp_path: Path) -> None:
    for operation, said in (
        (contents.Create("new", 0o600), file(0, mode="0o600")),
        (contents.Append("file", b"ab"), digest(b"0123456789ab")),
        (contents.Write("file", 1, b"--"), digest(b"0--3456789ab")),
        (contents.Truncate("file", 4), digest(b"0--3")),
        (contents.MapAndWrite("file", b"++"), digest(b"++-3")),
        (contents.ReadOlder("file", b"!"), digest(b"++-3!")),
        (contents.MapOlder("file", b"="), digest(b"=+-3!")),
        (entries.MakeHardLink("file", "other"), (file(5, 2), file(5, 2), True)),
        (contents.Overwrite("other", b"x"), digest(b"x")),
        (entries.Unlink("other"), Seen(ABSENT)),
        (entries.Rename("file", "moved"), (Seen(ABSENT), file(1))),
        (attributes.ChangeMode("moved", 0o755), file(1, mode="0o755")),
        (attributes.ChangeTimes("moved", 1234567), 1234567),
        (entries.SymbolicLink("link", "moved"), "moved"),
        (attributes.ChangeMode("link", 0o600), "a link"),
        (entries.MakeDirectory("directory/sub", 0o700), (Seen("directory", "0o700", os.getuid(), os.getgid()), [])),
        (entries.RemoveDirectory("directory/sub"), Seen(ABSENT)),
        (entries.ListWhileChanging("directory", "made", "gone"), ([], True, ["made"])),
        (operations.Look("directory"), (Seen("directory", oct((tmp_path / "directory").stat().st_mode & 0o7777),
                                             os.getuid(), os.getgid()), ["made"])),
        (operations.Look("link"), (Seen("link", "0o777", os.getuid(), os.getgid(), 5, 1), "moved")),
    ):  # fmt: skip
        assert replay(operation, root) == ("ok", said), operation
    assert (tmp_path / "moved").read_bytes() == b"x"


def test_what_unusual_operations_do_and_say(root: int, tmp_path: Path) -> None:
    directory = Seen("directory", oct((tmp_path / "directory").stat().st_mode & 0o7777), os.getuid(), os.getgid())
    written = digest(b"0123456789ab"), (Seen(ABSENT), None)
    for operation, said in (
        (unusual.CreateHidden("directory/new", 0o600), (file(0, mode="0o600"), (directory, ["new"]))),
        (unusual.UnlinkLong("directory/new"), Seen(ABSENT)),
        (unusual.WriteAndUnlinkLong("file", b"ab"), written),
    ):
        assert replay(operation, root) == ("ok", said), operation
    assert not (tmp_path / "file").exists()


def test_a_mark_is_set_looked_at_and_removed(root: int, tmp_path: Path) -> None:
    outcome = replay(unusual.SetMark("directory", "user.overlay.opaque", b"y"), root)
    if outcome == ("ENOTSUP", None):
        pytest.skip("no user attributes on this file system")
    assert outcome == ("ok", {"user.overlay.opaque": b"y"})
    assert os.listxattr(tmp_path / "directory") == []


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (contents.Create("file", 0o600), "EEXIST"),
        (entries.Unlink("nothing"), "ENOENT"),
        (contents.Write("directory", 0, b"x"), "EISDIR"),
        (entries.RemoveDirectory("."), "EINVAL"),
        (entries.Unlink("file/below"), "ENOTDIR"),
        (contents.Append("pipe", b"x"), "ENXIO"),
        (contents.Overwrite("pipe", b"x"), "ENXIO"),
        (entries.ListWhileChanging(".", "pipe", "x"), "ENXIO"),
    ],
)
def test_an_error_is_what_it_did_and_nothing_waits_at_a_pipe(operation: Operation, error: str, root: int) -> None:
    assert replay(operation, root) == (error, None)


def test_either_word_for_a_directory_that_is_not_empty_is_the_same(root: int, tmp_path: Path) -> None:
    (tmp_path / "directory/inside").touch()
    (tmp_path / "empty").mkdir()
    assert replay(entries.Rename("empty", "directory"), root) == ("ENOTEMPTY", None)
    assert replay(entries.RemoveDirectory("directory"), root) == ("ENOTEMPTY", None)
    assert replay(entries.MakeDirectory("empty", 0o700), root) == ("EEXIST", None)


@needs_root
def test_what_needs_root(root: int) -> None:
    assert replay(entries.MakeNode("device", 3), root) == ("ok", Seen("device", "0o600", 0, 0, 0, 1, os.makedev(1, 3)))
    assert replay(attributes.ChangeOwner("device", 1000, 1000), root)[1] == Seen(
        "device", "0o600", 1000, 1000, 0, 1, os.makedev(1, 3)
    )
    assert replay(entries.MakeFifo("fifo"), root) == ("ok", Seen("fifo", "0o600", 0, 0, 0, 1))


def test_a_stream_is_drawn_from_its_seed_and_has_every_kind() -> None:
    one, again, other = (list(stream(random.Random(seed), 3000, DIRECTORIES, NAMES)) for seed in (1, 1, 2))
    assert one == again != other
    assert {type(operation) for operation in one} == set(KINDS)
    assert list(islice(stream(random.Random(1), 3000, DIRECTORIES, NAMES), 10)) == one[:10]


def test_about_half_of_a_stream_is_done(root: int) -> None:
    """A stream that mostly fails tests how errors agree, and little else."""
    for name in DIRECTORIES[1:]:
        replay(entries.MakeDirectory(name, 0o755), root)
    said = Counter(replay(one, root)[0] for one in stream(random.Random(3), 5000, DIRECTORIES, NAMES))
    assert said["ok"] > 0.35 * 5000


def test_no_operation_leaves_the_directory(root: int, tmp_path: Path) -> None:
    before = sorted(tmp_path.parent.iterdir())
    for operation in stream(random.Random(4), 3000, DIRECTORIES, NAMES):
        replay(operation, root)
    assert sorted(tmp_path.parent.iterdir()) == before
    assert tree(tmp_path)


def test_it_is_written_so_that_a_person_can_do_it_again() -> None:
    assert str(entries.Rename("a/x", "b")) == "rename('a/x', 'b')"
    assert str(contents.Write("a", 4095, b"xyz")) == "write('a', 4095, 3 bytes)"
