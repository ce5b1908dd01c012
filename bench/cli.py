"""The command line: the group of commands, and the conversion of errors to a message and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import click

from bench import __version__
from bench.commands.aa import aa
from bench.commands.ab import ab
from bench.commands.clean import clean
from bench.commands.doctor import doctor
from bench.commands.gate import gate
from bench.commands.image import image
from bench.commands.kernel import kernel
from bench.commands.kernels import kernels
from bench.commands.list import list_things
from bench.commands.report import report
from bench.commands.run import run
from bench.commands.setup import setup
from bench.errors import EXIT_USAGE, BenchError, as_called, program

__all__ = ["cli", "main"]


def main() -> NoReturn:
    """Run the command line; turn errors into a message and an exit status."""
    try:
        # Not cli.main(), which exits with status 1 and no message if standard output was closed.
        _name_as_called(cli)
        with cli.make_context(program(), sys.argv[1:]) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        status = EXIT_USAGE
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        _complain(f"{error.format_message().rstrip('.')}{hint}")
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


def _name_as_called(command: click.Command) -> None:
    """Have the examples in the help of a command, and of those below it, begin as the user called it."""
    command.help = as_called(command.help or "")
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _name_as_called(below)


def _silence() -> None:
    """Discard the buffer of standard output, else the interpreter fails again at exit."""
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
      python -m bench image app.tar                          what the layers of an image hold and cost
      python -m bench report                                 the page of the latest run
      python -m bench doctor                                 what works here, and what would add the rest
    """  # noqa: D301  click wants the character, not its name


for command in (setup, doctor, list_things, run, report, clean, ab, gate, aa, kernel, kernels, image):
    cli.add_command(command)
