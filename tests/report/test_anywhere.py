"""A run is read without Linux, root and /proc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What only Linux or only Unix has is taken away before the command line is imported. `os` keeps what Python itself has
# everywhere; every access to /proc or /sys and every library that ctypes loads by name is refused.
ELSEWHERE = """
import os, runpy, sys
for name in ("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "getxattr", "setxattr",
             "listxattr", "removexattr", "memfd_create", "copy_file_range", "eventfd", "pidfd_open", "unshare", "setns",
             "sync", "statvfs", "fstatvfs", "mknod", "chown", "lchown", "getuid", "geteuid", "getgid", "getloadavg",
             "O_TMPFILE", "O_PATH", "O_DIRECT", "O_NOATIME", "SEEK_DATA", "SEEK_HOLE"):
    assert hasattr(os, name) or name in {"unshare", "setns"}, name
    if hasattr(os, name):
        delattr(os, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "psutil"):
    sys.modules[name] = None
def refuse(event, arguments):
    if event == "open" and str(arguments[0]).startswith(("/proc", "/sys")) or event == "ctypes.dlopen" and arguments[0]:
        raise PermissionError(f"{event} {arguments[0]}: there is no Linux here")
sys.addaudithook(refuse)
sys.argv[0] = "bench"
runpy.run_module("bench", run_name="__main__")
"""


def report(target: Path, *program: str) -> tuple[str, bytes]:
    """Return what is said of results/example, and its page."""
    command = [sys.executable, *program, "report", str(ROOT / "results" / "example"), "--reports", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace(str(target), ""), (target / "example.html").read_bytes()


def test_report_needs_no_linux(tmp_path: Path) -> None:
    assert report(tmp_path / "elsewhere", "-c", ELSEWHERE) == report(tmp_path / "somewhere", "-m", "bench")
