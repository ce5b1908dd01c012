"""The comparisons of a run, each judged again from the pairs in its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.model import TURNS, Param, format_size
from bench.stats.estimate import Estimate, geometric
from bench.stats.paired import Decision, Procedure, Verdict, Word, confirmed, judge
from bench.store.effects import without_effect
from bench.store.reader import Run
from bench.store.records import Compares, Side

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Compared", "compared", "paired_times", "side_text"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """One comparison: the two sides, the verdict, and the decision on its control.

    `a` and `b` are the two sides in writing, with the parameters in which they differ; `where` names the parameters
    they share. `times` are the centres of both sides' times in the set-up that gave the verdict. `in_turns` is true if
    the units of a pair ran at the same time. `without_effect` lists the options of either side that had no effect.
    """

    number: int
    scenario: str
    metric: str
    a: str
    b: str
    where: str
    procedure: Procedure
    verdict: Verdict
    times: tuple[Estimate, Estimate] | None
    in_turns: bool
    control: Decision
    units: int
    failed: int
    seconds: float
    without_effect: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the comparison within its scenario, for a list of verdicts."""
        return f"{self.metric} {self.a} → {self.b} ({self.where})"

    @property
    def control_moved(self) -> bool:
        """Whether the control, a plain directory against itself, was judged different."""
        return self.control.word in {Word.SLOWER, Word.FASTER}

    @property
    def way(self) -> str:
        """How the units of a pair ran, in words."""
        return "in turns" if self.in_turns else "one after the other"

    def sentence(self) -> str:
        """Return the verdict as text, with the ratio and the reason."""
        verdict, delta = self.verdict, f"{self.procedure.delta:.3g}"
        words = {
            Word.SLOWER: "slower",
            Word.FASTER: "faster",
            Word.SAME: f"same within {float(delta):.0%}",
            Word.INCONCLUSIVE: "inconclusive",
        }
        ratio = verdict.ratio.text("×") if verdict.ratio.n else "no ratio"
        reason = f" ({verdict.reason})" if verdict.reason else ""
        return f"{words[verdict.word]}: {ratio}{reason}"


def compared(run: Run) -> list[Compared]:
    """Return every comparison of `run`; raises BenchError if it has none."""
    records = run.provenance.comparisons
    if not records:
        raise BenchError(f"run {run.id} compares no arms", fix="`python -m bench ab` makes one that does")
    if run.units.empty:
        raise BenchError(f"run {run.id} has no unit", why="it ended before the first one", fix="give it more time")
    try:
        return [_compared(run, number, record) for number, record in enumerate(records)]
    except ValueError as error:
        path = run.directory / "run.json"
        raise BenchError(f"{path} does not tell its comparisons", why=str(error), fix="restore the file") from error


def _compared(run: Run, number: int, record: Compares) -> Compared:
    procedure = Procedure(record.alpha, record.delta, record.looks)
    metric, a, b = record.metric, record.a, record.b
    times, units = run.times, run.units
    if "comparison" not in units:
        raise ValueError("its rows name no comparison")
    measured = times[(times["comparison"] == number) & (times["metric"] == metric)]
    rows = units[units["comparison"] == number]
    by_setup = [paired_times(measured[measured["setup"] == setup], "a", "b") for setup in (1, 2)]
    controls = [paired_times(measured[measured["setup"] == setup], "control a", "control b") for setup in (1, 2)]
    first = judge(*by_setup[0], procedure)
    second = judge(*by_setup[1], procedure) if len(by_setup[1][0]) else None
    verdict = confirmed(first, second)
    deciding = by_setup[0] if verdict.second is None else by_setup[1]
    return Compared(
        number=number,
        scenario=record.scenario,
        metric=metric,
        a=side_text(a, b),
        b=side_text(b, a),
        where=_shared(a, b),
        procedure=procedure,
        verdict=verdict,
        times=(geometric(deciding[0]), geometric(deciding[1])) if len(deciding[0]) else None,
        in_turns=any(how.get("operations") == TURNS for how in rows["how"].unique()),
        control=_control([judge(*pairs, procedure) for pairs in controls if len(pairs[0])], procedure),
        units=len(rows),
        failed=int((rows["error"] != "").sum()),
        seconds=float(rows["started"].max() - rows["started"].min()) if len(rows) else 0.0,
        without_effect=tuple(map(str, without_effect(rows))),
    )


def paired_times(times: pd.DataFrame, first: str, second: str) -> tuple[Floats, Floats]:
    """Return the times of both sides of every block that has both, in the order measured."""
    rows = times[times["side"].isin([first, second])]
    table = (
        rows.astype({"side": str})
        .pivot_table(index="block", columns="side", values="value")
        .reindex(columns=[first, second])
    )
    table = table[(table > 0).all(axis=1)]
    return table[first].to_numpy(dtype=np.float64), table[second].to_numpy(dtype=np.float64)


def _control(decisions: list[Decision], procedure: Procedure) -> Decision:
    """Return the decision of the last set-up in which the control moved, else of the last set-up."""
    moved = [decision for decision in decisions if decision.word in {Word.SLOWER, Word.FASTER}]
    return (moved or decisions or [judge([], [], procedure)])[-1]


def side_text(own: Side, other: Side) -> str:
    """Return a side in writing: its arm and the parameters in which it differs from the other side."""
    parameters = other.facts
    parts = [f"{key}={_value(key, value)}" for key, value in own.facts.items() if parameters.get(key) != value]
    return ",".join([own.arm, *parts])


def _shared(a: Side, b: Side) -> str:
    parameters = b.facts
    return ", ".join(f"{key} {_value(key, value)}" for key, value in a.facts.items() if parameters.get(key) == value)


def _value(key: str, value: Param) -> str:
    return format_size(value) if key == "size" and isinstance(value, int) else str(value)
