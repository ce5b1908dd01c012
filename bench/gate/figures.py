"""The name of a figure: what was counted or timed, of which scenario, on which arm, in which cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.model import Temperature
from bench.reading.analysis import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Figure", "rows"]

COMPARED = "comparison"  # the parameter of cells that a comparison of two arms measured
_TEMPERATURES = "|".join(re.escape(one.value) for one in Temperature)
# An arm may hold spaces (the arguments of mkfs do), so it ends where temperature and depth begin.
_TEXT = re.compile(rf"(\S+) (\S+) (\S.*?) ((?:{_TEMPERATURES}) depth=\d+(?: .+)?)")


@dataclass(frozen=True, order=True)
class Figure:
    """A figure: `copy_up open_bytes overlay2@ext4 hot depth=8 position=bottom size=4096`.

    `what` is a counter or a metric, `where` the temperature, the depth and the parameters by name.
    """

    scenario: str
    what: str
    arm: str
    where: str

    @property
    def name(self) -> str:
        """The figure within its scenario."""
        return f"{self.what} {self.arm} {self.where}"

    def __str__(self) -> str:
        return f"{self.scenario} {self.name}"

    @staticmethod
    def parse(text: str) -> Figure:
        """Return the figure that is written `text`; raises ValueError if it is none."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not SCENARIO FIGURE ARM TEMPERATURE depth=N …")
        return Figure(*match.groups())

    @staticmethod
    def of(row: Row, what: str, parameters: Sequence[str]) -> Figure:
        """Return the figure in the column `what` of a row of an analysis."""
        own = [f"{key}={row[key]}" for key in ("depth", *sorted(parameters)) if key in row]
        where = " ".join([str(row["temperature"]), *own])
        return Figure(str(row["scenario"]), str(row[what]), str(row["arm"]), where)


def rows(frame: pd.DataFrame, *, compared: bool = False) -> Iterator[Row]:
    """Yield the rows of a frame of an analysis, each without what it has not.

    Cells that a comparison measured are left out unless `compared`: how many units they have, and so
    between what their figures lie, depends on when the comparison was decided.
    """
    present = frame.notna().to_numpy(dtype=bool)
    columns = [str(column) for column in frame.columns]
    for values, known in zip(frame.astype(object).to_numpy(), present, strict=True):
        row = {column: value for column, value, has in zip(columns, values, known, strict=True) if has}
        if compared or COMPARED not in row:
            yield row
