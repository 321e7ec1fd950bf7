"""The counting script on a small tree whose counts are known."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import house, house_counts, house_words
from benchmarks.house_tree import Import, Tree

CONTRACTS = """
[project.scripts]
cuvee = "cuvee.cli.app:main"
[[tool.importlinter.contracts]]
type = "layers"
containers = ["cuvee"]
layers = ["__main__", "cli", "flows", "laws | search", "runs : files"]
[[tool.importlinter.contracts]]
type = "independence"
modules = ["cuvee.laws.*"]
[[tool.importlinter.contracts]]
type = "forbidden"
source_modules = ["cuvee.search"]
forbidden_modules = ["cuvee.files"]
"""
APP = '''
"""Commands."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from cuvee.search.loop import Loop
def run():
    """Run a small study now. It may take long."""
    from cuvee.laws import Linear
    print(f"{run} is done here. Go home")
'''


def tree(**files: str) -> Tree:
    """A package of these files; ``__`` in a name stands for a folder, ``face`` for an ``__init__``."""
    paths = {
        f"src/cuvee/{name.replace('__', '/').replace('face', '__init__')}.py": text
        for name, text in files.items()
    }
    main = {"src/cuvee/__init__.py": "", "src/cuvee/__main__.py": "from cuvee.cli.app import main\n"}
    return Tree("small", {"pyproject.toml": CONTRACTS, **main, **paths})


def small(**more: str) -> Tree:
    laws = {"laws__face": "from cuvee.laws.linear import Linear\nfrom cuvee.laws.dead import Dead\n"}
    rest = {"laws__linear": "class Linear: ...\nclass _End: ...\n", "laws__dead": "class Dead: ...\n\n\n"}
    search = {"search__loop": "class Loop: ...\nclass _End: ...\n"}
    return tree(cli__app=APP, **laws, **rest, **search, **more)


def test_rooms_are_folders_without_their_sub_folders() -> None:
    found = house_counts.rooms(tree(flows__scale__a="1\n" * 7, flows__b="1\n2\n", cli__app="1\n" * 10))
    assert [(room.name, room.files, room.lines, room.share) for room in found] == [
        ("cli", 2, 11, 55.0),
        ("flows/scale", 1, 7, 35.0),
        ("flows", 1, 2, 10.0),
        (".", 1, 0, 0.0),
    ]
    study = tree(study__a="1\n", study__scale__b="1\n2\n", flows__scale__c="1\n", flows__fit__d="1\n")
    whole = house_counts.rooms(study, house_counts.package)
    assert {room.name: room.lines for room in whole} == {
        "study": 3, "cli": 1, "flows/scale": 1, "flows/fit": 1, ".": 0,
    }  # fmt: skip


def test_imports_lead_to_the_file_that_defines_and_know_when_they_happen() -> None:
    assert [one for one in small().imports if one.importer == "cuvee.cli.app"] == [
        Import("cuvee.cli.app", "cuvee.laws.linear", 8, "late"),
        Import("cuvee.cli.app", "cuvee.search.loop", 5, "typing"),
    ]


def test_what_only_a_face_imports_is_reached_by_no_command() -> None:
    assert [module.name for module in house_counts.unreached(small())] == ["cuvee.laws.dead"]
    assert house_counts.importers(small(), "cuvee.laws.dead") == ["cuvee.laws"]


def test_a_late_import_closes_a_circle() -> None:
    found = tree(
        cli__app="",
        runs__a="def f():\n    from cuvee.runs.b import B\n",
        runs__b="from cuvee.runs.c import C\n",
        runs__c="import cuvee.runs.a\n",
        runs__deep__d="import cuvee.runs.a\n",
    )
    (circle,) = house_counts.module_circles(found)
    assert circle.members == ("cuvee.runs.a", "cuvee.runs.b", "cuvee.runs.c")
    assert len(circle.imports) == 3
    assert house_counts.room_circles(found) == []


def test_a_circle_of_rooms_names_the_rarer_direction() -> None:
    found = tree(
        cli__app="", runs__a="", runs__b="import cuvee.runs.deep.d\n", runs__deep__d="",
        runs__deep__e="import cuvee.runs.a\nfrom cuvee.runs import a\n",
    )  # fmt: skip
    (circle,) = house_counts.room_circles(found)
    assert circle.members == ("runs", "runs/deep")
    assert circle.imports == (Import("cuvee.runs.b", "cuvee.runs.deep.d", 1, "head"),)


@pytest.mark.parametrize(
    ("files", "broken"),
    [
        ({"runs__a": "def f():\n    import cuvee.cli.app\n", "cli__app": ""}, 1),
        ({"laws__a": "import cuvee.search.b\n", "search__b": ""}, 1),
        ({"laws__a": "import cuvee.laws.b\n", "laws__b": ""}, 1),
        ({"runs__a": "import cuvee.files\n", "files": "import cuvee.runs.a\n"}, 0),
        ({"search__a": "import cuvee.files\n", "files": ""}, 1),
        ({"search__a": "import cuvee.search.b\nimport cuvee.runs.c\n", "search__b": "", "runs__c": ""}, 0),
    ],
)
def test_layers_are_those_of_the_contracts(files: dict[str, str], broken: int) -> None:
    assert len(house_counts.against_layers(tree(**{"cli__app": "", **files}))) == broken


def test_a_contract_of_another_type_is_not_passed_over() -> None:
    contract = '[[tool.importlinter.contracts]]\ntype = "protected"\nname = "floors"\n'
    with pytest.raises(ValueError, match="'floors' has type 'protected'"):
        house_counts.against_layers(Tree("odd", {"pyproject.toml": contract}))


def test_flows_import_no_flow() -> None:
    files = {"flows__scale__a": "import cuvee.flows.fit.b\nimport cuvee.flows.scale.c\n"}
    found = tree(cli__app="", **files, flows__fit__b="", flows__scale__c="")
    assert house_counts.flows(found) == ["flows/fit", "flows/scale"]
    assert [one.imported for one in house_counts.among_flows(found)] == ["cuvee.flows.fit.b"]


def test_classes_of_two_files() -> None:
    assert list(house_counts.classes_twice(small())) == ["_End"]
    again = house_counts.classes_twice(small(runs__linear="if True:\n    class Dead: ...\nclass Linear: ..."))
    assert list(again) == ["Linear", "_End"]


def test_sentences_that_moved_are_kept() -> None:
    before = small(study__settings='"""A file of settings."""\nclass A:\n    """Kept as it was."""\n')
    after = small(
        study__settings='"""Another file of settings."""\nclass A:\n    """A better sentence here."""\n',
        study__other='class A:\n    """Kept as\n    it was."""\n',
        search__headline='"""No headline is here."""\nx = "no", f"so {1} says it"\n',
    )
    found = {kind.where: change for kind, change in house_words.changes(before, after)}
    commands, headlines, settings = found.values()
    assert (commands.before, commands.kept, commands.after, commands.new) == (3, 3, 3, 0)
    assert (headlines.before, headlines.after, headlines.new) == (0, 1, 1)
    assert (settings.before, settings.kept, settings.gone, settings.after, settings.new) == (1, 1, 0, 1, 1)


def test_a_tree_of_git_is_the_tree_on_disk(tmp_path: Path) -> None:
    for name, text in {
        **small().files,
        "tests/house/smallest_flow/flow.py": "import cuvee.laws.linear\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src" / "notes.txt").write_text("not counted")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(tmp_path)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    assert Tree.at("HEAD", tmp_path).files == Tree.on_disk(tmp_path).files


def test_the_page_lists_what_it_counts() -> None:
    flow = {"tests/house/smallest_flow/flow.py": "from cuvee.laws import Linear\n\nx = 1\n"}
    tests = {"tests/house/smallest_flow/test_flow.py": "1\n"}
    after = Tree("after", {**small().files, **flow, **tests})
    tables = {table.title: table for table in house.tables((small(), after))}
    counts = {row[0]: row[1:3] for row in tables["Before and after"].rows}
    assert counts["files reached by no command nor `cuvee.open`"] == (1, 1)
    assert counts["lines of the smallest flow"] == ("not there", 3)
    assert tables["Files reached by no command: after"].rows == (("`laws/dead.py`", 3, "`laws/__init__.py`"),)
    assert tables["What the smallest flow reuses: after"].rows == (("`laws/linear.py`", 2),)
    assert "Import circles: after" not in tables, "empty lists are left out"


def test_no_command_leads_back_to_itself() -> None:
    circles = house_counts.module_circles(Tree.on_disk())
    assert [
        one.members for one in circles if any(name.startswith("cuvee.cli.") for name in one.members)
    ] == []
