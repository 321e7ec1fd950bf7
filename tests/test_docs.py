"""The documents tell the truth: their examples run, and what they name exists.

A fenced block that begins with ```` ```python run ```` is executed; the blocks of one document run
one after another in one namespace and in an empty folder. Where a document opens ``study/``, that is
the study of ``tests/fixtures/`` with three answers. A block ```` ```yaml study ```` must be a valid
study file.
"""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import typer
import typer.main

from cuvee.doctor.registry import CHECKS
from cuvee.exporters.registry import EXPORTERS
from cuvee.honesty.calibrators import FEATURES, calibrators_for
from cuvee.laws.registry import LAWS
from cuvee.merging.registry import MERGERS
from cuvee.runs.formats.registry import FORMATS
from cuvee.search.methods.registry import SEARCH_METHODS
from cuvee.sources.readers import READERS
from cuvee.sources.token_source import TOKEN_FORMATS
from cuvee.valuation.methods.registry import VALUERS
from docs import registries
from tests.test_fixtures import unpacked

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ADDED_LATER: set[str] = set()
"""Pictures made from a finished study; they are not needed to read a document."""


def blocks(document: Path, kind: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return [body for info, body in FENCE.findall(text) if info.strip() == kind]


def named(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def commands() -> dict[str, set[str]]:
    """Every command of ``cuvee``, with its options."""
    from cuvee.cli.app import app

    root = typer.main.get_command(app)
    found = getattr(root, "commands", {})
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in found.items()
    }


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path, "python run")], ids=named)
def test_examples_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "cuvee.open(" in document.read_text(encoding="utf-8"):
        unpacked("answered", tmp_path).rename(tmp_path / "study")
    namespace: dict[str, object] = {"__name__": f"example_{document.stem}"}
    for number, block in enumerate(blocks(document, "python run"), start=1):
        exec(compile(block, f"{document.name}, block {number}", "exec"), namespace)


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path, "yaml study")], ids=named)
def test_study_files_are_valid(document: Path, tmp_path: Path) -> None:
    from cuvee.study.file.config import StudyConfig

    for block in blocks(document, "yaml study"):
        file = tmp_path / "study.yaml"
        file.write_text(block, encoding="utf-8")
        StudyConfig.load(file)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        path = document.parent / target.partition("#")[0]
        assert path.exists() or named(path) in ADDED_LATER, f"{named(document)} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_and_option_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    lines = [
        line for info, body in FENCE.findall(text) if info.strip() in {"", "sh"} for line in body.splitlines()
    ]
    known = commands()
    for line in [*spans, *lines]:
        words = line.split("#")[0].split()
        if words[:1] != ["cuvee"] or len(words) < 2 or words[1].startswith("-"):
            continue
        assert words[1] in known, f"{named(document)}: no such command: {line}"
        for word in words[2:]:
            if word.startswith("--") and word != "--help":
                assert word.split("=")[0] in known[words[1]], f"{named(document)}: no such option: {line}"


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in commands() if f"cuvee {name}" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_verb_named_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    for verb in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert verb in verbs or verb.startswith("bench-"), f"{named(document)}: make {verb}"


def test_the_versions_in_the_architecture_are_the_pinned_ones() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split("[<>=]", name)[0] for name in project["dependencies"]}
    assert {name.lower() for name in told} == core
    assert told == {name: pinned[name] for name in told}


def test_every_package_has_its_line_in_the_readme() -> None:
    """Every folder of sources has its line with a clause behind it, and no line is about one that is gone."""
    (tree,) = [block for block in blocks(ROOT / "README.md", "text") if block.startswith("src/cuvee/")]
    listed: list[str] = []
    for line in tree.splitlines()[1:]:
        name, _, clause = line.strip().partition(" ")
        assert clause.strip(), f"README tree: nothing is said of {name}"
        depth = (len(line) - len(line.lstrip())) // 2
        listed.append("/".join([*(listed[-1].split("/")[: depth - 1] if listed else []), name.rstrip("/")]))
    source = ROOT / "src" / "cuvee"
    folders = {path.parent.relative_to(source).as_posix() for path in source.rglob("*.py")} - {"."}
    assert sorted(listed) == sorted(folders)


def test_the_readme_can_be_read_at_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 300


def test_the_generated_tables_are_those_of_the_registries() -> None:
    """``make docs`` writes them."""
    assert registries.PAGE.read_text(encoding="utf-8") == registries.page(), "run `make docs`"


def test_every_row_of_a_registry_has_its_line() -> None:
    rows = re.findall(r"^\| (?:\[)?`([^`]+)`", registries.page(), re.MULTILINE)
    tables = (
        LAWS,
        SEARCH_METHODS,
        VALUERS,
        READERS,
        TOKEN_FORMATS,
        EXPORTERS,
        [one.name for one in FORMATS],
        [one.name for one in CHECKS],
    )
    assert rows == [*chain(*tables, MERGERS, calibrators_for(("merge", "ensemble")), FEATURES)]


def test_a_line_says_what_a_row_is_in_the_words_of_its_file() -> None:
    rows = [line for line in registries.page().splitlines() if line.startswith("| [")]
    lines = {line.split("`")[1]: line for line in rows if "/valuation/" not in line}  # both know `random`
    assert lines["linear"].startswith(
        "| [`linear`](../src/cuvee/merging/linear.py) | The weighted mean of models, "
    )
    assert " | Draws evenly over the region | " in lines["random"], "one file with two rows names each"
    assert " | The swarm of RegMix: Dirichlet draws around a prior " in lines["dirichlet"]
    assert ": `c + k * exp(sum_i t[i] * w[i])` | " in lines["data_mixing_m4"]
    assert " | [arXiv 2405.14908](https://arxiv.org/abs/2405.14908) | " in lines["bimix"]
    assert "| [doi 10.1016/0041-5553(67)90144-9](https://doi.org/" in lines["sobol"]
