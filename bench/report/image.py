"""The report of a user's image: its inventory, and what its layers cost, in words and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.model import NATIVE, format_size
from bench.stats.compared import paired_times
from bench.stats.estimate import Estimate, geometric, ratio
from bench.stats.paired import Word

if TYPE_CHECKING:
    from bench.stats.compared import Compared
    from bench.store.image import Inventory, LayerCount
    from bench.store.reader import Run

__all__ = [
    "Cost",
    "advice",
    "byte_facts",
    "command_of",
    "costs",
    "counted",
    "failures",
    "lines",
    "measured",
    "table",
]

WIDTH = 1_000_000  # columns of the console, so that it wraps no line
SHELL = "/bin/sh -c "  # with which engines write a RUN instruction
SHOWN = 12  # layers and paths that the terminal shows, those with the most bytes first
COMMAND = 60  # characters of a command that the terminal shows
NAMED = 30  # characters of a command in a sentence
WORTH = 0.01  # share of what an image ships, from which on hidden bytes are worth a sentence
OPERATIONS = {
    "mount": "mounting",
    "lookup": "a lookup",
    "list": "listing a directory",
    "write": "a first write",
    "start": "the start",
    "run": "the command",
}
OF_THE_OTHER = "the unit that it takes turns with failed"  # of a pair, in the row of the one that did not
Floats = npt.NDArray[np.float64]
FEWEST = 4  # pairs from which a ratio is shown before the first look
WORDS = {Word.INCONCLUSIVE: "not known"}


@dataclass(frozen=True)
class Cost:
    """One operation on the image as it was built, and what it costs otherwise.

    `plain`: in a plain directory; None where nothing is done there. `failure`: why the first unit failed that did.
    """

    operation: str
    temperature: str
    volume: str
    against: str
    answer: Compared
    plain: Estimate | None
    failure: str = ""
    layering: bool = True  # whether only the number of layers differs
    layers: tuple[int, int] = (0, 0)
    so_far: str = ""  # the ratio of the pairs that there are, if they are too few for a look

    @property
    def as_built(self) -> str:
        """The time of the image as it was built, in words."""
        return self.answer.times[0].text("ns") if self.answer.times else "–"

    @property
    def label(self) -> str:
        """The operation with its temperature."""
        temperature = {"new container": " in a new container", "cold": ", cold"}.get(self.temperature, "")
        return f"{OPERATIONS.get(self.operation, self.operation)}{temperature}"


def costs(run: Run, answers: Sequence[Compared]) -> list[Cost]:
    """Return the run's comparisons as costs, in their order."""
    records = run.provenance.comparisons or []
    return [_cost(run, record, answer) for record, answer in zip(records, answers, strict=True)]


def _cost(run: Run, record: Any, answer: Compared) -> Cost:
    a, b = record.a, record.b
    own, other = (dict(side.params) for side in (a, b))
    differs = [other["layering"]] if own["layering"] != other["layering"] else []
    driver = b.arm.partition("@")[0]
    if a.arm != b.arm:
        differs.append("in a plain directory" if driver.partition(",")[0] == NATIVE else driver)
    differs += ["the other image"] if own["image"] != other["image"] else []
    return Cost(
        operation=str(own["operation"]),
        temperature=a.temperature.value,
        volume=a.arm.partition("@")[2],
        against=", ".join(map(str, differs)),
        answer=answer,
        plain=_plain(run, record, answer) if record.control != a.arm else None,
        failure=_failure(run, answer),
        layering=len(differs) == 1 and own["layering"] != other["layering"],
        layers=(a.depth, b.depth),
        so_far=_so_far(run, record, answer),
    )


def _so_far(run: Run, record: Any, answer: Compared) -> str:
    first, second = _pairs(run, record, answer, 1, ("a", "b"))
    return ratio(second, first).text("×") if len(first) >= FEWEST else ""


def _pairs(run: Run, record: Any, answer: Compared, setup: int, sides: tuple[str, str]) -> tuple[Floats, Floats]:
    """Return the times of both sides in a set-up, by pair."""
    times = run.times
    rows = times[(times["comparison"] == answer.number) & (times["metric"] == record.metric)]
    return paired_times(rows[rows["setup"] == setup], *sides)


