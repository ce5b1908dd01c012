"""Whether this kernel is that of a guest of the suite, told by its command line."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BLOCK", "block"]

BLOCK = "bench.block="  # on the kernel's command line, with the number of the block to measure


def block(command_line: Path = Path("/proc/cmdline")) -> int | None:
    """Return the number of the block that this guest measures; None outside of guests."""
    words = command_line.read_text(encoding="ascii", errors="replace").split()
    return next((int(word.removeprefix(BLOCK)) for word in words if word.startswith(BLOCK)), None)
