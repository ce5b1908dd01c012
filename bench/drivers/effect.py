"""Which of the requested overlayfs mount options are in effect, and which the kernel accepts.

The kernel accepts and ignores some options, such as xino=on with all layers on one file system, and at most logs it.
mountinfo shows an option that differs from its default (fs/overlayfs/params.c, ovl_show_options), and the defaults are
parameters of the module. So an option that is not shown is in effect only if it requests the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.kernel import mounts
from bench.model import Support

__all__ = ["accepted", "default", "ineffective"]

PARAMETERS = Path("/sys/module/overlay/parameters")
# The older option `volatile` as kernels with `fsync` show it.
SAME = {("volatile", "on"): ("fsync", "volatile"), ("volatile", "off"): ("fsync", "auto")}


def default(option: str) -> str:
    """Return an option's default: from the module's parameters, else as in the kernel source."""
    if option == "redirect_dir":
        return "on" if _set("redirect_dir") else "follow" if _set("redirect_always_follow") else "nofollow"
    if option == "xino":
        return "auto" if _set("xino_auto") else "off"
    return {"fsync": "auto", "volatile": "off"}.get(option, "on" if _set(option) else "off")


def _set(parameter: str) -> bool:
    try:
        return (PARAMETERS / parameter).read_text().strip() == "Y"
    except FileNotFoundError:
        return False


def ineffective(requested: Mapping[str, str], shown: str) -> list[str]:
    """Return the `requested` options, as `name=value`, that a mount with the options `shown` does not have."""
    values = {name: value or "on" for name, _, value in (option.partition("=") for option in shown.split(","))}
    if "volatile" in values:  # shown by older kernels
        values["fsync"] = "volatile"
    return [f"{name}={value}" for name, value in requested.items() if not _has(values, name, value)]


def _has(values: Mapping[str, str], name: str, value: str) -> bool:
    option, wanted = SAME.get((name, value), (name, value))
    if option == "redirect_dir" and wanted == "off":  # its meaning depends on a default, too
        wanted = "follow" if _set("redirect_always_follow") else "nofollow"
    return values.get(option, default(option)) == wanted


def accepted(options: Iterable[tuple[str, str | None]]) -> Support:
    """Tell whether this kernel's overlayfs accepts all options; yes if an ordinary user may not test it."""
    for name, value in options:
        text = name if value is None else f"{name}={value}"
        try:
            mounts.require_option("overlay", name, value)
        except PermissionError:
            return Support.yes()
        except OSError as error:
            return Support.no(f"the kernel's overlayfs does not take {text}: {error.strerror}", "leave it out")
    return Support.yes()
