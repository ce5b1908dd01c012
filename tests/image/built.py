"""Images built for real by podman from what is on this machine, and the facts of trees."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.host.packages import find_program

if TYPE_CHECKING:
    from bench.engines.podman import Podman
    from tests.layers.archives import Given

__all__ = ["BIG", "DUPLICATE", "OWNED", "PLANTED", "build", "busybox", "debian_recipe", "facts"]

BIG = 5 << 20  # bytes of a file that a later layer deletes
OWNED = 40  # files of 10,000 bytes whose owner a later layer changes
DUPLICATE = 123_457  # bytes of a file that two layers have
PLANTED = r"""
FROM scratch
ADD base.tar /
RUN dd if=/dev/urandom of=/big bs=1M count=5 && mkdir -p /srv/more && chmod 2750 /srv/more
RUN chown -R 1000:1000 /srv
RUN rm /big
COPY own /opt/own
COPY own /opt/again
RUN rm -rf /old && mkdir /old && echo new > /old/passwd && ln /old/passwd /old/linked && rm /bin/vi
WORKDIR /srv
"""


def build(podman: Podman, place: Path, recipe: str = PLANTED, base: Path | None = None) -> dict[str, Path]:
    """Build an image below `place`, by default on a system of busybox; return its archives in both formats."""
    context = place / "context"
    context.mkdir(parents=True)
    (context / "Containerfile").write_text(recipe)
    (context / "own").write_bytes(os.urandom(DUPLICATE))
    if base is None:
        _base(context / "base.tar")
    else:
        os.link(base, context / "base.tar")
    policy = f"--signature-policy={podman.state / 'policy.json'}"
    options = ("--isolation=chroot", "--format=docker", "--layers", "--tag=localhost/planted:1")
    podman._podman("build", "--quiet", policy, *options, str(context), action="build an image")
    archives = {}
    for form in ("docker-archive", "oci-archive"):
        archives[form] = place / f"{form}.tar"
        output = (f"--format={form}", f"--output={archives[form]}")
        podman._podman("save", "--quiet", policy, *output, "localhost/planted:1", action="save an image")
    return archives


def busybox() -> list[Given]:
    """Return the member that brings a program that needs no libraries; none where it is not installed."""
    program = find_program("busybox")
    return [("busybox", {"mode": 0o755, "data": Path(program).read_bytes()})] if program else []


def debian_recipe(layers: int) -> str:
    """Return what builds an image of so many layers on Debian, as people build them; the network is the builder's."""
    install = "apt-get update && apt-get install -y --no-install-recommends"
    steps = [
        f"RUN {install} python3-minimal python3-setuptools && rm -rf /var/lib/apt/lists/*",
        "RUN useradd -m app && cp -r /usr/share/doc /srv/doc && dd if=/dev/urandom of=/srv/blob bs=1M count=50",
        "RUN chown -R app /srv/doc",
        "RUN rm /srv/blob",
        "COPY own /opt/own",
        "COPY own /opt/again",
        f"RUN {install} gcc libc6-dev && rm -rf /var/lib/apt/lists/*",
        "RUN rm -rf /usr/share/man /usr/share/locale",
    ]
    if layers < len(steps):
        steps = [steps[0], steps[-1]]
    for number in range(len(steps), layers - 1):
        files = f"echo {number} > /app/$i; echo {number} > /app/of-{number}/$i"
        steps.append(f"RUN mkdir -p /app/of-{number} && for i in $(seq 20); do {files}; done")
    return "\n".join(["FROM scratch", "ADD base.tar /", *steps[: layers - 1]])


def _base(target: Path) -> None:
    """Write a base system of busybox alone."""
    program = find_program("busybox")
    assert program is not None
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(target, "w") as archive:
        for name in ("bin", "etc", "old", "srv", "tmp", "dev", "proc", "opt"):
            header = tarfile.TarInfo(name)
            header.type, header.mode, header.mtime = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755, 1_500_000_000
            archive.addfile(header)
        archive.add(program, "bin/busybox")
        for applet in {*applets} - {"busybox"}:
            header = tarfile.TarInfo(f"bin/{applet}")
            header.type, header.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(header)
        for number in range(OWNED):
            _add(archive, f"srv/{number}", f"{number} ".encode() * 10_000)
        _add(archive, "old/passwd", b"root:x:0:0::/:/bin/sh\n")
        _add(archive, "old/keys", b"0" * 100, mode=0o600)


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    header = tarfile.TarInfo(name)
    content = content[:10_000]
    header.size, header.mode = len(content), mode
    archive.addfile(header, io.BytesIO(content))


def facts(root: Path) -> dict[str, object]:
    """Return what each path below `root` is, with owner, mode, time, attributes, links and content."""
    found: dict[str, object] = {}
    for top, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = os.path.join(top, name)
            state = os.lstat(path)
            content = ""
            if stat.S_ISREG(state.st_mode):
                content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            elif stat.S_ISLNK(state.st_mode):
                content = os.readlink(path)
            names = sorted(os.listxattr(path, follow_symlinks=False))
            attributes = [(key, os.getxattr(path, key, follow_symlinks=False)) for key in names]
            links = 0 if stat.S_ISDIR(state.st_mode) else state.st_nlink
            # A whiteout's time is that of its making, and its mode nobody's.
            whiteout = stat.S_ISCHR(state.st_mode) and not state.st_rdev
            own = () if whiteout else (oct(state.st_mode), state.st_uid, state.st_gid, state.st_mtime_ns)
            found[os.path.relpath(path, root)] = (*own, state.st_rdev, links, content, attributes)
    return found