def _failure(run: Run, answer: Compared) -> str:
    units = run.units
    rows = units[(units["comparison"] == answer.number) & (units["error"] != "")]
    own = rows[~rows["error"].astype(str).str.startswith(OF_THE_OTHER)]
    return str(own["error"].iloc[0]) if len(own) else ""


def _plain(run: Run, record: Any, answer: Compared) -> Estimate | None:
    """Return the time of the control, a plain directory, in both set-ups."""
    pairs = [_pairs(run, record, answer, setup, ("control a", "control b")) for setup in (1, 2)]
    times = np.concatenate([np.sqrt(first * second) for first, second in pairs])
    return geometric(times) if len(times) else None


def advice(inventory: Inventory, found: Sequence[Cost]) -> list[str]:
    """Return what fewer layers would gain: only what was counted or measured."""
    return [*counted(inventory), *measured(found)]


def counted(inventory: Inventory) -> Iterator[str]:
    """Yield what merging layers would ship less."""
    if not inventory.hidden_bytes:
        yield "No layer hides bytes of another: squashing would ship as much."
    pairs: dict[tuple[int, int], int] = defaultdict(int)
    for item in inventory.hidden:
        pairs[item.layer, item.by] += item.bytes
    for (lower, upper), size in sorted(pairs.items(), key=lambda item: -item[1]):
        if size < WORTH * inventory.shipped:
            break
        copied = sum(copy.bytes for copy in inventory.copied if (copy.of, copy.layer) == (lower, upper))
        copies = f", {format_size(copied)} of it unchanged but for metadata" if copied else ""
        yield (
            f"{_named(inventory, upper)} hides {format_size(size)} of layer {lower}{copies}: merged to one, layers "
            f"{lower} to {upper} would ship that much less."
        )


def _named(inventory: Inventory, number: int) -> str:
    command = command_of(inventory.layers[number], NAMED)
    return f"Layer {number} (`{command}`)" if command else f"Layer {number}"


def measured(found: Sequence[Cost]) -> Iterator[str]:
    """Yield what was confirmed, and what is the same."""
    for cost in found:
        verdict = cost.answer.verdict
        if verdict.word in {Word.SLOWER, Word.FASTER} and cost.answer.times:
            a, b = cost.answer.times
            yield (
                f"{cost.label.capitalize()} on {cost.volume} takes {a.text('ns')} as built, {b.text('ns')} "
                f"{cost.against}: {verdict.word.value}, {verdict.ratio.text('×')}."
            )
    same = [cost for cost in found if cost.answer.verdict.word is Word.SAME]
    for against in dict.fromkeys(cost.against for cost in same):
        labels = ", ".join(f"{cost.label} on {cost.volume}" for cost in same if cost.against == against)
        yield f"The same within {same[0].answer.procedure.delta:.0%} {against}: {labels}."


def lines(inventory: Inventory, found: Sequence[Cost]) -> list[str]:
    """Return the summary for the terminal."""
    return [
        _title(inventory),
        *_bytes(inventory),
        "",
        *_layers(inventory),
        "",
        *_costs(found),
        *failures(found),
        *counted(inventory),
    ]


def failures(found: Sequence[Cost]) -> Iterator[str]:
    """Yield each reason why units failed, once."""
    for reason in dict.fromkeys(cost.failure for cost in found if cost.failure):
        failed = [cost for cost in found if cost.failure == reason]
        count = sum(cost.answer.failed for cost in failed)
        yield f"{count} units failed ({failed[0].label}): {reason}"


def _title(inventory: Inventory) -> str:
    count = len(inventory.layers)
    kind = ", ".join(part for part in (inventory.source, inventory.platform) if part)
    return (
        f"{inventory.name} ({kind}): {_counted_as(count, 'layer', 'layers')}, "
        f"{_counted_as(inventory.files, 'file', 'files')} and "
        f"{_counted_as(inventory.directories, 'directory', 'directories')}; "
        f"{format_size(inventory.shipped)} in layers, {format_size(inventory.bytes)} seen by a container"
    )


