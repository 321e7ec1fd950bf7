"""The command line explains itself, and quickly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import cuvee
from cuvee.cli import names
from cuvee.cli.app import app
from cuvee.cli.options import EffortOption
from cuvee.exporters.registry import EXPORTERS
from cuvee.flows.simulate.question import METHODS
from cuvee.laws.registry import LAWS
from cuvee.question.question import LAW
from cuvee.search.methods.registry import SEARCH_METHODS
from cuvee.study.file.effort import EFFORTS
from cuvee.study.seed_moments import BY_DEFAULT, WITHOUT_MOMENTS
from cuvee.study.start.demo import DEMO_EFFORT
from cuvee.valuation.methods.registry import VALUERS

COMMANDS = [
    "init", "run", "check", "scale", "search", "swarm", "value", "select", "acquire", "trace", "status",
    "report", "add-source", "change", "demo", "doctor", "fit", "optimise", "simulate", "export", "merge",
    "check-export",
]  # fmt: skip
SOURCE = Path(cuvee.__file__).parents[1]
HEAVY = {"torch", "transformers", "scipy", "pydantic", "numpy", "pyarrow", "yaml", "tokenizers", "pandas"}
GROUP = typer.main.get_command(app)


def test_the_commands_are_these() -> None:
    assert list(GROUP.commands) == COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_parameter_has_help(name: str) -> None:
    command = GROUP.commands[name]  # type: ignore[attr-defined]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    # The first sentence may be broken over lines and framed.
    assert " ".join(command.help.split())[:40] in " ".join(re.sub("[│╭╰╮╯─]", " ", result.stdout).split())


def test_the_demo_offers_the_dial() -> None:
    assert [effort.value for effort in EffortOption] == list(EFFORTS)
    default = next(p for p in GROUP.commands["demo"].params if p.name == "effort").default  # type: ignore[attr-defined]
    assert default == DEMO_EFFORT


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["demo", "--help"], ["fit", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    # Typer itself may check the arguments of a command by pydantic.
    allowed = {"pydantic"} if len(arguments) > 1 else set()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-W", "error", "-m", "cuvee", *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded & HEAVY <= allowed


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"cuvee {cuvee.__version__}\n"


@pytest.mark.parametrize("arguments", [["rnu"], ["run", "--fast"], ["add-source", "study.yaml"]])
def test_a_wrong_command_line(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("listed", "table"),
    [
        (names.LAWS, LAWS),
        (names.METHODS, SEARCH_METHODS),
        (names.TRAINERS, EXPORTERS),
        (names.VALUERS, VALUERS),
        (names.METHODS_COMPARED, METHODS),
        ((names.DEFAULT_LAW,), (LAW,)),
        ((names.DEFAULT_VALUER, names.VALUER_WITHOUT_MOMENTS), (BY_DEFAULT, WITHOUT_MOMENTS)),
    ],
)
def test_the_names_that_help_lists_are_those_of_the_table(listed: tuple[str, ...], table: object) -> None:
    assert listed == tuple(table)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "option", "listed"),
    [
        ("fit", "law", names.LAWS),
        ("optimise", "law", names.LAWS),
        ("simulate", "law", names.LAWS),
        ("simulate", "method", names.METHODS),
        ("search", "method", names.METHODS),
        ("value", "method", names.VALUERS),
        ("select", "method", names.VALUERS),
        ("export", "to", names.TRAINERS),
    ],
)
def test_an_option_that_takes_a_name_lists_the_names(
    command: str, option: str, listed: tuple[str, ...]
) -> None:
    parameters = GROUP.commands[command].params  # type: ignore[attr-defined]
    told = next(one.help for one in parameters if one.name == option)
    assert f"One of: {', '.join(listed)}." in told
