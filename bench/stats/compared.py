"""What the rows of a run that compared arms say: each comparison judged again from its pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.model import TURNS, Param, format_size
from bench.stats.estimate import Estimate, centre
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
    """One comparison: what was compared, what it says, and whether the control stood still.

    `a` and `b` are the two sides as they are written, with the parameters in which they differ; `where` is what
    they share. `times` are the centres of the sides' times in the set-up that the verdict is from; `in_turns`, whether
    the units of a pair ran at the same time; `without_effect`, which options of either side had no effect.
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
        """The comparison within its scenario, for a list of verdicts."""
        return f"{self.metric} {self.a} → {self.b} ({self.where})"

    @property
    def control_moved(self) -> bool:
        """Whether a plain directory beside itself came out different."""
        return self.control.word in {Word.SLOWER, Word.FASTER}

    @property
    def way(self) -> str:
        """How the units of a pair ran."""
        return "in turns" if self.in_turns else "one after the other"

    def sentence(self) -> str:
        """Return the verdict for a reader."""
        verdict, delta = self.verdict, f"{self.procedure.delta:.3g}"
        words = {
            Word.SLOWER: "slower",
            Word.FASTER: "faster",
            Word.SAME: f"same within {float(delta):.0%}",
            Word.INCONCLUSIVE: "inconclusive",
        }
        told = verdict.ratio.text("×") if verdict.ratio.n else "no ratio"
        reason = f" ({verdict.reason})" if verdict.reason else ""
        return f"{words[verdict.word]}: {told}{reason}"


def compared(run: Run) -> list[Compared]:
    """Return every comparison of `run`; raises BenchError where the run compared nothing."""
    told = run.provenance.comparisons
    if not told:
        raise BenchError(f"run {run.id} compares no arms", fix="`python -m bench ab` makes one that does")
    if run.units.empty:
        raise BenchError(f"run {run.id} has no unit", why="it ended before the first one", fix="give it more time")
    try:
        return [_compared(run, number, facts) for number, facts in enumerate(told)]
    except ValueError as error:
        path = run.directory / "run.json"
        raise BenchError(f"{path} does not tell its comparisons", why=str(error), fix="restore the file") from error


def _compared(run: Run, number: int, facts: Compares) -> Compared:
    procedure = Procedure(facts.alpha, facts.delta, facts.looks)
    metric, a, b = facts.metric, facts.a, facts.b
    times, units = run.times, run.units
    if "comparison" not in units:
        raise ValueError("its rows name no comparison")
    mine = times[(times["comparison"] == number) & (times["metric"] == metric)]
    rows = units[units["comparison"] == number]
    by_setup = [paired_times(mine[mine["setup"] == setup], "a", "b") for setup in (1, 2)]
    controls = [paired_times(mine[mine["setup"] == setup], "control a", "control b") for setup in (1, 2)]
    first = judge(*by_setup[0], procedure)
    second = judge(*by_setup[1], procedure) if len(by_setup[1][0]) else None
    verdict = confirmed(first, second)
    deciding = by_setup[0] if verdict.second is None else by_setup[1]
    return Compared(
        number=number,
        scenario=facts.scenario,
        metric=metric,
        a=side_text(a, b),
        b=side_text(b, a),
        where=_shared(a, b),
        procedure=procedure,
        verdict=verdict,
        times=(centre(deciding[0]), centre(deciding[1])) if len(deciding[0]) else None,
        in_turns=any(how.get("operations") == TURNS for how in rows["how"].unique()),
        control=_control([judge(*pairs, procedure) for pairs in controls if len(pairs[0])], procedure),
        units=len(rows),
        failed=int((rows["error"] != "").sum()),
        seconds=float(rows["started"].max() - rows["started"].min()) if len(rows) else 0.0,
        without_effect=tuple(map(str, without_effect(rows))),
    )


def paired_times(times: pd.DataFrame, first: str, second: str) -> tuple[Floats, Floats]:
    """Return the two sides' times of the blocks that have both, in the order measured."""
    wide = times[times["side"].isin([first, second])]
    table = (
        wide.astype({"side": str})
        .pivot_table(index="block", columns="side", values="value")
        .reindex(columns=[first, second])
    )
    table = table[(table > 0).all(axis=1)]
    return table[first].to_numpy(dtype=np.float64), table[second].to_numpy(dtype=np.float64)


def _control(decisions: list[Decision], procedure: Procedure) -> Decision:
    """Return the control's decision of the set-up in which it moved, else of the last."""
    moved = [one for one in decisions if one.word in {Word.SLOWER, Word.FASTER}]
    return (moved or decisions or [judge([], [], procedure)])[-1]


def side_text(own: Side, other: Side) -> str:
    """Return a side as it is written, with the parameters in which it differs from the other."""
    mine, theirs = own.facts, other.facts
    parts = [f"{key}={_value(key, value)}" for key, value in mine.items() if theirs.get(key) != value]
    return ",".join([own.arm, *parts])


def _shared(a: Side, b: Side) -> str:
    mine, theirs = a.facts, b.facts
    return ", ".join(f"{key} {_value(key, value)}" for key, value in mine.items() if theirs.get(key) == value)


def _value(key: str, value: Param) -> str:
    return format_size(value) if key == "size" and isinstance(value, int) else str(value)
