"""Why the kernel refuses namespaces: which of its settings forbids them, as it is now, and what changes it."""

from __future__ import annotations

import errno
from pathlib import Path

from bench.model import Support

__all__ = ["refused_namespaces"]

SETTINGS = Path("/proc/sys")
# Documentation/admin-guide/sysctl/user.rst: how many of a kind a user may have, and what is given where it is 0.
LIMITS = ("user.max_user_namespaces", "user.max_mnt_namespaces", "user.max_pid_namespaces")
ENOUGH = 10_000
# What forbids user namespaces to ordinary users, by the value that does, and the value that does not: a patch of Debian
# and Ubuntu, and AppArmor's restriction in Ubuntu since 23.10.
FORBIDDEN = {
    "kernel.unprivileged_userns_clone": (0, 1),
    "kernel.apparmor_restrict_unprivileged_userns": (1, 0),
}


def refused_namespaces(error: OSError, *, user_namespace: bool) -> Support:
    """Return the reason and what to do for an `error` of bench.kernel.namespaces.run_isolated.

    ENOSPC is what unshare(2) says where a limit is reached, so its own words would mislead.
    """
    said = f"unshare: {error.strerror}"
    if error.errno == errno.ENOSPC:
        values = {name: _value(name) for name in (LIMITS if user_namespace else LIMITS[1:])}
        for name, value in values.items():
            if value == 0:
                return Support.no(f"{name} is 0", f"as root: sysctl -w {name}={ENOUGH}")
        told = ", ".join(f"{name} is {value}" for name, value in values.items() if value is not None)
        return Support.no(f"as many namespaces as are allowed are in use ({told})", "end what uses them, or raise it")
    if error.errno == errno.EINVAL:  # mount(2), of MS_PRIVATE
        return Support.no(said, "in a chroot, make its / a mount point before: mount --bind DIRECTORY DIRECTORY")
    if user_namespace and error.errno in {errno.EPERM, errno.EACCES}:
        for name, (forbids, allows) in FORBIDDEN.items():
            if _value(name) == forbids:
                return Support.no(f"{name} is {forbids}", f"as root: sysctl -w {name}={allows}")
    fix = "run as root outside of a container, or in a privileged one (--privileged)"
    return Support.no(said, fix)


def _value(name: str) -> int | None:
    """Return the setting `name`; None where this kernel has none."""
    try:
        return int((SETTINGS / name.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None
