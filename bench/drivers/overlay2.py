"""overlay2: the kernel's overlayfs on Docker 20.10's layout."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from bench.drivers.base import Container
from bench.drivers.effect import accepted, ineffective
from bench.drivers.layout import LinkedLayout
from bench.drivers.overlayfs import OverlayFs
from bench.errors import BenchError
from bench.kernel import mounts
from bench.kernel.directory import working_directory
from bench.layers.changes import Change
from bench.model import WITHOUT_EFFECT, Support
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "MAX_LOWER", "Overlay2"]

MAX_LOWER = 500  # fs/overlayfs/params.c, OVL_MAX_STACK
SWITCH = ("on", "off")


class Overlay2(OverlayFs, LinkedLayout):
    """Mounted by fsconfig `lowerdir+` if the kernel has it (6.7), else by mount(2) with paths relative to the home."""

    name = "overlay2"
    title = "overlay2 (kernel overlayfs)"
    order = 1
    max_depth = MAX_LOWER
    options: ClassVar = {
        "metacopy": SWITCH,
        "redirect_dir": ("on", "off", "follow", "nofollow"),
        "volatile": SWITCH,
        "fsync": ("strict", "auto", "volatile"),
        "xino": ("on", "off", "auto"),
        "index": SWITCH,
        "nfs_export": SWITCH,
        "via": ("auto", "fsconfig", "mount2"),
    }

    def __init__(self, options: Mapping[str, str] | None = None, *, rootless: bool = False) -> None:
        super().__init__(options, rootless=rootless)
        volatile, fsync = self.chosen.get("volatile"), self.chosen.get("fsync")
        if volatile and fsync and (volatile == "on") != (fsync == "volatile"):
            raise BenchError(
                f"volatile={volatile} and fsync={fsync} contradict each other", fix="volatile=on is fsync=volatile"
            )

    def probe(self, volume: Recipe) -> Support:
        """Tell whether the kernel has overlayfs and accepts such an upper layer and the arm's options."""
        support = super().probe(volume)
        return accepted(self.mount_options()) if support.ok else support

    def changes(self, container: Container) -> Iterator[Change] | None:
        """The container's layer holds its changes, unless an option makes it incomplete."""
        return super().changes(container) if self.upper_is_complete else None

    def mount_options(self) -> list[tuple[str, str | None]]:
        """Return the options of this arm; index=off by default, as Docker passes it."""
        options = {"index": "on" if self.indexed else "off", **self.chosen}
        options.pop("via", None)
        flags: list[tuple[str, str | None]] = []
        if options.pop("volatile", "off") == "on":
            flags.append(("volatile", None))
        if self.rootless:
            flags.append(("userxattr", None))
        return [*options.items(), *flags]

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Mount the container at its `merged`."""
        with self.merged(container) as merged:
            container.how["mount"] = self._mount(container, merged)
            entry = mounts.mount_table()[-1]
            container.how["options"] = entry.summary
            requested = {key: value for key, value in self.chosen.items() if key != "via"}
            if ignored := ineffective(requested, entry.options):
                container.how[WITHOUT_EFFECT] = ",".join(ignored)
            try:
                yield merged
            finally:
                mounts.unmount(merged)

    @contextmanager
    def cycle(self, container: Container) -> Iterator[Callable[[], None]]:
        """Mount by mount(2), as Docker does, where the options fit its page, else by fsconfig."""
        lower, home = self.lower(container), container.stack.home
        options, each = self._options(container, lower), [*self.mount_options(), *self._paths(container, lower)]
        by_mount = len(os.fsencode(options)) < mounts.PAGE and self.chosen.get("via", "auto") != "fsconfig"

        def mount_and_unmount() -> None:
            with working_directory(home):
                if by_mount:
                    mounts.mount("overlay", merged, "overlay", options=options)
                else:
                    mounts.fs_mount("overlay", merged, each)
            mounts.unmount(merged)

        with self.merged(container) as merged:
            yield mount_and_unmount

    def _mount(self, container: Container, merged: Path) -> str:
        """Mount; return the interface that worked."""
        via = self.chosen.get("via", "auto")
        lower = self.lower(container)
        try:
            if via != "mount2":
                return self._fsconfig(container, merged, lower)
        except OSError as error:
            if via == "fsconfig" or error.errno not in {errno.ENOSYS, errno.EINVAL}:
                raise self._refusal(error, lower) from error
            first_error: OSError | None = error
        else:
            first_error = None
        try:
            self._mount2(container, lower)
        except OSError as error:
            raise self._refusal(first_error or error, lower) from error
        return "mount(2) relative to the driver's home"

    def _refusal(self, error: OSError, lower: list[str]) -> BenchError:
        return BenchError(
            f"the kernel refuses overlay with {len(lower)} lower layers and options "
            f"{','.join(key if value is None else f'{key}={value}' for key, value in self.mount_options())}",
            why=error.strerror or str(error),
            fix=f"at most {MAX_LOWER} layers; see fs/overlayfs in the kernel's documentation for the options",
        )

    def _fsconfig(self, container: Container, merged: Path, lower: list[str]) -> str:
        home, paths = container.stack.home, self._paths(container, lower)
        absolute = [(key, str(home / path)) for key, path in paths]
        # The kernel limits a string to 255 bytes and unescapes backslashes (fs/overlayfs/params.c, ovl_unescape).
        if all(len(os.fsencode(path)) <= mounts.STRING_LIMIT and "\\" not in path for _, path in absolute):
            mounts.fs_mount("overlay", merged, [*self.mount_options(), *absolute])
            return "fsconfig lowerdir+"
        with working_directory(home):
            mounts.fs_mount("overlay", merged, [*self.mount_options(), *paths])
        return "fsconfig lowerdir+ relative to the driver's home"

    def _paths(self, container: Container, lower: list[str]) -> list[tuple[str, str]]:
        """Return the directories of a container as options for fsconfig, relative to the home."""
        name = container.path.name
        return [*(("lowerdir+", link) for link in lower), ("upperdir", f"{name}/diff"), ("workdir", f"{name}/work")]

    def _mount2(self, container: Container, lower: list[str]) -> None:
        with working_directory(container.stack.home):
            mounts.mount("overlay", f"{container.path.name}/merged", "overlay", options=self._options(container, lower))

    def _options(self, container: Container, lower: list[str]) -> str:
        """Return the options for mount(2), with paths relative to the home."""
        options = [key if value is None else f"{key}={value}" for key, value in self.mount_options()]
        name = container.path.name
        return ",".join([*options, f"lowerdir={':'.join(lower)}", f"upperdir={name}/diff", f"workdir={name}/work"])


DRIVER = Overlay2
