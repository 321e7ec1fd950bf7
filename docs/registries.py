"""``make docs``: the tables of the registries in ``docs/registries.md``, from the registries themselves.

A row says what the user types, what it is, and its paper: from its fields, and what it is from the first
sentence of the file that defines it. ``tests/test_docs.py`` fails while the page differs from what is
generated here.
"""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cuvee.doctor.registry import CHECKS
from cuvee.exporters import registry as trainers
from cuvee.exporters.interface import Exporter
from cuvee.files import write_text
from cuvee.honesty.calibrators import FEATURES, calibrators_for
from cuvee.laws import registry as laws
from cuvee.merging import registry as mergers
from cuvee.runs.formats import registry as formats
from cuvee.search.methods import registry as methods
from cuvee.sources.file_types import TOKEN_TYPES
from cuvee.sources.readers import READERS
from cuvee.sources.token_source import TOKEN_FORMATS, Opener
from cuvee.valuation.methods import registry as valuers
from cuvee.valuation.methods.registry import VALUERS

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).with_name("registries.md")
HEAD = """# Registries

What can be named in a command or a study file. Made by `make docs` from the registries; do not edit.
[CONTRIBUTING.md](../CONTRIBUTING.md) says how to add a row.
"""
CITATION = re.compile(r"\s*\([^()]*https?://[^()]*\)")
SENTENCE_END = re.compile(r"(?<=[\w)`])[.!?](?=\s+[A-Z`]|\s*$)")
SHAPE = re.compile(r"^\[[^\]]*\]\s*")
PUBLISHED = ("what it is", "needs", "source", "departures")

Cells = tuple[str, ...]


def main() -> None:
    """Write the page."""
    write_text(PAGE, page())


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_of_fits(), *_of_documents(), *_of_files(), *_of_models()])


# --- sections ---------------------------------------------------------------------------------------


def _of_fits() -> Iterator[str]:
    """What is named where runs are fitted or asked for."""
    yield _section("Laws", "`cuvee fit --law NAME`.", ("law", *PUBLISHED), _published(laws.LAWS, laws))
    yield _section(
        "Methods of search",
        "`method` under `search` in a study file, and `cuvee simulate --method NAME`.",
        ("method", *PUBLISHED),
        _published(methods.SEARCH_METHODS, methods),
    )


def _of_documents() -> Iterator[str]:
    """What documents are valued by."""
    yield _section(
        "Methods of valuation",
        "`cuvee value STUDY --target EVALUATION --method NAME`. Values are higher for documents to keep.",
        ("method", *PUBLISHED, "unit"),
        ((*row, one.unit) for row, one in zip(_published(VALUERS, valuers), VALUERS.values(), strict=True)),
    )


def _of_files() -> Iterator[str]:
    """What is named where files are read or written."""
    yield _section(
        "Readers",
        "`paths` of a source in a study file, and `cuvee init`; by the ending of a file.",
        ("ending", "what is read"),
        ((f"`{ending}`", _first_sentence(inspect.getdoc(read))) for ending, read in READERS.items()),
    )
    yield _section(
        "Formats of tokens",
        "`paths` of a source whose documents are tokens already, or `format` where names do not say it.",
        ("format", "ending", "what is read"),
        (_token_format(name, open_file) for name, open_file in TOKEN_FORMATS.items()),
    )
    yield _section(
        "Trainers",
        "`cuvee export DECISION --to NAME`. *Tokens* is the format that is read there where a study has it.",
        ("name", "trainer", "version", "a weight counts", "tokens", "file"),
        (_trainer(one) for one in trainers.EXPORTERS.values()),
    )
    yield _section(
        "Formats of tables of runs",
        "Recognised by their columns or keys, in this order.",
        ("format", "what it is", "what a file has"),
        ((*_named(one.name, one, formats), _plain(one.looks_for)) for one in formats.FORMATS),
    )
    yield _section(
        "Checks of tables of runs",
        "`cuvee doctor TABLE`. [doctor.md](doctor.md) says what each finding means and what to do.\n"
        "A warning of a check marked † stands in the first lines of an answer of `cuvee fit`.",
        ("check", "fault"),
        ((f"`{check.name}`{' †' if check.serious else ''}", check.title) for check in CHECKS),
    )


