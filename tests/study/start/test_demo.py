"""The demonstration's corpus: where its text may come from, what becomes of it, and its study file."""

import io
import json
import sys
import sysconfig
from pathlib import Path

import pyarrow as pa
import pytest

from cuvee.errors import EmptySource
from cuvee.hashing import digest_file
from cuvee.progress import Silent
from cuvee.study.file.config import StudyConfig
from cuvee.study.start import demo
from cuvee.study.start.demo import make_demo
from cuvee.study.start.demo_text import DOMAINS, PIECE_CHARACTERS, Installation

DOCSTRING = "A module that explains itself at some length. " * 8
PYTHON = f'"""{{n}} {DOCSTRING}"""\n' + "\n\ndef f{n}():\n    return 1\n" * 20
HEADER = "#include <vector>\nstd::vector<int> v{n};\n" * 20
NUMBERS = "{n},1.50625,2.53125,3.25\n" * 40
STUB = "def f{n}(x: int) -> int: ...\n" * 20


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def write(folder: Path, suffix: str, text: str, files: int = 3) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(files):
        (folder / f"file{n}{suffix}").write_text(text.replace("{n}", str(n) + folder.name))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A small one with all kinds of text except type stubs."""
    root = tmp_path / "python"
    for package in ("stdlib", "torch", "transformers", "numpy", "scipy", "sympy"):
        write(root / package, ".py", PYTHON)
    write(root / "torch" / "include", ".h", HEADER)
    write(root / "numpy" / "data", ".csv", NUMBERS)
    write(root / "scipy" / "data", ".txt", "these are words and no numbers at all\n" * 20)
    info = root / "torch-2.dist-info"
    write(info, "LICENSE", "You may do with this whatever the licence says. " * 10)
    (info / "METADATA").write_text("Name: torch\nVersion: 2\n\n" + "A description of the package. " * 20)
    help_folder = root / "pydoc_data"
    help_folder.mkdir()
    (help_folder / "topics.py").write_text(
        f"topics = {{'assert': {'Assert statements are convenient. ' * 10!r}}}\n"
    )
    names = ("stdlib", "torch", "transformers", "numpy", "scipy", "sympy")
    places = {name: (root / name,) for name in names} | {"help": (help_folder,), "metadata": (info,)}
    return Installation(places)


def documents(path: Path) -> list[dict[str, str]]:
    with pa.input_stream(str(path), compression="detect") as stream:
        return [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8")]


def test_a_study_of_what_is_there(tmp_path: Path, installation: Installation) -> None:
    listener = Listener()
    path = make_demo(tmp_path / "demo", listener, "tiny", installation, smallest_bytes=300)
    config = StudyConfig.load(path)
    # There are no stubs here, so sympy's code takes their place.
    assert set(config.sources) == {domain.name for domain in DOMAINS} - {"stubs"}
    assert listener.said == ["demo: type stubs: only 0.00 MB here, left out"]
    assert config.effort == "tiny"
    assert len(config.pool_sources) == 6
    assert "ml_docs" not in config.pool_sources
    manifest = json.loads((tmp_path / "demo" / "corpus" / "manifest.json").read_text())
    assert manifest["versions"]["python"] == sys.version.split()[0]
    for name, source in config.sources.items():
        (file,) = map(Path, source.paths)
        found = documents(file)
        entry = manifest["domains"][name]
        assert entry["hash"] == digest_file(file)
        assert entry["documents"] == len(found)
        assert set(entry["files"]) == {document["location"] for document in found}
        assert entry["bytes"] == sum(len(document["text"].encode()) for document in found) >= 300


def test_each_kind_of_text_is_taken_out(tmp_path: Path, installation: Installation) -> None:
    corpus = (
        make_demo(tmp_path / "demo", Silent(), "tiny", installation, smallest_bytes=300).parent / "corpus"
    )
    texts = {domain.name: "".join(d["text"] for d in documents(corpus / f"{domain.name}.jsonl.zst"))
             for domain in DOMAINS if domain.name != "stubs"}  # fmt: skip
    assert "def f0stdlib" in texts["python"]
    assert "explains itself" not in texts["python"]
    assert "explains itself" in texts["science_docs"]
    assert "def f" not in texts["science_docs"]
    assert "#include" in texts["cpp"]
    assert "1.5" in texts["tables"]
    assert "words" not in texts["tables"]
    assert "A description" in texts["prose"]
    assert "Version: 2" not in texts["prose"]
    assert "Assert statements" in texts["prose"]
    assert "licence" in texts["prose"]


def test_the_same_text_is_taken_once_and_the_bytes_are_the_same(
    tmp_path: Path, installation: Installation
) -> None:
    folder = installation.places["torch"][0]
    (folder / "copy.py").write_bytes((folder / "file1.py").read_bytes())
    corpora = []
    for name in ("one", "two"):
        make_demo(tmp_path / name, Silent(), "tiny", installation, smallest_bytes=300)
        corpora.append({file.name: file.read_bytes() for file in (tmp_path / name / "corpus").iterdir()})
    assert corpora[0] == corpora[1]
    found = documents(tmp_path / "one" / "corpus" / "ml_code.jsonl.zst")
    assert len(found) == len({document["text"] for document in found}) == 6


def test_what_is_there_is_kept(tmp_path: Path, installation: Installation) -> None:
    path = make_demo(tmp_path / "demo", Silent(), "tiny", installation, smallest_bytes=300)
    path.write_text(path.read_text().replace("effort: tiny", "effort: small"))
    nothing = Installation({})
    assert make_demo(tmp_path / "demo", Silent(), "tiny", nothing) == path
    assert StudyConfig.load(path).effort == "small"


def test_too_little_text(tmp_path: Path, installation: Installation) -> None:
    with pytest.raises(EmptySource, match=r"only 0 kinds of text have at least 1\.5 MB"):
        make_demo(tmp_path / "demo", Silent(), "tiny", installation)
    assert not (tmp_path / "demo" / "corpus").exists()


def test_links_out_of_the_installation_and_strange_files_are_left(
    tmp_path: Path, installation: Installation
) -> None:
    folder = installation.places["torch"][0]
    secret = tmp_path / "secret.py"
    secret.write_text("password = 1\n" * 50)
    (folder / "link.py").symlink_to(secret)
    (folder / "inner.py").symlink_to(folder / "file0.py")
    (folder / "latin.py").write_bytes(b"# \xe9\n" * 100)
    (folder / "old.py").write_text("print 'no longer Python'\n" * 50)
    (folder / "huge.py").write_text("x = 1\n" * 500_000)
    names = [name for name, _ in installation.files("torch", (".py",))]
    assert "torch/link.py" not in names
    assert "torch/inner.py" in names
    code = next(domain for domain in DOMAINS if domain.name == "ml_code")
    found = {name for name, _ in code.documents(installation, 10**9)}
    assert not found & {"torch/latin.py", "torch/huge.py", "torch/link.py"}


def test_a_file_gives_a_bounded_share_in_pieces_of_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("".join(f"value_{n} = {n}\n" for n in range(20_000)))
    domain = DOMAINS[0]
    found = [text for _, text in domain.documents(Installation({"stdlib": (tmp_path,)}), 10**9)]
    assert 50_000 < sum(map(len, found)) <= 60_000
    assert all(len(text) <= PIECE_CHARACTERS for text in found)
    assert all(text.startswith("value_") for text in found)
    enough = [text for _, text in domain.documents(Installation({"stdlib": (tmp_path,)}), 10_000)]
    assert enough == found[: len(enough)]
    assert 10_000 <= sum(map(len, enough)) < 10_000 + PIECE_CHARACTERS


def test_nothing_is_read_outside_of_the_installation() -> None:
    here = Installation.here()
    roots = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib", "include")]
    for folders in here.places.values():
        for folder in folders:
            assert any(folder.resolve().is_relative_to(root) for root in roots), folder


@pytest.mark.slow
def test_this_installation_has_enough(tmp_path: Path) -> None:
    listener = Listener()
    path = make_demo(tmp_path / "demo", listener)
    config = StudyConfig.load(path)
    assert listener.said == []
    assert len(config.sources) == demo.MOST_DOMAINS
    manifest = json.loads((tmp_path / "demo" / "corpus" / "manifest.json").read_text())
    for name, entry in manifest["domains"].items():
        assert entry["bytes"] >= demo.SMALLEST_BYTES, name
        assert entry["documents"] >= 100, name
