"""The command gate: measure or read, judge, and tell people and machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench import discovery
from bench.commands.comparing import measured
from bench.commands.options import DIRECTORY, JSON, RESULTS_OPTION, WORKDIR, directory_of, listed, print_json
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.gate.config import GateConfig
    from bench.gate.verdict import GateResult, GateVerdict
    from bench.measure.compare import Comparison
    from bench.measure.plan import Plan
    from bench.reading.analysis import Analysis
    from bench.stats.compared import Compared

__all__ = ["gate"]

BUDGET = "5m"  # where neither the command line nor the settings say otherwise
CONFIG = Path("pyproject.toml")
MORE_TIME = "give a larger --budget"


def OUTPUT_OPTIONS(command: Any) -> Any:  # noqa: N802  a decorator as those of click.options
    """Add an option for each output format."""
    for output in reversed(discovery.outputs().values()):
        command = click.option(f"--{output.name}", type=DIRECTORY, metavar="FILE", help=output.help)(command)
    return command


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@click.option("--baseline", type=DIRECTORY, metavar="FILE", help="Stored figures. [default: bench-baseline.json]")
@click.option(
    "--config", type=DIRECTORY, metavar="FILE", help="Settings, in [tool.bench.gate]. [default: pyproject.toml]"
)
@click.option("--compare", "arms", nargs=2, metavar="A B", help="Compare these two arms, instead of the settings'.")
@click.option("--scenario", metavar="NAME,…", help="Only these scenarios.")
@click.option(
    "--driver", "drivers", multiple=True, metavar="DRIVER[,option=value…]", help="Count only for this driver."
)
@click.option("--volume", metavar="NAME,…", help="Count only on these volumes.")
@click.option("--no-counters", is_flag=True, help="Only the comparisons.")
@click.option("--update", is_flag=True, help="Write the baseline instead of judging by it.")
@click.option("--budget", metavar="TIME", help="Give up after this time. [default: 5m]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@OUTPUT_OPTIONS
@RESULTS_OPTION
@WORKDIR
@JSON
def gate(runs: tuple[str, ...], results: Path, as_json: bool, **asked: Any) -> int:
    """Judge counters against a baseline and arms against each other; for CI.

    Without RUN it measures: counters of everything that works here, and the comparisons of the settings. Exit
    status: 0 pass, 1 regression, 2 usage, infrastructure or failed units, 3 inconclusive where that fails.

    \b
    Examples:
      python -m bench gate --update                       make the baseline, to be committed
      python -m bench gate --junit gate.xml
      python -m bench gate --compare fuse-overlayfs@ext4 fuse-overlayfs,binary=./new@ext4 --no-counters
      python -m bench gate RUN --baseline old.json        judge a run that is there
    """  # noqa: D301  click wants the character, not its name
    from dataclasses import replace

    config = _settings(asked["config"])
    config.check_scenarios(discovery.readings())
    if asked["baseline"]:
        config = replace(config, baseline=asked["baseline"])
    for name in discovery.outputs():
        path = asked[name]
        if path and not path.parent.is_dir():
            raise BenchError(f"cannot write {path}", why=f"{path.parent} is no directory", fix="make it first")
    status = 0
    if not runs:
        directory, status = _measure(config, asked, results, quiet=as_json)
        if status not in (0, EXIT_USAGE):
            return status
        if not (directory / "samples.jsonl").stat().st_size:
            if status:
                return status
            raise BenchError("nothing was measured", why="the time was up before the first unit", fix=MORE_TIME)
        directories = [directory]
    else:
        directories = [directory_of(results, name) for name in runs]
    analyses = [_analysed(directory) for directory in directories]
    if asked["update"]:
        _update(config.baseline, analyses)
        return 0
    result = judged(analyses, config)
    _tell(result, asked, as_json=as_json)
    failed = any((analysis.run.units["error"] != "").any() for analysis in analyses)
    return result.exit_status or (EXIT_USAGE if failed or status else 0)


def _settings(given: Path | None) -> GateConfig:
    """Return the settings in a file; the defaults if none is given and there is no pyproject.toml here."""
    from bench.gate.config import GateConfig, load_config

    return GateConfig() if given is None and not CONFIG.exists() else load_config(given or CONFIG)


def _analysed(directory: Path) -> Analysis:
    from bench.reading.analysis import Analysis
    from bench.store.reader import load

    return Analysis(load(directory), discovery.readings())


def _measure(config: GateConfig, asked: dict[str, Any], results: Path, *, quiet: bool) -> tuple[Path, int]:
    from bench.gate.baseline_file import read_baseline
    from bench.measure import gating
    from bench.measure.compare import Compare, plan_of
    from bench.measure.request import Request
    from bench.model import parse_seconds

    rootless = os.geteuid() != 0
    seconds = parse_seconds(asked["budget"] or config.budget or BUDGET)
    request = Request(
        seed=asked["seed"],
        budget=seconds,
        scenarios=listed(asked["scenario"], str),
        drivers=asked["drivers"],
        volumes=listed(asked["volume"], str),
        rootless=rootless,
    )
    comparisons = [] if asked["update"] else _comparisons(config, asked, rootless=rootless)
    if asked["no_counters"] and not comparisons:
        raise BenchError("nothing to judge", why="no counters and no comparison", fix="give --compare A B")
    plans: list[Plan] = []
    counters = None if asked["no_counters"] else gating.counters_plan(request)
    compare = None
    if counters is not None:
        plans.append(counters)
    if comparisons:
        plan = plan_of(comparisons, seed=asked["seed"], budget=seconds, rootless=rootless)
        compare = Compare(comparisons, plan)
        plans.append(plan)
    if not asked["update"] and (config.baseline.exists() or not comparisons):
        read_baseline(config.baseline)  # one that cannot be read is told before minutes are spent
    work = gating.Gate(counters, compare)
    return measured(
        comparisons, gating.joined(plans, request), results, asked["workdir"], "gate", quiet=quiet, work=work
    )


def _comparisons(config: GateConfig, asked: dict[str, Any], *, rootless: bool) -> list[Comparison]:
    """Return the comparisons to measure; the error budget is split evenly between those that block."""
    from dataclasses import replace

    from bench.gate.config import ComparisonSetting as Wanted
    from bench.measure import compare

    only = listed(asked["scenario"], str)
    wanted = config.compare
    if asked["arms"]:
        a, b = asked["arms"]
        wanted = (Wanted(a, b, only),)
    found: list[Comparison] = []
    for one in wanted:
        scenarios = one.scenarios
        if only and not asked["arms"]:
            able = scenarios or [name for name, known in discovery.scenarios().items() if known.compared]
            scenarios = tuple(name for name in only if name in able)
            if not scenarios:
                continue
        where = dict(one.where)
        metric = where.pop("metric", None)
        found += compare.make(
            one.a,
            one.b,
            scenarios=scenarios,
            where=where,
            metric=None if metric is None else str(metric),
            first=len(found),
            rootless=rootless,
        )
    family = sum(config.blocks(one.scenario) for one in found)
    return [
        replace(
            one,
            procedure=compare.procedure_of(
                config.alpha / family if config.blocks(one.scenario) else config.alpha,
                config.delta_of(one.scenario),
                fix="set a larger alpha in [tool.bench.gate]",
            ),
        )
        for one in found
    ]


def judged(analyses: Iterable[Analysis], config: GateConfig) -> GateResult:
    """Return what the runs say; without a baseline, a run that compares is judged by the rest, any other refused."""
    from bench.gate.baseline import check_suite
    from bench.gate.baseline_file import read_baseline
    from bench.gate.expected import judge_expectations
    from bench.gate.judge import judge_counters
    from bench.gate.stored import judge_stored_times
    from bench.gate.times import judge_times
    from bench.gate.verdict import GateResult
    from bench.stats.compared import compared

    verdicts: list[GateVerdict] = []
    warnings: list[str] = []
    told_times: list[Compared] = []  # of all runs: they share one error
    for analysis in analyses:
        expected, odd = judge_expectations(analysis, config)
        verdicts += expected
        warnings += [*map(str, analysis.run.warnings), *odd]
        if not analysis.run.provenance.complete:
            warnings.append(f"run {analysis.run.id} is not complete")
        compares = bool(analysis.run.provenance.comparisons)
        if compares:
            told_times += compared(analysis.run)
        if compares and not config.baseline.exists():
            warnings.append(
                f"no baseline at {config.baseline}: counters are held against the suite's expectations alone"
            )
            continue
        baseline = read_baseline(config.baseline)
        check_suite(baseline, config.baseline, analysis, discovery.readings())
        verdicts += judge_counters(baseline, analysis, config)
        stored, told = judge_stored_times(baseline, analysis, config)
        verdicts += stored
        warnings += told
    verdicts += judge_times(told_times, config)
    return GateResult(tuple(verdicts), config.inconclusive_fails, tuple(dict.fromkeys(warnings)))


def _update(path: Path, analyses: list[Analysis]) -> None:
    from bench.gate.baseline import make_baseline
    from bench.gate.baseline_file import write_baseline

    if len(analyses) != 1:
        raise BenchError("a baseline is made of one run", fix="name one")
    (analysis,) = analyses
    failed = int((analysis.run.units["error"] != "").sum())
    if failed or not analysis.run.provenance.complete:
        why = f"{failed} of its units failed" if failed else "it is not complete"
        raise BenchError(f"run {analysis.run.id} makes no baseline", why=why, fix="measure again")
    baseline = make_baseline(analysis, discovery.readings())
    write_baseline(path, baseline)
    click.echo(f"baseline: {path}, {len(baseline.counters):,} counters and {len(baseline.ratios):,} ratios to native")


def _tell(result: GateResult, asked: dict[str, Any], *, as_json: bool) -> None:
    """Print the table or JSON, write the files that were asked for, and tell GitHub Actions where it runs there."""
    from bench.gate.github import as_annotations
    from bench.gate.outputs.markdown import as_markdown
    from bench.gate.table import as_json as json_of
    from bench.gate.table import as_table

    for name, output in discovery.outputs().items():
        if asked[name]:
            _write(asked[name], output.text(result))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _write(Path(summary), as_markdown(result), mode="a")
    if as_json:
        print_json(json_of(result))
        return
    click.echo(as_table(result))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in as_annotations(result):
            click.echo(line)


def _write(path: Path, text: str, *, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BenchError(
            f"cannot write {path}", why=error.strerror or str(error), fix="give another path, or make room"
        ) from error