def _of_models() -> Iterator[str]:
    """What stands between a pool of models and predicted losses."""
    yield _section(
        "Mergers",
        "From a pool of models and weights to one model.",
        ("merger", "what it is", "source", "departures"),
        (
            (*_named(name, one, mergers), _source(one.paper), _escaped(one.deviations))
            for name, one in mergers.MERGERS.items()
        ),
    )
    yield _section(
        "Calibrators",
        "From proxy losses to predicted ones. The row with the lowest error on left-out references is taken.",
        ("calibrator", "proxies that it reads", "features that it learns"),
        (
            (f"`{name}`", _listed(one.proxies), _listed(one.features if one.fitted else ()))
            for name, one in calibrators_for(("merge", "ensemble")).items()
        ),
    )
    yield _section(
        "Features of calibrators",
        "What of a mixture may explain what proxies miss.",
        ("feature", "what it is"),
        ((f"`{name}`", _capital(_first_sentence(inspect.getdoc(one)))) for name, one in FEATURES.items()),
    )


# --- rows -------------------------------------------------------------------------------------------


def _published(table: Mapping[str, Any], registry: ModuleType) -> Iterator[Cells]:
    """Rows of laws or methods, which say what they need, their paper, and where they differ from it."""
    for name, row in table.items():
        rest = (_escaped(row.needs), _source(row.paper) if row.paper else "", _escaped(row.deviations))
        yield (*_named(name, row, registry), *rest)


def _trainer(one: Exporter) -> Cells:
    name, _ = _named(one.name, one, trainers)
    title = f"[{one.title}]({one.documentation})"
    tokens = f"`{one.tokens}`" if one.tokens else ""
    return name, title, _escaped(one.version), one.unit, tokens, f"`{one.filename}`"


def _named(name: str, row: object, registry: ModuleType) -> tuple[str, str]:
    """What the user types, with a link to its file; and what it is, in the words of that file.

    Of a file with several rows, a sentence "``name`` is ..." says it; a formula of the row's own is added.
    """
    file = _file_of(row, registry)
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    own = re.search(rf"(?:^|[.:] )``{name}`` (?:is )?(.*)", _folded(docstring))
    said = _capital(_first_sentence(own[1])) if own else _first_sentence(docstring.split("\n\n")[0])
    formula = getattr(row, "text", None) or getattr(getattr(row, "formula", None), "text", None)
    link = f"[`{name}`](../{file.relative_to(ROOT).as_posix()})"
    return link, _escaped(said) + (f": `{formula}`" if formula else "")


def _file_of(row: object, registry: ModuleType) -> Path:
    """The file from which the registry imports a row, or a tuple of rows, or else the class of the row."""
    imported = [(getattr(registry, name), module) for name, module in _imports_of(registry)]
    for wanted in (row, type(row)):
        for value, module in imported:
            if any(one is wanted for one in (value if isinstance(value, tuple) else (value,))):
                return ROOT / "src" / f"{module.replace('.', '/')}.py"
    raise LookupError(f"{registry.__name__} imports neither {row!r} nor its class")


def _imports_of(registry: ModuleType) -> Iterator[tuple[str, str]]:
    """Names and modules, as they stand at the head of the registry."""
    for node in ast.parse(inspect.getsource(registry)).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, node.module


def _section(title: str, text: str, columns: Cells, rows: Iterable[Cells]) -> str:
    """A heading, a sentence and a table."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join([f"## {title}", "", text, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


# --- words ------------------------------------------------------------------------------------------


def _token_format(name: str, open_file: Opener) -> Cells:
    module = inspect.getmodule(open_file)
    assert module is not None
    ending = next(ending for ending, format_ in TOKEN_TYPES.items() if format_ == name)
    return f"`{name}`", f"`{ending}`", _first_sentence((inspect.getdoc(module) or "").partition("\n\n")[0])


def _first_sentence(text: str | None) -> str:
    """Without number of a floor, shape of an array, citation and full stop."""
    return SENTENCE_END.split(SHAPE.sub("", _folded(text or "")))[0].replace("``", "`")


def _folded(text: str) -> str:
    """On one line, without what other columns say."""
    return CITATION.sub("", " ".join(text.split()))


def _source(address: str) -> str:
    """A link that says what it is: arXiv or DOI with its number, or else the host; empty for no paper."""
    if not address:
        return ""
    host, _, rest = address.partition("://")[2].partition("/")
    known = {"arxiv.org": f"arXiv {rest.removeprefix('abs/')}", "doi.org": f"doi {rest}"}
    return f"[{known.get(host, host)}]({address})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    """Text outside of quotes, in which ``<`` would begin a tag."""
    return _escaped(text).replace("<", "&lt;")


if __name__ == "__main__":
    main()
