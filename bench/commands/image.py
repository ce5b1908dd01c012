"""The command image: what the layers of a user's image hold and cost."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import JSON, REPORTS_OPTION, RESULTS_OPTION, WORKDIR, list_option, listed
from bench.commands.report import finish
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from bench.image.model import Image

__all__ = ["image"]

ALPHA = 0.05  # error of each answer, over all looks, as of `ab`
BUDGET = "2m"  # for reading, building and all comparisons together
VOLUMES = ("ext4", "xfs")
DIRECTORY_VOLUME = "dir"  # the only one of an ordinary user


@click.command(short_help="Tell what an image's layers hold, hide and cost.")
@click.argument("what", metavar="IMAGE")
@click.option("--image", "name", metavar="NAME", help="Which image, where the archive has several.")
@click.option(
    "--platform", metavar="OS/ARCH", help="Which platform, where the archive has several. [default: this one]"
)
@click.option("--socket", type=click.Path(path_type=Path), help="Ask the engine at this socket for docker:NAME.")
@click.option("--against", metavar="IMAGE", help="Compare with another image of the same content.")
@click.option("--paths", type=click.Path(path_type=Path), metavar="FILE", help="What a start looks up, reads, writes.")
@click.option(
    "--driver", "drivers", multiple=True, metavar="DRIVER[,option=value…]", help="Also on these. [repeatable]"
)
@click.option("--run", "command", metavar="COMMAND", help="Time this command of the image in fresh containers.")
@click.option("--timeout", metavar="TIME", default="60s", show_default=True, help="Of a run of the command.")
@list_option("--volume", metavar="NAME,…", help="File systems. [default: ext4,xfs]")
@click.option("--whole", is_flag=True, help="Write all data of a large image, also of files that nothing reads.")
@click.option("--limit", metavar="SIZE", help="Read at most this much, uncompressed. [default: 32GiB]")
@click.option("--budget", metavar="TIME", default=BUDGET, show_default=True, help="Stop measuring after this time.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the paths that are drawn, and of all orders.")
@click.option("--delta", type=float, default=0.03, show_default=True, help="Ratios within 1 + DELTA are the same.")
@RESULTS_OPTION
@REPORTS_OPTION
@WORKDIR
@JSON
def image(what: str, as_json: bool, results: Path, reports: Path, workdir: Path | None, **params: Any) -> int:
    """Tell what the layers of IMAGE hold, hide and cost, and what fewer layers would gain.

    IMAGE is an archive of `docker save` or `podman save`, an OCI image layout (directory or archive, also .gz and
    .zst), a directory, which is one layer, or docker:NAME for an image of the engine at --socket.

    Counted from the archive: files that layers replace and delete, bytes that no container sees, copies that
    differ in metadata alone. Measured on the image's own layers: mounting, lookups of its paths, listings, first
    writes, each against the same image in half as many layers and in one. The file of --paths has a path a line,
    with r or w before it where the start reads or writes it; it is measured in place of the samples, as is --run.

    \b
    Examples:
      python -m bench image app.tar
      python -m bench image app.tar --against app-squashed.tar
      python -m bench image app.tar --run 'python3 -c "import app"'
      python -m bench image app.tar --paths start.txt --driver fuse-overlayfs
      python -m bench image docker:app:latest --socket /var/run/docker.sock
    """  # noqa: D301  click wants the character, not its name
    from bench.host import workdir as places
    from bench.image import blobs, source
    from bench.model import parse_seconds, parse_size

    seconds = parse_seconds(params["budget"])
    limit = parse_size(params["limit"]) if params["limit"] else blobs.LIMIT
    place = places.check(workdir or places.default())
    named = {"name": params["name"], "platform_name": params["platform"], "socket": params["socket"], "limit": limit}
    with ExitStack() as opened:
        images = [opened.enter_context(source.opened(what, place, **named))]
        if params["against"]:
            images.append(opened.enter_context(source.opened(params["against"], place, **named)))
        return _measure(images, seconds, results, reports, workdir, params, as_json=as_json)


def _measure(
    images: list[Image],
    seconds: float,
    results: Path,
    reports: Path,
    workdir: Path | None,
    params: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    from bench.commands.comparing import measure_comparisons
    from bench.image import registry
    from bench.measure import compare, imaging, inventory
    from bench.model import parse_seconds
    from bench.store.image import save_inventory

    rootless = os.geteuid() != 0
    if rootless and params["command"] is not None:
        why = "a container for the command needs namespaces and device nodes of root"
        raise BenchError("--run needs root", why=why, fix="run as root, or measure --paths")
    steps = read_steps(params["paths"]) if params["paths"] else ()
    command = parsed(params["command"]) if params["command"] is not None else ()
    keys = registry.register(
        images,
        params["seed"],
        steps=steps,
        command=command,
        seconds=parse_seconds(params["timeout"]),
        whole=params["whole"],
        rootless=rootless,
    )
    counted = inventory.take(images[0])
    if registry.subject(keys[0]).sparse:
        counted.notes.append("files that no unit reads were built with a hole for their data; --whole writes all")
    if rootless:
        counted.notes.append("as an ordinary user: built without owners, devices and attributes of the system")
    volumes = listed(params["volume"], str) or ((DIRECTORY_VOLUME,) if rootless else VOLUMES)
    procedure = compare.procedure_of(
        ALPHA, params["delta"], looks=imaging.LOOKS, fix="see `python -m bench image --help`"
    )
    drivers = ("overlay2", *params["drivers"])
    comparisons = imaging.comparisons_of(keys, drivers, volumes, procedure, rootless=rootless)
    plan = compare.plan_of(comparisons, seed=params["seed"], budget=seconds, rootless=rootless)
    directory, status = measure_comparisons(comparisons, plan, results, workdir, "image", quiet=as_json)
    save_inventory(counted, directory)
    if status not in (0, EXIT_USAGE):
        return status
    finish(directory, reports, as_json=as_json)
    return status


def parsed(command: str) -> tuple[str, ...]:
    """Return the words of a command, as a shell would split them."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise BenchError(f"{command!r} is no command", why=str(error)) from error
    if not words:
        raise BenchError("--run names no command", fix="write it like --run 'python3 -c \"import app\"'")
    return words


def read_steps(path: Path) -> tuple[Any, ...]:
    """Return the steps of a start: a path a line, after `r ` or `w ` if it is read or written."""
    from bench.image.registry import Step

    actions = {"r": "read", "w": "write"}
    steps = []
    try:
        for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            first, _, rest = line.strip().partition(" ")
            if rest and first in actions:
                steps.append(Step(rest.strip().strip("/"), actions[first]))
            elif line.strip() and not line.startswith("#"):
                steps.append(Step(line.strip().strip("/")))
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    if not steps:
        raise BenchError(f"{path} has no path", fix="write one a line, with r or w before it")
    return tuple(steps)
