"""The channel from a guest to its host: one JSON object a line on a serial port."""

from __future__ import annotations

import json
import os
import termios
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.measure.runner import Listener
from bench.model import Cell, Sample
from bench.store.writer import row

__all__ = ["PORT", "Channel", "ChannelListener", "ChannelWriter"]

PORT = Path("/dev/ttyS1")


class Channel:
    """The guest's end. Each line has left the guest when `send` returns: nothing of it runs beside a timed call."""

    def __init__(self, path: Path = PORT) -> None:
        """Open the port without any translation of characters."""
        self._port = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        if os.isatty(self._port):
            tty.setraw(self._port)

    def send(self, kind: str, value: Any) -> None:
        """Send one message."""
        line = json.dumps({kind: msgspec.to_builtins(value)}, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._port, line) :]
        if os.isatty(self._port):
            termios.tcdrain(self._port)


class ChannelWriter:
    """Takes a run's rows and provenance as `bench.store.writer.RunWriter` does, and sends them to the host."""

    def __init__(self, channel: Channel, directory: Path, provenance: Mapping[str, Any]) -> None:
        self.directory, self.provenance, self._channel = directory, dict(provenance), channel
        self.save(**provenance)

    def add(self, sample: Sample) -> None:
        """Send one row."""
        self._channel.send("row", row(sample))

    def save(self, **changes: Any) -> None:
        """Send what changed of run.json."""
        self.provenance.update(changes)
        self._channel.send("save", changes)

    def close(self) -> None:
        """Do nothing: the host ends the run."""


class ChannelListener(Listener):
    """Sends progress to the host."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __enter__(self) -> ChannelListener:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to end."""

    def phase(self, text: str) -> None:
        """A new phase."""
        self._channel.send("phase", text)

    def unit(self, cell: Cell, block: int, done: int, left: float) -> None:
        """A unit starts."""
        self._channel.send("unit", f"{cell.scenario} {cell.arm.name} depth {cell.depth}")

    def figures(self, text: str) -> None:
        """Headline figures are made by the host."""

    def problem(self, text: str) -> None:
        """A unit failed."""
        self._channel.send("problem", text)
