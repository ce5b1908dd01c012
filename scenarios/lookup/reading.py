"""The cost that a layer adds to a lookup, by temperature and kind of name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import NATIVE, Arm, Param, Temperature
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Glance, Headline, Slope, TimesNative
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis
    from bench.stats.fit import Line

NAMES = 8  # names looked up per kind of lookup in a unit
# For hits in the bottom layer and for misses, whose laws are reported. With 8 names two units of a cell differed by 7
# to 11 % in the median, with 32 by 5 %, for 2 ms more.
MORE_NAMES = 32
# For the same in a comparison, which looks up only the kind it judges. On a quiet host two units then differed by half
# as much as with 32, for 1.4 times their time; on a noisy one, whose neighbours use the shared cache, by as much.
JUDGED_NAMES = 128
PASSES = 16  # over the hot names in each part
HOT_PARTS = 4  # a hot lookup stays hot, so it can be timed at several quiet moments of a unit
NEW_WORDS = "in a new container of an image in use"

SPOKEN_OF = ("overlay2", "fuse-overlayfs")  # drivers in the answers; the tables have all
# Conditions of the headline figures.
COLD = {"temperature": Temperature.COLD.value}
NEW = {"temperature": Temperature.NEW.value}
DEEP = 32  # layers at which a lookup is held against one in a plain directory
HOT_DEEP: dict[str, Param] = {"temperature": Temperature.HOT.value, "depth": DEEP}


def _hot(line: Line, unit: str) -> str:
    """Return whether depth matters for a name that was looked up before, as text."""
    growth = f"{line.growth.scaled(100).text('%')} over {line.x_low:.0f} to {line.x_high:.0f} layers"
    if line.shape == "flat":
        return f"once looked up, depth does not matter ({growth})"
    if line.shape == "undecided":
        return f"whether it matters once looked up is undecided ({growth})"
    return f"once looked up, {line.slope.text(unit)}"


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the cost of a layer per cold lookup, and that of the first access in a directory."""
    unit = analysis.time_unit
    for arm in analysis.arms("lookup"):
        for metric, name_text in (("bottom", "of a file in the bottom layer"), ("miss", "of a name that no layer has")):
            costs = [
                f"{law.line.slope.text(unit)} {state}"
                for temperature, state in ((Temperature.COLD, "cold"), (Temperature.NEW, NEW_WORDS))
                if (law := analysis.law("lookup", metric, "depth", arm, temperature=temperature.value))
            ]
            hot = analysis.law("lookup", metric, "depth", arm, temperature=Temperature.HOT.value)
            if costs and arm.driver == "overlay2":
                hot_text = _hot(hot.line, unit) if hot else "hot lookups were not measured"
                yield Answer(f"A layer costs, per lookup {name_text}, {', '.join(costs)}; {hot_text}.", arm, "lookup")
        yield from _first(analysis, arm)


def _first(analysis: Analysis, arm: Arm) -> Iterator[Answer]:
    """Yield the cost of the first access in a directory, at the largest depth that was measured."""
    unit = analysis.time_unit
    cells = analysis.cells
    arm_cells = cells[(cells["scenario"] == "lookup") & (cells["arm"] == str(arm))]
    if arm.stack in SPOKEN_OF and len(arm_cells):
        depth = int(arm_cells["depth"].max())
        new, cold = (
            analysis.cell("lookup", arm, "first", depth=depth, temperature=temperature.value)
            for temperature in (Temperature.NEW, Temperature.COLD)
        )
        if new is not None:
            cold_text = f", {cold.text(unit)} cold" if cold else ""
            yield Answer(
                f"The first access in a directory that all of {depth} layers hold costs {new.text(unit)} in a new "
                f"container of an image in use{cold_text}.",
                arm,
                "lookup",
            )


def judge_topmost(analysis: Analysis) -> Iterator[Finding]:
    """C5: whether a file in every layer is read from the topmost one, checked in every unit."""
    for arm in analysis.arms("lookup"):
        tally = analysis.tally("lookup", arm, "reads_topmost")
        if tally is not None and arm.driver != NATIVE:
            yield Finding(
                str(arm),
                Outcome.CONFIRMED if tally[0] == tally[1] else Outcome.REFUTED,
                f"a file that all layers hold read as the topmost layer's in {tally[0]:,} of {tally[1]:,} units; "
                "directories merge, so this is true of everything else",
            )


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: the combinations that this run mounted."""
    units = analysis.units("lookup")
    for arm in analysis.arms("lookup"):
        valid = int(((units["arm"] == str(arm)) & (units["error"] == "")).sum())
        if arm.driver == NATIVE:
            continue
        yield Finding(str(arm), Outcome.QUALIFIED, f"mounted and measured in {valid} units")


READING = Reading(
    name="lookup",
    question="What does finding a name cost as layers grow?",
    method=(
        "access(2) on names relative to the container's root, each name once per unit; a unit's observation of a "
        f"kind of lookup is the median of its names ({MORE_NAMES} in the bottom layer and of misses, else {NAMES}), in "
        f"random order (hot: of {HOT_PARTS} times {PASSES} passes over them, each timed as a whole). The first access "
        "in a directory is timed apart (`first`): it brings that directory in from every layer. `nested` walks a "
        "path of four directories that nothing has walked before. A comparison looks up only the kind that it judges, "
        f"{JUDGED_NAMES} names of it in the bottom layer or of misses, each unit of a pair half of them. "
        "Hot: this container has looked the names up. New container: another container of the image has. Cold: the "
        "backing file system was unmounted and mounted again."
    ),
    order=1,
    metrics=(
        Metric("bottom", "hit in the bottom layer"),
        Metric("middle", "hit in the middle layer"),
        Metric("top", "hit in the top layer"),
        Metric("miss", "miss"),
        Metric("nested", "path of four directories, all in every layer"),
        Metric("alone_hit", "hit where only the bottom layer has the directory"),
        Metric("alone_miss", "miss where only the bottom layer has the directory"),
        Metric("first", "first access in a directory that every layer holds"),
    ),
    judged_metric="bottom",
    headlines=(
        Headline("lookup_layer_cold", "a layer, per cold lookup", "ns", Slope("bottom", "depth", COLD)),
        Headline("lookup_layer_new", "a layer, per lookup, new container", "ns", Slope("bottom", "depth", NEW)),
        Headline("lookup_hot_times_native", "hot lookup, times native", "×", TimesNative("bottom", HOT_DEEP)),
    ),
    glance=Glance("a lookup against the number of layers", "bottom", "depth", "temperature"),
    costs=(Headline("lookup", "lookup", "×", TimesNative("bottom", NEW | {"depth": DEEP})),),
    laws=tuple(
        Law(metric, "depth", f"{title}, {temperature}", {"temperature": temperature.value}, per_name="layer")
        for metric, title in (
            ("bottom", "hit in the bottom layer"),
            ("miss", "miss"),
            ("alone_hit", "hit where one layer has the directory"),
            ("alone_miss", "miss where one layer has the directory"),
        )
        for temperature in Temperature
    ),
    answers=answers,
    claims={"C5": judge_topmost, "C2": judge_backing},
)
