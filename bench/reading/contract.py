"""The contract of a reading, which tells what a scenario's rows mean.

`scenarios/NAME/reading.py` defines one `READING`. It imports nothing that needs Linux, root or a driver, so that a
run can be read anywhere. Constants that both parts need, such as numbers in the method's text, are defined in it, and
`measure.py` imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from bench.model import NANOSECONDS

if TYPE_CHECKING:
    from bench.reading.analysis import Analysis
    from bench.reading.claims import Answer, Finding, Table
    from bench.reading.headlines import Glance, Headline
    from bench.reading.laws import Law, Metric

__all__ = ["Judge", "Reading"]

Judge = Callable[["Analysis"], Iterable["Finding"]]
Timed = TypeVar("Timed", "Metric", "Headline")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One question, its metrics, and the functions that draw conclusions from them.

    `method` is the description of the measurement for the page. `answers` and `tables` make the page's answers and
    tables from an analysis; `claims` maps the id of a claim to the function that judges it (bench.reading.claims).
    """

    name: str
    question: str
    method: str
    order: int  # its position among the scenarios of a report
    metrics: tuple[Metric, ...]
    judged_metric: str  # represents the scenario in summaries and gates
    headlines: tuple[Headline, ...] = ()
    glance: Glance | None = None
    costs: tuple[Headline, ...] = ()  # ratios to native: columns of the matrix of drivers
    laws: tuple[Law, ...] = ()
    answers: Callable[[Analysis], Iterable[Answer]] = lambda analysis: ()
    claims: Mapping[str, Judge] = field(default_factory=dict)
    tables: Callable[[Analysis], Iterable[Table]] = lambda analysis: ()  # in addition to those of every section

    def metric(self, name: str) -> Metric:
        """Return the metric `name`."""
        return next(metric for metric in self.metrics if metric.name == name)

    def timed_in(self, unit: str) -> Reading:
        """Return this reading of a run whose clock counted in `unit`, in place of nanoseconds."""

        def timed(items: tuple[Timed, ...]) -> tuple[Timed, ...]:
            return tuple(replace(item, unit=unit) if item.unit == NANOSECONDS else item for item in items)

        return replace(self, metrics=timed(self.metrics), headlines=timed(self.headlines), costs=timed(self.costs))
