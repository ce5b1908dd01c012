"""Progress of a run on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from bench.model import Cell

__all__ = ["Console"]

PLAIN_SECONDS = 10.0  # between plain lines
LEFT_COLUMNS = 36  # `36 of 36 figures within 5 %, 105 s left`, or nearly
PROBLEMS_SHOWN = 5  # further ones are in the rows only


class Console:
    """A bench.measure.runner.Listener that prints; created and entered in the run's process."""

    def __init__(self, seconds: float, *, quiet: bool = False) -> None:
        """`seconds` is the run's total time."""
        self.seconds, self.quiet = seconds, quiet
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._last = 0.0
        self._problems = 0
        self._figures = ""

    def __enter__(self) -> Console:
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
            from rich.table import Column

            def still(text: str, width: int | None = None) -> TextColumn:
                """A column that keeps its place, whatever it says."""
                return TextColumn(text, table_column=Column(width=width, ratio=None if width else 1, no_wrap=True))

            columns = (
                still("{task.fields[where]}"),
                BarColumn(bar_width=24),
                still("{task.percentage:>3.0f} %", 5),
                still("{task.fields[left]}", LEFT_COLUMNS),
                TimeElapsedColumn(),
            )
            self._live = Progress(*columns, console=RichConsole(stderr=True), transient=True, expand=True)
            self._task = self._live.add_task("run", total=self.seconds, where="starting", left="")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def phase(self, text: str) -> None:
        """Show a phase; without a terminal at most one line per PLAIN_SECONDS."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, where=text)
        elif not self.quiet and self._due():
            self._line(text)

    def unit(self, cell: Cell, block: int, done: int, left: float) -> None:
        """Show the unit that starts, the number of units done, and when the run will end."""
        position = f"{cell.scenario} {cell.arm.name} depth {cell.depth} {cell.temperature} block {block + 1}"
        left = max(left, 0.0)
        end = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        reached = self._figures or f"{done} units"
        if self._live is not None and self._task is not None:
            short = f"{reached}, {left:.0f} s left"
            self._live.update(self._task, where=position, left=short, completed=self.seconds - left)
        elif not self.quiet and self._due():
            units = f"{done} units, " if self._figures else ""
            self._line(f"{units}{reached}, {left:.0f} s left, ends {end}; now {position}")

    def figures(self, text: str) -> None:
        """Take note of how precise the headline figures are, which the next lines say."""
        self._figures = text

    def problem(self, text: str) -> None:
        """Report a failed unit."""
        self._problems += 1
        if self._problems <= PROBLEMS_SHOWN:
            suffix = " (further ones are only in the rows)" if self._problems == PROBLEMS_SHOWN else ""
            self._line(f"failed: {text}{suffix}")

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS:
            return False
        self._last = now
        return True
