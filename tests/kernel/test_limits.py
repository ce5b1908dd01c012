"""Which setting forbids namespaces, from the kernel's own files; for real where a namespace's own limits can be set."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kernel import limits
from bench.kernel.limits import refused_namespaces

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
from bench.kernel.limits import refused_namespaces
from bench.kernel.namespaces import run_isolated
try:
    run_isolated(lambda: 0, user_namespace={user})
except OSError as error:
    told = refused_namespaces(error, user_namespace={user})
    print(f"{{told.reason}}; {{told.fix}}")
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("user.max_user_namespaces", True),
        ("user.max_mnt_namespaces", True),
        ("user.max_mnt_namespaces", False),
        ("user.max_pid_namespaces", False),
    ],
)
def test_a_limit_of_zero_is_named(name: str, user: bool) -> None:
    """In a user namespace, whose limits are its own: the host's stay as they are."""
    program = f'echo 0 > /proc/sys/{name.replace(".", "/")} && exec "$0" -c "$1"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", program, sys.executable, SCRIPT.format(user=user)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespace here: {done.stderr.strip()}")
    assert (done.stdout, done.stderr) == (f"{name} is 0; as root: sysctl -w {name}=10000\n", "")


@pytest.mark.parametrize(
    ("number", "settings", "user", "reason", "fix"),
    [
        (errno.EPERM, {"kernel/unprivileged_userns_clone": "0"}, True, "kernel.unprivileged_userns_clone is 0", "=1"),
        (
            errno.EACCES,
            {"kernel/unprivileged_userns_clone": "1", "kernel/apparmor_restrict_unprivileged_userns": "1"},
            True,
            "kernel.apparmor_restrict_unprivileged_userns is 1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (errno.EPERM, {"kernel/unprivileged_userns_clone": "0"}, False, "unshare: Operation not permitted", "--priv"),
        (errno.EPERM, {}, True, "unshare: Operation not permitted", "in a privileged one"),
        (errno.EINVAL, {}, True, "unshare: Invalid argument", "in a chroot, make its / a mount point before"),
        (
            errno.ENOSPC,
            {"user/max_user_namespaces": "7", "user/max_mnt_namespaces": "9"},
            True,
            "as many namespaces as are allowed are in use (user.max_user_namespaces is 7, user.max_mnt_namespaces is 9",
            "end what uses them",
        ),
        (errno.ENOSPC, {"user/max_user_namespaces": "0"}, False, "as many namespaces as are allowed are in use", ""),
    ],
)
def test_the_setting_at_fault_is_named(
    number: int,
    settings: dict[str, str],
    user: bool,
    reason: str,
    fix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(limits, "SETTINGS", tmp_path)
    told = refused_namespaces(OSError(number, os.strerror(number)), user_namespace=user)
    assert told.reason.startswith(reason)
    assert fix in told.fix
