"""A virtual machine without hardware virtualisation, whose clock counts the instructions that it executes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.host.packages import find_program, install_hint
from bench.kernel.guest import BLOCK
from bench.kernel.namespaces import TETHER

__all__ = ["CPU", "PROGRAM", "VirtualMachine", "command_line"]

PROGRAM = "qemu-system-x86_64"
CPU = "max"
SILENCE = 180.0  # seconds without a message after which a guest hangs; a unit takes one or two
CHUNK = 1 << 20  # bytes read at a time
CONSOLE_LINES = 6  # of a guest that failed, shown to the user
# Fewer instructions, and the same ones in each boot. Names with = that the kernel does not know become init's
# environment (Documentation/admin-guide/kernel-parameters.rst).
KERNEL_OPTIONS = (
    *("console=ttyS0", "quiet", "loglevel=0", "panic=-1", "mitigations=off", "nokaslr", "norandmaps", "tsc=reliable"),
    *("random.trust_cpu=on", "transparent_hugepage=never"),
    *("PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=/suite", "PATH=/usr/bin"),
)


def command_line(block: int) -> str:
    """Return the kernel's command line for a block."""
    return " ".join((*KERNEL_OPTIONS, f"{BLOCK}{block}"))


@dataclass
class VirtualMachine:
    """One boot of `kernel` with the initramfs in the open file `image`, which measures block `block`.

    `seed` fixes whatever the guest draws at random. There is no device that the host completes in its own time.
    """

    kernel: Path
    image: int
    seed: int
    block: int
    memory_mib: int

    def __post_init__(self) -> None:
        """Make the files that take what the guest writes, and start it."""
        program = find_program(PROGRAM)
        if program is None:
            raise BenchError("no guest can be started", why=f"{PROGRAM} is not installed", fix=install_hint(PROGRAM))
        self._console, self._rows = os.memfd_create("console"), os.memfd_create("rows")
        self._read = b""
        self._offset = 0
        self.heard = time.monotonic()
        descriptors = (self.image, self._console, self._rows)
        self._process = subprocess.Popen(
            [*TETHER, program, *self._arguments(*descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _arguments(self, image: int, console: int, rows: int) -> Sequence[str]:
        return (
            *("-M", "q35", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", str(self.memory_mib)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot"),
            *("-icount", "shift=0,sleep=off", "-seed", str(self.seed), "-rtc", "base=2026-01-01T00:00:00,clock=vm"),
            *("-serial", f"file:/proc/self/fd/{console}", "-serial", f"file:/proc/self/fd/{rows}"),
            *("-kernel", str(self.kernel), "-initrd", f"/proc/self/fd/{image}", "-append", command_line(self.block)),
        )

    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Return the messages that arrived since the last call."""
        new = _content(self._rows, self._offset)
        self._offset += len(new)
        if new:
            self.heard = time.monotonic()
        *lines, self._read = (self._read + new).split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    @property
    def alive(self) -> bool:
        """Whether the guest runs."""
        return self._process.poll() is None

    @property
    def silent(self) -> bool:
        """Whether it sent nothing for so long that it must hang."""
        return time.monotonic() - self.heard > SILENCE

    def stop(self) -> None:
        """End the machine; what it wrote can be read until `close`."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Forget what it wrote."""
        self.stop()
        if self._process.stderr is not None:
            self._process.stderr.close()
        os.close(self._console)
        os.close(self._rows)

    def last_words(self) -> str:
        """Return why the kernel panicked, or the last lines of the console, or what QEMU complained of."""
        text = _content(self._console, 0).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines and self._process.poll() is not None and self._process.stderr is not None:
            lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        panics = [line for line in lines if "Kernel panic" in line]
        return " | ".join(panics[:1] or lines[-CONSOLE_LINES:]) or "nothing on its console"


def _content(descriptor: int, offset: int) -> bytes:
    """Return what a file has from `offset` on."""
    chunks = []
    while chunk := os.pread(descriptor, CHUNK, offset):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)
