"""The name of a figure: its scenario, counter or metric, arm and cell."""

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

COMPARED = "comparison"  # the parameter that marks the cells of a comparison of two arms
_TEMPERATURES = "|".join(re.escape(temperature.value) for temperature in Temperature)
# An arm may contain spaces (from arguments of mkfs), so it ends where temperature and depth begin.
_TEXT = re.compile(rf"(\S+) (\S+) (\S.*?) ((?:{_TEMPERATURES}) depth=\d+(?: .+)?)")


@dataclass(frozen=True, order=True)
class Figure:
    """The name of a figure: `copy_up open_bytes overlay2@ext4 hot depth=8 position=bottom size=4096`.

    `what` is a counter or a metric; `where` is the temperature, the depth and the parameters.
    """

    scenario: str
    what: str
    arm: str
    where: str

    @property
    def name(self) -> str:
        """The name of the figure within its scenario."""
        return f"{self.what} {self.arm} {self.where}"

    def __str__(self) -> str:
        return f"{self.scenario} {self.name}"

    @staticmethod
    def parse(text: str) -> Figure:
        """Parse the text form of a figure; raises ValueError if `text` is not a figure."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not SCENARIO FIGURE ARM TEMPERATURE depth=N …")
        return Figure(*match.groups())

    @staticmethod
    def of(row: Row, what: str, parameters: Sequence[str]) -> Figure:
        """Return the figure of a row of an analysis; `what` is the column with its counter or metric."""
        parts = [f"{key}={row[key]}" for key in ("depth", *sorted(parameters)) if key in row]
        where = " ".join([str(row["temperature"]), *parts])
        return Figure(str(row["scenario"]), str(row[what]), str(row["arm"]), where)


def rows(frame: pd.DataFrame, *, compared: bool = False) -> Iterator[Row]:
    """Yield the rows of a frame of an analysis, without columns that are missing in a row.

    Cells of comparisons are left out unless `compared`: the number of their units, and so the range of
    their figures, depends on when the comparison was decided.
    """
    present = frame.notna().to_numpy(dtype=bool)
    columns = [str(column) for column in frame.columns]
    for values, flags in zip(frame.astype(object).to_numpy(), present, strict=True):
        row = {column: value for column, value, has in zip(columns, values, flags, strict=True) if has}
        if compared or COMPARED not in row:
            yield row
