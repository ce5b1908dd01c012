"""The archive of an initramfs, read back by the format's description."""

from __future__ import annotations

import io
import stat
from typing import TYPE_CHECKING

from bench.guest.cpio import Archive

if TYPE_CHECKING:
    from pathlib import Path


def entries(data: bytes) -> list[tuple[str, list[int], bytes]]:
    """Parse an archive: of each entry its name, the numbers of its header, and its content."""
    found: list[tuple[str, list[int], bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        end = at + 110 + numbers[11]
        name = data[at + 110 : end - 1].decode()
        start = (end + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert start == len(data)
            return found
        found.append((name, numbers, data[start : start + numbers[6]]))
        at = (start + numbers[6] + 3) // 4 * 4


def test_every_kind_of_entry(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o750)
    buffer = io.BytesIO()
    archive = Archive(buffer)
    archive.data("a/b/file", b"12345", mtime=7)
    archive.data("/a/b/file", b"again")
    archive.file(script, "/init")
    archive.device("dev/console", 5, 1)
    archive.close()
    found = entries(buffer.getvalue())
    assert [name for name, *_ in found] == ["a", "a/b", "a/b/file", "init", "dev", "dev/console"]
    by_name = {name: (numbers, content) for name, numbers, content in found}
    assert by_name["a/b/file"][1] == b"12345"
    assert by_name["a/b/file"][0][5] == 7
    assert stat.S_ISDIR(by_name["a"][0][1])
    assert by_name["init"][0][1] == stat.S_IFREG | 0o750
    assert by_name["init"][0][5] == int(script.stat().st_mtime)
    console = by_name["dev/console"][0]
    assert stat.S_ISCHR(console[1])
    assert console[9:11] == [5, 1]
    inodes = [numbers[0] for _, numbers, _ in found]
    assert len(set(inodes)) == len(inodes)
