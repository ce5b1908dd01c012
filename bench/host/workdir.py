"""The work directory, which contains everything that a run writes, and its requirements."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from bench.errors import BenchError
from bench.kernel import guest, mounts
from bench.model import format_size

__all__ = ["DEFAULT", "VARIABLE", "check", "default", "require_space"]

DEFAULT = Path("/var/tmp")  # noqa: S108 - on disk and kept at reboot (hier(7)), unlike /tmp; see check()
VARIABLE = "BENCH_WORKDIR"

_OTHER = "give another with --workdir"


def default() -> Path:
    """Return $BENCH_WORKDIR, or /var/tmp if it is not set."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def check(path: Path) -> Path:
    """Return `path` with its parents resolved; raise BenchError unless it is usable and safe."""
    what = f"cannot work in {path}"
    if path.is_symlink():
        raise BenchError(what, why="it is a symbolic link", fix=f"give the directory itself: {os.path.realpath(path)}")
    resolved = path.resolve()
    try:
        status = resolved.stat()
    except FileNotFoundError as error:
        raise BenchError(what, why="it does not exist", fix=f"`mkdir {resolved}`, or {_OTHER}") from error
    except OSError as error:
        raise BenchError(what, why=error.strerror or str(error), fix=_OTHER) from error
    if not stat.S_ISDIR(status.st_mode):
        raise BenchError(what, why="it is not a directory", fix=_OTHER)
    _require_ours(what, status)
    if os.statvfs(resolved).f_flag & os.ST_RDONLY:
        raise BenchError(what, why="its file system is mounted read-only", fix=f"mount it read-write, or {_OTHER}")
    if not os.access(resolved, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise BenchError(what, why="no permission to write in it", fix=_OTHER)
    _require_backing(what, resolved)
    return resolved


def require_space(path: Path, needed: int) -> None:
    """Raise BenchError unless `needed` bytes can be written below `path`."""
    free = shutil.disk_usage(path).free
    if free < needed:
        room = "give a --workdir on a larger file system" if guest.block() is None else "give guests more --memory"
        raise BenchError(
            f"not enough space in {path}",
            why=f"the run needs {format_size(needed)} and {format_size(free)} are free",
            fix=f"{room}, or fewer cells (--profile quick, --depth, --size)",
        )


def _require_ours(what: str, status: os.stat_result) -> None:
    """Raise BenchError for a directory in which another user could replace files."""
    sticky = bool(status.st_mode & stat.S_ISVTX)
    user = os.geteuid()
    if status.st_uid != user and not (status.st_uid == 0 and sticky):
        raise BenchError(
            what,
            why=f"it belongs to user {status.st_uid}, who could replace files in it, and this is user {user}",
            fix="give a --workdir of your own",
        )
    if status.st_mode & stat.S_IWOTH and not sticky:
        raise BenchError(
            what,
            why="everybody may rename and delete everybody's files in it",
            fix="give a --workdir of your own, or `chmod +t` it",
        )


def _require_backing(what: str, resolved: Path) -> None:
    """Raise BenchError for overlay, which cannot contain an upper directory and would be measured as well."""
    fstype = mounts.mount_entry(resolved).fstype
    if fstype in {"overlay", "fuse.fuse-overlayfs"}:
        raise BenchError(
            what,
            why=f"it lies on {fstype}, as a container's own files do, and a stack on it would measure both",
            fix="give a --workdir on a disk's file system; in a container, on a volume (docker run -v)",
        )
