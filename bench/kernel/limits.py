"""Why the kernel refuses namespaces: the current value of the setting that forbids them, and how to change it."""

from __future__ import annotations

import errno
from pathlib import Path

from bench.model import Support

__all__ = ["refused_namespaces"]

SETTINGS = Path("/proc/sys")
# Documentation/admin-guide/sysctl/user.rst: limits per user, and the value suggested for one that is 0.
LIMITS = ("user.max_user_namespaces", "user.max_mnt_namespaces", "user.max_pid_namespaces")
ENOUGH = 10_000
# Settings that forbid user namespaces to ordinary users, with the forbidding and the permitting value: a patch of
# Debian and Ubuntu, and AppArmor's restriction in Ubuntu since 23.10.
FORBIDDEN = {
    "kernel.unprivileged_userns_clone": (0, 1),
    "kernel.apparmor_restrict_unprivileged_userns": (1, 0),
}


def refused_namespaces(error: OSError, *, user_namespace: bool) -> Support:
    """Return the reason and the remedy for an `error` of bench.kernel.namespaces.run_isolated.

    unshare(2) fails with ENOSPC if a limit is reached, whose usual message would be misleading.
    """
    message = f"unshare: {error.strerror}"
    if error.errno == errno.ENOSPC:
        values = {name: _value(name) for name in (LIMITS if user_namespace else LIMITS[1:])}
        for name, value in values.items():
            if value == 0:
                return Support.no(f"{name} is 0", f"as root: sysctl -w {name}={ENOUGH}")
        limits = ", ".join(f"{name} is {value}" for name, value in values.items() if value is not None)
        return Support.no(f"as many namespaces as are allowed are in use ({limits})", "end what uses them, or raise it")
    if error.errno == errno.EINVAL:  # mount(2), of MS_PRIVATE
        return Support.no(message, "in a chroot, make its / a mount point before: mount --bind DIRECTORY DIRECTORY")
    if user_namespace and error.errno in {errno.EPERM, errno.EACCES}:
        for name, (forbids, allows) in FORBIDDEN.items():
            if _value(name) == forbids:
                return Support.no(f"{name} is {forbids}", f"as root: sysctl -w {name}={allows}")
    fix = "run as root outside of a container, or in a privileged one (--privileged)"
    return Support.no(message, fix)


def _value(name: str) -> int | None:
    """Return the value of the setting `name`; None if this kernel does not have it."""
    try:
        return int((SETTINGS / name.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None
