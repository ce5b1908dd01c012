"""Archives of layers made member by member, with names exactly as given."""

from __future__ import annotations

import io
import os
import tarfile
from typing import Any

__all__ = ["DIRECTORY", "FIFO", "Given", "crafted", "hard", "link"]

Given = tuple[str, dict[str, Any]]
"""A member: its name, and what is not as in an empty file of mode 0644 of this user's; `data` is its content."""

DIRECTORY: dict[str, Any] = {"type": tarfile.DIRTYPE, "mode": 0o755}
FIFO: dict[str, Any] = {"type": tarfile.FIFOTYPE}


def link(target: str) -> dict[str, Any]:
    """Return the facts of a symbolic link."""
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hard(target: str) -> dict[str, Any]:
    """Return the facts of a hard link."""
    return {"type": tarfile.LNKTYPE, "linkname": target}


def crafted(*members: Given) -> io.BytesIO:
    """Return an archive of `members`, at its beginning."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for name, facts in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid = os.getuid(), os.getgid()
            data = facts.get("data", b"")
            info.size = len(data)
            for key, value in facts.items():
                if key != "data":
                    setattr(info, key, value)
            opened.addfile(info, io.BytesIO(data))
    archive.seek(0)
    return archive
