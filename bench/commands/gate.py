"""The command gate: measure or read runs, judge them, and report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench import discovery
from bench.commands.comparing import measure_comparisons
from bench.commands.options import BOOTS, DIRECTORY, JSON, RESULTS_OPTION, WORKDIR, directory_of, listed, print_json
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

BUDGET = "5m"  # the default
CONFIG = Path("pyproject.toml")
EXACT = Path("bench-exact.json")  # the baseline of kernels
MORE_TIME = "give a larger --budget"


def OUTPUT_OPTIONS(command: Any) -> Any:  # noqa: N802  a decorator as those of click.options
    """Decorate a command with an option for each output format."""
    for output in reversed(discovery.outputs().values()):
        command = click.option(f"--{output.name}", type=DIRECTORY, metavar="FILE", help=output.help)(command)
    return command


@click.command(short_help="Judge counters and times in CI.")
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
@click.option(
    "--kernel",
    metavar="VERSION|FILE",
    help="Judge this kernel by counts of instructions; what is measured, the baseline says.",
)
@OUTPUT_OPTIONS
@RESULTS_OPTION
@WORKDIR
@JSON
def gate(runs: tuple[str, ...], results: Path, as_json: bool, **params: Any) -> int:
    """Judge counters against a baseline and arms against each other; for CI.

    Without RUN it measures: counters of everything that works here, and the comparisons of the settings. Exit
    status: 0 pass, 1 regression, 2 usage, infrastructure or failed units, 3 inconclusive where that fails.

    \b
    Examples:
      python -m bench gate --update                       make the baseline, to be committed
      python -m bench gate --junit gate.xml
      python -m bench gate --compare fuse-overlayfs@ext4 fuse-overlayfs,binary=./new@ext4 --no-counters
      python -m bench gate RUN --baseline old.json        judge a run that is there
      python -m bench gate --kernel 6.12 --scenario lookup,copy_up --baseline exact.json --update
      python -m bench gate --kernel ./linux/arch/x86/boot/bzImage --baseline exact.json
    """  # noqa: D301  click wants the character, not its name
    from dataclasses import replace

    config = _settings(params["config"])
    config.check_scenarios(discovery.readings())
    if params["baseline"]:
        config = replace(config, baseline=params["baseline"])
    for name in discovery.outputs():
        path = params[name]
        if path and not path.parent.is_dir():
            raise BenchError(f"cannot write {path}", why=f"{path.parent} is no directory", fix="make it first")
    if params["kernel"]:
        return _kernel(params, runs, results, as_json=as_json)
    status = 0
    if not runs:
        directory, status = _measure(config, params, results, quiet=as_json)
        if status not in (0, EXIT_USAGE):
            return status
        if not (directory / "samples.jsonl").stat().st_size:
            if status:
                return status
            raise BenchError("nothing was measured", why="the time was up before the first unit", fix=MORE_TIME)
        directories = [directory]
    else:
        directories = [directory_of(results, name) for name in runs]
    analyses = [_analyse(directory) for directory in directories]
    if params["update"]:
        _update(config.baseline, analyses)
        return 0
    result = judge_runs(analyses, config)
    _report(result, params, as_json=as_json)
    failed = any((analysis.run.units["error"] != "").any() for analysis in analyses)
    return result.exit_status or (EXIT_USAGE if failed or status else 0)


def _kernel(params: dict[str, Any], runs: tuple[str, ...], results: Path, *, as_json: bool) -> int:
    """Measure on a kernel in guests; make the baseline, or judge by it."""
    import msgspec

    from bench.commands.options import session_of
    from bench.gate import exact
    from bench.gate.verdict import GateResult
    from bench.guest import archive, boots
    from bench.measure.request import Request
    from bench.reading.analysis import Analysis
    from bench.reading.headlines import figures
    from bench.report.product import readings_of
    from bench.store.reader import load

    if runs or params["arms"]:
        raise BenchError("--kernel goes with no run and no --compare", fix="`python -m bench kernels` compares kernels")
    path = params["baseline"] or EXACT
    baseline = None if params["update"] else exact.read(path)
    if baseline is None:
        asked = Request(
            seed=params["seed"],
            scenarios=listed(params["scenario"], str) or boots.SCENARIOS,
            drivers=params["drivers"],
            volumes=listed(params["volume"], str),
        )
    else:
        asked = msgspec.convert(baseline.request, Request)
    number = baseline.boots if baseline else BOOTS
    kernel = archive.obtain(params["kernel"])
    context = session_of(results, params["workdir"], asked.seconds, quiet=as_json)
    directory, status = boots.execute(boots.GuestRequest(asked, number), kernel, context)
    run = load(directory)
    readings = readings_of(run)
    headlines = figures(Analysis(run, readings), readings)
    if baseline is None:
        exact.write(path, made := exact.make(run, headlines))
        click.echo(f"baseline: {path}, {len(made.figures)} figures of {made.kernel}")
        return status
    result = GateResult(tuple(exact.judge(baseline, run, headlines)), inconclusive_fails=True)
    _report(result, params, as_json=as_json)
    return result.exit_status or status


def _settings(path: Path | None) -> GateConfig:
    """Return the settings in a file; the defaults if none is given and there is no pyproject.toml."""
    from bench.gate.config import GateConfig, load_config

    return GateConfig() if path is None and not CONFIG.exists() else load_config(path or CONFIG)


def _analyse(directory: Path) -> Analysis:
    from bench.reading.analysis import Analysis
    from bench.store.reader import load

    return Analysis(load(directory), discovery.readings())


def _measure(config: GateConfig, params: dict[str, Any], results: Path, *, quiet: bool) -> tuple[Path, int]:
    from bench.gate.baseline_file import read_baseline
    from bench.measure import gating
    from bench.measure.compare import Compare, plan_of
    from bench.measure.request import Request
    from bench.model import parse_seconds

    rootless = os.geteuid() != 0
    seconds = parse_seconds(params["budget"] or config.budget or BUDGET)
    request = Request(
        seed=params["seed"],
        budget=seconds,
        scenarios=listed(params["scenario"], str),
        drivers=params["drivers"],
        volumes=listed(params["volume"], str),
        rootless=rootless,
    )
    comparisons = [] if params["update"] else _comparisons(config, params, rootless=rootless)
    if params["no_counters"] and not comparisons:
        raise BenchError("nothing to judge", why="no counters and no comparison", fix="give --compare A B")
    plans: list[Plan] = []
    counters = None if params["no_counters"] else gating.counters_plan(request)
    compare = None
    if counters is not None:
        plans.append(counters)
    if comparisons:
        plan = plan_of(comparisons, seed=params["seed"], budget=seconds, rootless=rootless)
        compare = Compare(comparisons, plan)
        plans.append(plan)
    if not params["update"] and (config.baseline.exists() or not comparisons):
        read_baseline(config.baseline)  # reports an unreadable file before minutes are spent on measuring
    work = gating.Gate(counters, compare)
    return measure_comparisons(
        comparisons, gating.join_plans(plans, request), results, params["workdir"], "gate", quiet=quiet, work=work
    )


def _comparisons(config: GateConfig, params: dict[str, Any], *, rootless: bool) -> list[Comparison]:
    """Return the comparisons to measure; alpha is split evenly between those that can fail the gate."""
    from dataclasses import replace

    from bench.gate.config import ComparisonSetting
    from bench.measure import compare

    named = listed(params["scenario"], str)
    settings = config.compare
    if params["arms"]:
        a, b = params["arms"]
        settings = (ComparisonSetting(a, b, named),)
    comparisons: list[Comparison] = []
    for setting in settings:
        scenarios = setting.scenarios
        if named and not params["arms"]:
            comparable = scenarios or [name for name, scenario in discovery.scenarios().items() if scenario.compared]
            scenarios = tuple(name for name in named if name in comparable)
            if not scenarios:
                continue
        parameters = dict(setting.where)
        metric = parameters.pop("metric", None)
        comparisons += compare.make(
            setting.a,
            setting.b,
            scenarios=scenarios,
            where=parameters,
            metric=None if metric is None else str(metric),
            first=len(comparisons),
            rootless=rootless,
        )
    family = sum(config.blocks(comparison.scenario) for comparison in comparisons)
    return [
        replace(
            comparison,
            procedure=compare.procedure_of(
                config.alpha / family if config.blocks(comparison.scenario) else config.alpha,
                config.delta_of(comparison.scenario),
                fix="set a larger alpha in [tool.bench.gate]",
            ),
        )
        for comparison in comparisons
    ]


def judge_runs(analyses: Iterable[Analysis], config: GateConfig) -> GateResult:
    """Judge the runs; without a baseline a run with comparisons is judged by the rest, any other is an error."""
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
    comparisons: list[Compared] = []  # of all runs: they share one alpha
    for analysis in analyses:
        expected, notes = judge_expectations(analysis, config)
        verdicts += expected
        warnings += [*map(str, analysis.run.warnings), *notes]
        if not analysis.run.provenance.complete:
            warnings.append(f"run {analysis.run.id} is not complete")
        compares = bool(analysis.run.provenance.comparisons)
        if compares:
            comparisons += compared(analysis.run)
        if compares and not config.baseline.exists():
            warnings.append(
                f"no baseline at {config.baseline}: counters are held against the suite's expectations alone"
            )
            continue
        baseline = read_baseline(config.baseline)
        check_suite(baseline, config.baseline, analysis, discovery.readings())
        verdicts += judge_counters(baseline, analysis, config)
        stored, notes = judge_stored_times(baseline, analysis, config)
        verdicts += stored
        warnings += notes
    verdicts += judge_times(comparisons, config)
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


def _report(result: GateResult, params: dict[str, Any], *, as_json: bool) -> None:
    """Print the table or JSON, write the requested files, and annotate the workflow under GitHub Actions."""
    from bench.gate.github import as_annotations
    from bench.gate.outputs.markdown import as_markdown
    from bench.gate.table import as_json as json_of
    from bench.gate.table import as_table

    for name, output in discovery.outputs().items():
        if params[name]:
            _write(params[name], output.text(result))
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