def _counted_as(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _bytes(inventory: Inventory) -> Iterator[str]:
    yield from (f"  {name}: {text}" for name, text in byte_facts(inventory))
    yield from (f"  {note}" for note in inventory.notes)


def byte_facts(inventory: Inventory) -> Iterator[tuple[str, str]]:
    """Yield what of the image's bytes could be left out, by name."""
    changed: dict[str, int] = defaultdict(int)
    for copy in inventory.copied:
        changed[" and ".join(copy.changed)] += 1
    differ = [
        f"{count:,} {'differ' if count > 1 else 'differs'} in {what or 'nothing that is kept'}"
        for what, count in sorted(changed.items(), key=lambda item: -item[1])[:3]
    ]
    yield "hidden by later layers", f"{format_size(inventory.hidden_bytes)} in {len(inventory.hidden):,} files"
    copies = f"{format_size(inventory.copied_bytes)} in {len(inventory.copied):,} files"
    yield "copies without a change", ": ".join(filter(None, (copies, ", ".join(differ))))
    alike = sum(len(group.places) for group in inventory.alike)
    yield "alike in several layers", f"{format_size(inventory.alike_bytes)} to spare in {alike:,} files"


def _layers(inventory: Inventory) -> Iterator[str]:
    table = _table("layer", "files", "bytes", "hidden", "hides", "deleted", "made by")
    shown = sorted(sorted(inventory.layers, key=lambda layer: -layer.bytes)[:SHOWN], key=lambda layer: layer.number)
    for layer in shown:
        files = f"{layer.added + layer.replaced:,}"
        sizes = [format_size(size) if size else "–" for size in (layer.bytes, layer.hidden, layer.hides)]
        table.add_row(
            *map(Text, (f"{layer.number}", files, *sizes, f"{layer.deleted or '–'}", command_of(layer, COMMAND)))
        )
    yield from _printed(table)
    if len(inventory.layers) > len(shown):
        yield f"and {len(inventory.layers) - len(shown)} smaller layers"


def command_of(layer: LayerCount, most: int) -> str:
    """Return the command that made a layer, with at most this many characters."""
    text = " ".join(layer.command.removeprefix(SHELL).removeprefix("#(nop)").split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _costs(found: Sequence[Cost]) -> Iterator[str]:
    against, rows = table(found)
    printed = _table("", "on", "as built", *against, "plain directory")
    above = ""
    for label, volume, built, cells, plain in rows:
        printed.add_row(*map(Text, ("" if label == above else label, volume, built, *cells, plain)))
        above = label
    if found:
        yield from _printed(printed)
        yield ""


Row = tuple[str, str, str, list[str], str]
"""Operation, volume, time as built, a verdict for each thing that it is compared with, time in a plain directory."""


def table(found: Sequence[Cost]) -> tuple[list[str], list[Row]]:
    """Return what the image is compared with, and a row an operation and volume, those of one operation together."""
    against = list(dict.fromkeys(cost.against for cost in found))
    rows: list[Row] = []
    labels = list(dict.fromkeys(cost.label for cost in found))
    keys = dict.fromkeys((cost.label, cost.volume) for cost in found)
    for key in sorted(keys, key=lambda key: labels.index(key[0])):
        own = {cost.against: cost for cost in found if (cost.label, cost.volume) == key}
        first = next(iter(own.values()))
        cells = [_cell(own[name]) if name in own else "–" for name in against]
        rows.append((*key, first.as_built, cells, first.plain.text("ns") if first.plain else "–"))
    return against, rows


def _cell(cost: Cost) -> str:
    """Return the verdict on one comparison in few words."""
    verdict = cost.answer.verdict
    ratio = verdict.ratio.text("×") if verdict.ratio.n else cost.so_far
    if cost.answer.control_moved:
        return f"undecided: the control moved {ratio}".rstrip()
    return f"{WORDS.get(verdict.word, verdict.word.value)} {ratio}".rstrip()


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="none")
    for heading in headings:
        table.add_column(Text(heading), no_wrap=True)
    return table


def _printed(table: Table) -> Iterator[str]:
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    with console.capture() as printed:
        console.print(table)
    yield from (line.rstrip() for line in printed.get().splitlines())
