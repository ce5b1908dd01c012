"""What a scenario's rows mean.

`scenarios/NAME/reading.py` defines one `READING`. It imports nothing that needs Linux, root or a driver, so that a
run can be read anywhere. What its measuring part must know as well (numbers that the method speaks of) lies here, and
`measure.py` imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.reading.analysis import Analysis
    from bench.reading.claims import Answer, Finding, Table
    from bench.reading.laws import Law, Metric

__all__ = ["Judge", "Reading"]

Judge = Callable[["Analysis"], Iterable["Finding"]]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One question, its metrics in words, and what is concluded from them.

    `method` says how it is measured, for the page. `answers` and `tables` make what the page says from an analysis;
    `claims` maps the id of a claim to what judges it (bench.reading.claims).
    """

    name: str
    question: str
    method: str
    order: int  # its place among the scenarios of a report
    metrics: tuple[Metric, ...]
    judged_metric: str  # stands for the scenario in summaries and in gates
    laws: tuple[Law, ...] = ()
    answers: Callable[[Analysis], Iterable[Answer]] = lambda analysis: ()
    claims: Mapping[str, Judge] = field(default_factory=dict)
    tables: Callable[[Analysis], Iterable[Table]] = lambda analysis: ()  # beside those of every section

    def metric(self, name: str) -> Metric:
        """Return the metric `name`."""
        return next(metric for metric in self.metrics if metric.name == name)
