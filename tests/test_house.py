"""The rules of the house: what packages show, which floor imports which, what loads when, and words.

These tests read the source and import it; they know nothing of what it does.
"""

import ast
import inspect
import os
import re
import resource
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import cuvee
import cuvee.errors
from benchmarks import house_counts
from benchmarks.house_tree import Tree

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "cuvee"
FILES = sorted(SOURCE.rglob("*.py"))
PACKAGES = [
    ".".join(path.parent.relative_to(SOURCE.parent).parts)
    for path in FILES
    if path.name == "__init__.py" and path.parent != SOURCE
]

HEAVY = (
    "torch", "transformers", "tokenizers", "safetensors", "scipy", "pyarrow", "pandas", "datasets", "sympy",
)  # fmt: skip
LIGHT_MODULES = (
    "cuvee",
    "cuvee.errors",
    "cuvee.files",
    "cuvee.hashing",
    "cuvee.types",
    "cuvee.mixture",
    "cuvee.execution",
    "cuvee.honesty",
    "cuvee.study",
    "cuvee.study.file.config",
    "cuvee.cli",
    "cuvee.cli.app",
)
"""What must answer at once: ``cuvee --help``, a check of a study file, arithmetic on mixtures."""

HELP_SECONDS = 0.5
"""Processor seconds allowed to ``cuvee --help`` in the best of five; about twice what it takes."""


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE.parent).as_posix()


def in_fresh_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a new interpreter that finds cuvee; warnings are errors there too."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


# --- what packages show -----------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_exports(package: str) -> None:
    module = import_module(package)
    names = list(getattr(module, "__all__", ()))
    assert names, f"{package} has no __all__"
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=constants_classes_others)
    for name in names:
        thing = vars(module)[name] if name in vars(module) else import_module(f"{package}.{name}")
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{package}.{name} has no docstring"


def constants_classes_others(name: str) -> tuple[int, str]:
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def test_the_root_shows_what_opens_a_study() -> None:
    assert cuvee.__all__ == ["__version__", "open"]
    assert set(cuvee.__all__) <= set(dir(cuvee))
    assert all(hasattr(cuvee, name) for name in cuvee.__all__)


@pytest.mark.parametrize("document", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_documents_import_what_packages_export(document: Path) -> None:
    for block in re.findall(r"^```python[^\n]*\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cuvee":
                assert node.module in PACKAGES, f"{document.name}: {node.module} is a file, not a package"
                hidden = {alias.name for alias in node.names} - set(import_module(node.module).__all__)
                assert not hidden, f"{document.name}: {node.module} does not export {hidden}"
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names if alias.name.startswith("cuvee")}
                assert names <= {"cuvee"}, f"{document.name}: import names of {names} by from"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_inside_imports_the_root(path: Path) -> None:
    """It shows ``cuvee.open``, which stands above nearly all of them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert "cuvee" not in {alias.name for alias in node.names}, f"{name_of(path)}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "cuvee":
            files = {alias.name for alias in node.names if (SOURCE / alias.name).is_dir()}
            files |= {alias.name for alias in node.names if (SOURCE / f"{alias.name}.py").exists()}
            assert files == {alias.name for alias in node.names}, f"{name_of(path)}:{node.lineno}"


def test_importing_prints_nothing_and_warns_of_nothing() -> None:
    code = (
        "import cuvee, importlib, pkgutil\n"
        "for module in pkgutil.walk_packages(cuvee.__path__, prefix='cuvee.'):\n"
        "    if not module.name.endswith('__main__') and module.name != 'cuvee.sources.hub':\n"
        "        importlib.import_module(module.name)\n"
    )
    # Warnings of other packages at import are their own affair, so no -W error here.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- floors -----------------------------------------------------------------------------------------


def test_floors_are_kept() -> None:
    """The contract stands in pyproject.toml; every package must have its floor there."""
    linter = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    command = [str(linter), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_circle_of_imports() -> None:
    """Imports inside functions and for annotations count too; a folder and its sub-folder are two rooms."""
    tree = Tree.on_disk()
    assert [circle.members for circle in house_counts.module_circles(tree)] == []
    assert [circle.members for circle in house_counts.room_circles(tree)] == []


def test_no_file_is_dead_and_no_class_name_means_two_things() -> None:
    tree = Tree.on_disk()
    assert [module.name for module in house_counts.unreached(tree)] == []
    assert house_counts.classes_twice(tree) == {}
    assert house_counts.among_flows(tree) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_insiders_import_the_file_and_not_the_face(path: Path) -> None:
    """``from cuvee.mixture.mixture import Mixture``: a face imported from inside is how loops begin."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
            for alias in node.names:
                module = f"{node.module}.{alias.name}".replace(".", "/")
                is_file = (SOURCE.parent / f"{module}.py").exists() or (SOURCE.parent / module).is_dir()
                assert is_file, f"{name_of(path)}:{node.lineno}: import {alias.name} from its own file"


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("datasets", "cuvee/sources/hub.py"),
        ("fsspec", "cuvee/execution/object_store.py"),
        ("lm_eval", "cuvee/sources/harness.py"),
        ("lightgbm", "cuvee/laws/regmix.py"),
        ("ot", "cuvee/valuation/transport.py"),
        ("model2vec", "cuvee/valuation/encoders.py"),
        ("sentence_transformers", "cuvee/valuation/encoders.py"),
        ("trackio", "cuvee/tracking/trackio.py"),
        ("wandb", "cuvee/tracking/wandb.py"),
    ],
)
def test_the_library_of_an_extra_is_behind_one_file(package: str, file: str) -> None:
    assert [name_of(path) for path in FILES if package in top_level_packages(path)] == [file]


