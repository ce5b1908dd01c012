"""The commands: parse, call, print. Heavy imports are inside them, so that --help answers at once."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bench import __version__
from bench.comparing import ab
from bench.errors import EXIT_USAGE, BenchError
from bench.gating import gate
from bench.options import (
    DIRECTORY,
    JSON,
    REPORTS_OPTION,
    RESULTS_OPTION,
    WORKDIR,
    directory_of,
    listed,
    print_json,
    session_of,
)
from bench.selftest import aa

if TYPE_CHECKING:
    from pathlib import Path

    from bench.host.packages import Group
    from bench.measure.plan import Request
    from bench.model import Support

__all__ = ["cli", "main"]


def main() -> NoReturn:
    """Run the command line; the one place that turns errors into a line and an exit status."""
    try:
        # Not cli.main(), which ends with status 1 and without a word where standard output was closed.
        with cli.make_context("python -m bench", sys.argv[1:]) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        status = EXIT_USAGE
    except click.UsageError as error:
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        _complain(f"{error.format_message().rstrip('.')}{where}")
        status = EXIT_USAGE
    except BenchError as error:
        _complain(str(error))
        status = EXIT_USAGE
    except BrokenPipeError:
        _silence()
        _complain("standard output was closed before everything was written")
        status = EXIT_USAGE
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _silence()
        _complain(f"cannot write {error.filename or 'standard output'}: {error.strerror}; make room")
        status = EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        status = 130
    sys.exit(status or 0)


def _silence() -> None:
    """Drop what standard output still holds, else the interpreter fails again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complain(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """What does a container layer cost? Measure overlay2 and other storage drivers on real file systems.

    \b
    Examples:
      python -m bench run                                    two minutes, everything that works here
      python -m bench run --scenario lookup --driver overlay2 --volume ext4 --depth 1,32,125
      python -m bench report                                 the page of the latest run
      python -m bench doctor                                 what works here, and what would add the rest
    """  # noqa: D301  click wants the character, not its name


@cli.command()
@click.option("--tests", "group", flag_value="tests", help="Also what the tests need.")
@click.option("--aa", "group", flag_value="aa", help="Also what aa asks for a second opinion.")
@click.option("--engines", "group", flag_value="engines", help="Also container engines; no service is started.")
def setup(group: Group | None) -> None:
    """Install the system packages that are missing (as root, with apt-get), saying what and why first.

    BENCH_NO_INSTALL=1 turns this off; without root or apt-get it says what each would add.
    """
    from bench.host import packages

    packages.install(packages.missing(group or "bench"))


@cli.command()
@WORKDIR
@click.option(
    "--socket",
    type=DIRECTORY,
    metavar="SOCKET",
    help="Also ask the engine that listens there by Docker's API how it stores; else none is asked.",
)
@JSON
def doctor(workdir: Path | None, socket: Path | None, as_json: bool) -> None:
    """Tell what works here, what does not, why, and how to add it.

    \b
    Examples:
      python -m bench doctor
      python -m bench doctor --json | jq '.[] | select(.ok | not)'
      python -m bench doctor --socket /var/run/docker.sock
    """  # noqa: D301  click wants the character, not its name
    from bench import doctor as examiner
    from bench.host import workdir as places

    checks = examiner.examine(workdir or places.default(), socket)
    if as_json:
        print_json([{"area": check.area, "name": check.name, **_support(check.support)} for check in checks])
        return
    for check in checks:
        _state(f"{check.area:<12} {check.name}", check.support)


def _support(support: Support) -> dict[str, Any]:
    return {"ok": support.ok, "reason": support.reason, "mend": support.mend}


def _state(what: str, support: Support) -> None:
    text = "; ".join(part for part in (support.reason, support.mend and f"to add it: {support.mend}") if part)
    click.echo(f"{'yes' if support.ok else 'no ':<4} {what:<44} {text}".rstrip())


@cli.command("list")
@JSON
def list_things(as_json: bool) -> None:
    """List scenarios, drivers, volumes and claims, with what works here.

    \b
    Example:
      python -m bench list --json | jq '.drivers[].name'
    """  # noqa: D301  click wants the character, not its name
    from bench.catalogue import catalogue

    things = catalogue()
    if as_json:
        print_json(things)
        return
    for kind, items in things.items():
        click.echo(f"{kind}:")
        for item in items:
            state = {True: "yes ", False: "no  ", None: ""}[item.get("ok")]
            click.echo(f"  {state}{item['name']:<16} {item['title']}")
            if item.get("ok") is False:
                click.echo(f"      {'':<16} {item['reason']}{'; ' + item['mend'] if item['mend'] else ''}")


@cli.command()
@click.option(
    "--profile", default="quick", show_default=True, help="quick (2 min), standard (10 min) or full (40 min)."
)
@click.option("--budget", metavar="TIME", help="Stop on time with the best precision that fits: 90s, 5m, 1h.")
@click.option("--scenario", metavar="NAME,…", help="Only these scenarios.")
@click.option(
    "--driver", "drivers", multiple=True, metavar="DRIVER[,option=value…]", help="Only this driver; repeatable."
)
@click.option("--volume", metavar="NAME,…", help="Only these volumes. [default: where the drivers are at home]")
@click.option("--depth", metavar="N,…", help="These numbers of layers.")
@click.option("--size", metavar="SIZE,…", help="These file sizes: 0, 4KiB, 16MiB.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@click.option("--resume", "resumed", metavar="RUN", help="Go on with a run that was cut short.")
@RESULTS_OPTION
@REPORTS_OPTION
@WORKDIR
@JSON
def run(as_json: bool, resumed: str | None, results: Path, reports: Path, workdir: Path | None, **asked: Any) -> int:
    """Measure, write results/ and a page, and say what was found.

    \b
    Examples:
      python -m bench run
      python -m bench run --profile standard --seed 7
      python -m bench run --budget 5m --scenario copy_up,lookup --volume ext4
      python -m bench run --driver overlay2 --driver overlay2,metacopy=on --scenario copy_up
      python -m bench run --resume 20260102T030405Z-quick-s1
    """  # noqa: D301  click wants the character, not its name
    from bench.measure import session

    request = _request(asked)
    where = session_of(results, workdir, request.seconds, quiet=as_json)
    if resumed:
        directory, status = session.resume(directory_of(results, resumed), where)
    else:
        directory, status = session.execute(request, where)
    if status > EXIT_USAGE or not (directory / "samples.jsonl").stat().st_size:
        return status
    _finish(directory, reports, as_json=as_json, suites=True)
    return status


def _request(asked: dict[str, Any]) -> Request:
    from bench.measure import plan
    from bench.model import parse_seconds, parse_size

    return plan.Request(
        profile=plan.parse_profile(asked["profile"]),
        seed=asked["seed"],
        budget=parse_seconds(asked["budget"]) if asked["budget"] else None,
        scenarios=listed(asked["scenario"], str),
        drivers=asked["drivers"],
        volumes=listed(asked["volume"], str),
        depths=listed(asked["depth"], plan.parse_depth),
        sizes=listed(asked["size"], parse_size),
        rootless=os.geteuid() != 0,
    )


def _finish(directory: Path, reports: Path, *, as_json: bool, suites: bool = False) -> None:
    """Write the page and the pyperf suites of a run and print what it says."""
    from bench.report.product import publish

    told = publish(directory, reports, suites=suites)
    if as_json:
        print_json(told.as_json())
        return
    for line in told.lines:
        click.echo(line)
    click.echo(f"page: {told.page}")


@cli.command()
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@RESULTS_OPTION
@REPORTS_OPTION
@JSON
def report(runs: tuple[str, ...], results: Path, reports: Path, as_json: bool) -> None:
    """Make the page of each RUN (a name below results/, or a directory); of the latest if none is named.

    Needs neither root nor the machine that measured.

    \b
    Examples:
      python -m bench report
      python -m bench report 20260102T030405Z-quick-s1 --reports /tmp/pages
    """  # noqa: D301  click wants the character, not its name
    directories = [directory_of(results, name) for name in runs]
    if not directories:
        from bench.store.reader import latest

        directories = [latest(results)]
    for directory in directories:
        _finish(directory, reports, as_json=as_json)


@cli.command()
@WORKDIR
@click.option("--dry-run", is_flag=True, help="Only say what is there.")
@JSON
def clean(workdir: Path | None, dry_run: bool, as_json: bool) -> None:
    """Show what earlier runs or other tools left, and remove what is provably ours.

    \b
    Example:
      python -m bench clean --dry-run
    """  # noqa: D301  click wants the character, not its name
    from bench.host import leftovers
    from bench.host import workdir as places

    found = leftovers.find(places.check(workdir or places.default()))
    removed = []
    for item in found:
        if item.removable and not dry_run:
            leftovers.remove(item)
            removed.append(item)
    if as_json:
        print_json(
            [
                {"kind": item.kind, "path": item.path, "reason": item.reason, "removed": item in removed}
                for item in found
            ]
        )
        return
    for item in found:
        verb = "removed" if item in removed else "would remove" if item.removable else "left alone"
        click.echo(f"{verb}: {item.kind} {item.path}: {item.reason}")
    if not found:
        click.echo("nothing left")


cli.add_command(ab)
cli.add_command(gate)
cli.add_command(aa)
