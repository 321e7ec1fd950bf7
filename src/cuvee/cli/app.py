"""The ``cuvee`` command: its sub-commands, and what becomes of errors.

Results go to standard output, everything else to standard error. The exit code is that of the error
(``cuvee/errors.py``), 2 for a wrong command line, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

Commands import what they need when they run, so that ``cuvee --help`` answers at once.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from cuvee.cli import (
    acquire,
    add_source,
    change,
    check,
    check_export,
    demo,
    doctor,
    export,
    fit,
    init,
    merge,
    report,
    run,
    scale,
    search,
    simulate,
    status,
    swarm,
    trace,
    value,
)
from cuvee.cli.streams import spelling
from cuvee.errors import CuveeError, DiskFull
from cuvee.faults import faults_in_words
from cuvee.invisible import all_spelt_out
from cuvee.version import VERSION

INTERRUPTED = 130
_GOES_ON = "the same command goes on from here"
_received: list[int] = []
"""Signals that asked for an end."""


class _Stopped(KeyboardInterrupt):
    """A signal that asks for an end; what cleans up after Ctrl-C cleans up after it too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Commands(TyperGroup):
    """The group of all commands; errors raised on purpose end as one line, not as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        with spelling():
            return self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
        try:
            with faults_in_words():
                return super().invoke(ctx)
        except CuveeError as error:
            if os.environ.get("CUVEE_DEBUG") == "1":
                raise
            print(f"error: {all_spelt_out(str(error))}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            from cuvee.files import out_of_room

            if not out_of_room(error) or os.environ.get("CUVEE_DEBUG") == "1":
                raise
            print(f"error: there is no room on the disk: {error}; free some and run again", file=sys.stderr)
            raise typer.Exit(DiskFull.exit_code) from error
        except _Stopped as error:
            with suppress(OSError):  # after SIGHUP there may be no terminal left
                print(f"stopped by {error}; {_GOES_ON}", file=sys.stderr, flush=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            if _received:  # a library in C made a plain interrupt of it
                print(
                    f"stopped by {signal.Signals(_received[-1]).name}; {_GOES_ON}",
                    file=sys.stderr,
                    flush=True,
                )
                raise typer.Exit(128 + _received[-1]) from error
            print(f"interrupted; {_GOES_ON}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="cuvee",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cuvee {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Decide what a language model is trained on, with small models and their merges."""


app.command("init")(init.init)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("scale")(scale.scale)
app.command("search")(search.search)
app.command("swarm")(swarm.swarm)
app.command("value")(value.value)
app.command("select")(value.select)
app.command("acquire")(acquire.acquire)
app.command("trace")(trace.trace)
app.command("status")(status.status)
app.command("report")(report.report)
app.command("add-source")(add_source.add_source)
app.command("change")(change.change)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("fit")(fit.fit)
app.command("optimise")(fit.optimise)
app.command("simulate")(simulate.simulate)
app.command("export")(export.export)
app.command("merge")(merge.merge)
app.command("check-export")(check_export.check_export)


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Set before any library reads them: no look-ups on the hub unless a source is there, and no
    # warning from tokenizers about our own processes.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _obey_signals()
    app()


def _obey_signals() -> None:
    """End with a word and in order on SIGTERM and SIGHUP, unless they are ignored (``nohup``)."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # SIGHUP is not everywhere
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    _received.append(number)
    raise _Stopped(number)
