"""Whether Docker's layout is that of the layers built by hand, and the cost of loading an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

MOST = 125  # layers that Docker accepts (moby, layer/layer_store.go, maxLayerDepth)
FEW, MANY = 3, 1000  # files of a layer
COSTS = ("engine", "layers", "files of each", "loaded by the engine", "laid out by hand", "the engine's, times by hand")


def judge_layout(analysis: Analysis) -> Iterator[Finding]:
    """C4: the files and directories in an engine's own layers."""
    for arm in analysis.arms(READING.name):
        if arm.stack != "docker/overlay2":
            continue
        depth = analysis.depth(READING.name, MOST)
        names = ("link", "lower", "diff", "work", "merged", "committed")
        rows = {
            name: analysis.counter(READING.name, arm, f"layers_with_{name}", depth=depth, files=FEW) for name in names
        }
        relative = {
            number: row["maximum"]
            for number in (1, 5, 72, MOST)
            if (row := analysis.counter(READING.name, arm, "relative_lower", depth=number, files=FEW)) is not None
        }
        bottom, merged = (
            analysis.counter(READING.name, arm, name, depth=depth, files=FEW)
            for name in ("bottom_lower", "merged_running")
        )
        if any(row is None for row in rows.values()) or bottom is None or merged is None:
            continue
        counted = ", ".join(f"{name} {row['maximum']:.0f}" for name, row in rows.items() if row is not None)
        ways = ", ".join(f"{'relative' if value else 'absolute'} at {number}" for number, value in relative.items())
        yield Finding(
            str(arm),
            Outcome.QUALIFIED,
            f"of {depth} layers that dockerd made, at rest, so many hold: {counted}; the bottom one has "
            f"{bottom['maximum']:.0f} of lower and work; a running container has {merged['maximum']:.0f} merged; paths "
            f"of the mount by l/: {ways}",
        )


def judge_depth(analysis: Analysis) -> Iterator[Finding]:
    """C3: the number of layers that Docker accepts."""
    for arm in analysis.arms(READING.name):
        tally = analysis.tally(READING.name, arm, "refuses_126")
        if tally is not None and tally[0] == tally[1] and arm.stack == "docker/overlay2":
            text = f"dockerd loaded an image of {MOST} layers and refused one of {MOST + 1}: max depth exceeded"
            yield Finding(str(arm), Outcome.QUALIFIED, text)


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the table of the states in which the two layouts were compared, and that of the costs."""
    states = ("at_rest", "running", "options", "stopped")
    rows = []
    for arm in analysis.arms(READING.name):
        tallies = [analysis.tally(READING.name, arm, f"different_{state}") for state in states]
        texts = [f"{same} of {units}" if units else "–" for same, units in (tally or (0, 0) for tally in tallies)]
        rows.append((str(arm), *texts))
    if rows:
        columns = ("engine", "at rest", "while running", "mount options", "after it stopped")
        yield Table(
            "Units whose layout by hand was Docker's to the last name, mode and attribute", columns, tuple(rows)
        )
    costs = tuple(_costs(analysis))
    if costs:
        yield Table("Loading an image, and laying it out by hand", COSTS, costs)


def _costs(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    """Yield the times of loading and laying out by hand for each image, and their ratio."""
    unit = analysis.time_unit
    for arm in analysis.arms(READING.name):
        units = analysis.units(READING.name)
        images = units[units["arm"] == str(arm)].reindex(columns=["depth", "files"]).dropna().drop_duplicates()
        for depth, files in sorted((int(depth), int(files)) for depth, files in images.to_numpy()):
            image = {"arm": arm, "depth": depth, "files": files}
            load, by_hand = ({**image, "metric": metric} for metric in ("load", "by_hand"))
            factor = analysis.paired(READING.name, load, by_hand)
            cells = [analysis.cell(READING.name, arm, name, depth=depth, files=files) for name in ("load", "by_hand")]
            times = [cell.text(unit) if cell else "–" for cell in cells]
            yield str(arm), f"{depth}", f"{files:,}", *times, factor.text("×") if factor else "–"


READING = Reading(
    name="layout",
    question="Is what is built by hand what Docker builds, and how long does either take?",
    method=(
        "A private dockerd loads an archive; the same layers are laid out by hand on the same volume. Compared are "
        "names, kinds, modes, owners, extended attributes, device numbers and contents (`link` and `lower` up to their "
        "random names) and mount options: at rest, in a running container after a write, a deletion and a directory "
        "made again, and after it stopped; of btrfs, whose tree is sorted by them, an image's inode numbers, too. Left "
        "out: times, attributes that hold the identity of a file system or a file, and the init layer "
        "that dockerd puts between image and container whatever the driver. `load` is "
        "`docker load` of the archive; `by_hand` writes the same layers, with their content."
    ),
    order=7,
    metrics=(
        Metric("load", "the engine loads the archive"),
        Metric("by_hand", "the same layers laid out by hand"),
    ),
    judged_metric="by_hand",
    claims={"C3": judge_depth, "C4": judge_layout},
    tables=tables,
)