def test_what_is_imported_is_declared() -> None:
    """No file uses a package that merely happens to be installed by another one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = [
        *project["dependencies"],
        *(name for extra in extras if extra != "dev" for name in extras[extra]),
    ]
    declared = {name.split(">")[0].split("<")[0].split("=")[0] for name in names}
    # yaml is pyyaml, ot is POT; pydantic_core and markupsafe belong to pydantic and jinja2.
    declared |= {"cuvee", "yaml", "ot", "pydantic_core", "markupsafe", *sys.stdlib_module_names}
    declared |= {name.replace("-", "_") for name in declared}
    for path in FILES:
        assert top_level_packages(path) <= declared, name_of(path)


def top_level_packages(path: Path) -> set[str]:
    """First parts of the names of all modules that a file imports, at its head or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


# --- what loads when --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = in_fresh_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", f"importing {module} loads {done.stdout.strip()}"


def test_help_answers_at_once() -> None:
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = in_fresh_python(
            "import sys\n"
            "sys.argv = ['cuvee', '--help']\n"
            "from cuvee.cli.app import main\n"
            "try:\n"
            "    main()\n"
            "finally:\n"
            f"    heavy = set({HEAVY!r}) & set(sys.modules)\n"
            "    assert not heavy, heavy\n"
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if best < HELP_SECONDS:
            return
    pytest.fail(f"cuvee --help took {best:.2f} processor seconds, more than {HELP_SECONDS}")


def test_a_typing_error_in_a_study_file_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("schema: 1\nsources: {web: {path: x}}\n", encoding="utf-8")
    code = (
        "import sys\n"
        "from contextlib import redirect_stderr\n"
        "from io import StringIO\n"
        "from cuvee.cli.app import app\n"
        "for command in (['run'], ['status'], ['scale'], ['search'], ['check'], ['change', 'drop', 'web']):\n"
        "    with redirect_stderr(StringIO()) as said:\n"
        "        try:\n"
        f"            app([command[0], {str(tmp_path)!r}, *command[1:]])\n"
        "        except SystemExit:\n"
        "            pass\n"
        "    assert 'did you mean' in said.getvalue(), (command, said.getvalue())\n"
        f"    heavy = {{'rich', *{HEAVY!r}}} & set(sys.modules)\n"
        "    assert not heavy, (command, heavy)\n"
    )
    done = in_fresh_python(code)
    assert done.returncode == 0, done.stderr


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_says_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, f"{name_of(path)} has no docstring"
    assert path.stem not in {"utils", "helpers", "misc", "common"}, "name a file by its noun"


def test_the_drawn_tree_of_errors_is_the_tree_of_classes() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (cuvee.errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        name = words.split()[0] if words.strip() else ""
        if inspect.isclass(getattr(cuvee.errors, name, None)):
            depth = (len(words) - len(words.lstrip()) - 4) // 4
            above[depth:] = [name]
            drawn[name] = above[depth - 1] if depth else "Exception"
    classes = {name: thing for name, thing in vars(cuvee.errors).items() if inspect.isclass(thing)}
    assert drawn == {name: thing.__mro__[1].__name__ for name, thing in classes.items()}


def test_every_error_has_an_exit_code_of_its_family() -> None:
    families = cuvee.errors.CuveeError.__subclasses__()
    assert all(family.exit_code >= 1 for family in families)
