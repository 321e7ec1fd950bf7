"""Exports drawn from: does a trainer that reads our file draw the mixture that was asked for?

`make test-exports` installs each light trainer in an environment of its own, in a temporary folder, and runs
a program of ``tests/exporters/draw`` there: it builds what the trainer builds from our file, and draws. What
came is compared as `cuvee check-export` compares it. Trainers that are no light packages are rows that say
why.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import FOLDER, Cell, Table, write
from cuvee.exporters.draws import read_draws
from cuvee.exporters.interface import ExportRequest, SourceFacts
from cuvee.exporters.realised import ShareComparison, compared
from cuvee.exporters.registry import EXPORTERS
from cuvee.mixture.mixture import Mixture

PROGRAMS = FOLDER.parent / "tests" / "exporters" / "draw"
CONSTRAINTS = FOLDER.parent / "constraints.txt"

MIXTURE = Mixture.of({"web": 0.5, "code": 0.3, "law": 0.2})
DOCUMENTS = {"web": (30_000, 20), "code": (10_000, 60), "law": (4_000, 120)}
"""Of each source: how many, and how many words each has on average (half to one and a half times as many)."""
SAMPLES = 100_000
LENGTH = 16
"""Tokens of a sample, where samples are windows; as in ``tests/exporters/draw/order.py``."""
ROW_LENGTH = 2048
"""The same where samples are documents, of which none is cut then."""
TARGET_TOKENS = SAMPLES * LENGTH
"""Of the run: web is read 1.3 times, the others in part."""

COLUMNS = (
    "trainer", "version", "read from version", "unit", "megabytes", "samples", "asked", "realised",
    "largest difference, points", "in standard errors", "why not drawn from",
)  # fmt: skip


@dataclass(frozen=True)
class Trainer:
    """A trainer that is light enough to be drawn from."""

    name: str
    """A row of ``EXPORTERS``."""
    packages: tuple[str, ...]
    """What is installed for it."""
    program: str
    """In ``PROGRAMS``."""
    place: str
    """Where a source lies; ``{name}`` is the source."""
    python: str = "3.11"
    without_dependencies: tuple[str, ...] = ()
    """Packages installed alone, since what they need besides is for graphics processors."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TRAINERS = {
    one.name: one
    for one in (
        Trainer("hugging-face", ("datasets==5.2.0",), "with_hugging_face.py", "text/{name}.jsonl"),
        Trainer("trl", ("trl==1.16.0", "torch"), "with_trl.py", "text/{name}.jsonl"),
        Trainer("mosaicml", ("mosaicml-streaming==0.13.0", "torch"), "with_mosaicml.py", "shards/{name}"),
        Trainer("litdata", ("litdata==0.2.76", "torch"), "with_litdata.py", "chunks/{name}"),
        Trainer("olmo-core", ("ai2-olmo-core==3.0.0", "torch"), "with_olmo_core.py", "arrays/{name}.npy"),
        Trainer(
            "megatron",
            ("torch", "numpy", "packaging", "triton"),
            "with_megatron.py",
            "binary/{name}",
            # It asks for Python 3.12, and has wheels for 3.11.
            without_dependencies=("--ignore-requires-python", "megatron-core==0.19.2"),
        ),
        Trainer("torchtitan", ("torchtitan==0.3.0", "torch"), "with_torchtitan.py", "text/{name}.jsonl"),
        Trainer(
            "llama-factory",
            _words(
                "torch transformers<=5.6.0 datasets<=4.0.0 accelerate<=1.11.0 peft<=0.18.1 trl<=0.24.0 "
                "omegaconf pyyaml einops pydantic"
            ),
            "with_llama_factory.py",
            "text/{name}.jsonl",
            without_dependencies=("llamafactory==0.9.5",),
        ),
        Trainer(
            "axolotl",
            _words(
                "torch transformers==5.16.1 datasets==4.8.4 accelerate==1.13.0 huggingface_hub==1.17.0 "
                "peft==0.20.0 trl==1.9.0 pydantic==2.12.5 addict fire colorama requests scipy python-dotenv "
                "sentencepiece pillow posthog numba"
            ),
            "with_axolotl.py",
            "text/{name}.jsonl",
            without_dependencies=("axolotl==0.19.0",),
        ),
        Trainer(
            "ms-swift",
            _words(
                "torch transformers<5.20.0 datasets<4.8.5 modelscope peft<0.21 trl<1.0 accelerate addict "
                "requests dacite json-repair attrdict matplotlib tensorboard binpacking"
            ),
            "with_ms_swift.py",
            "text/{name}.jsonl",
            without_dependencies=("ms-swift==4.6.0",),
        ),
        Trainer(
            "levanter",
            ("marin-levanter==0.2.227.dev40316220070",),
            "with_levanter.py",
            "text/{name}.jsonl",
            python="3.12",
        ),
    )
}

HEAVY = {
    "megatron-bridge": "needs packages for CUDA (flashinfer among them); its blend is that of Megatron-LM",
    "nemo-automodel": "needs packages for CUDA (quack-kernels among them); read, not run",
    "gpt-neox": "is no package of the index; read, not run",
    "lingua": "is no package of the index; read, not run",
    "torchtitan-main": "is not released; drawn from by hand at that commit: web 50.0%, code 30.0%, law 20.0%",
}
"""Trainers that are only checked against their files, and why."""

KEPT = "CUVEE_TRAINERS"
"""Variable that names a folder: environments are kept there and used again, not made anew and removed."""


@dataclass(frozen=True)
class Drawn:
    """What a trainer drew."""

    version: str
    megabytes: int
    """Of its environment, Python's own files without."""
    comparison: ShareComparison


def drawn_by(trainer: Trainer, scratch: Path) -> Drawn:
    """Install a trainer, draw from it, and remove it again; its study lies under ``scratch``.

    Raises:
        RuntimeError: it cannot be installed, or its program fails (with what it said last).
    """
    kept = os.environ.get(KEPT)
    environment = Path(kept) / trainer.name if kept else scratch / "environment"
    try:
        python = environment / "bin" / "python"
        if not python.exists():
            python = installed(trainer, environment)
        size = sum(file.lstat().st_size for file in environment.rglob("*") if file.is_file()) >> 20
        return draw(trainer, python, scratch / "study", size)
    finally:
        if not kept:
            shutil.rmtree(environment, ignore_errors=True)


def installed(trainer: Trainer, environment: Path) -> Path:
    """The interpreter of a new environment that has the trainer."""
    interpreter = shutil.which(f"python{trainer.python}")
    if interpreter is None:
        raise RuntimeError(f"needs python{trainer.python}, which is not on the path")
    _run([interpreter, "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    torch = _pinned("torch")
    _run([*pip, *(torch if one == "torch" else one for one in trainer.packages)])
    if trainer.without_dependencies:
        _run([*pip, "--no-deps", *trainer.without_dependencies])
    return environment / "bin" / "python"


def draw(trainer: Trainer, python: Path, folder: Path, megabytes: int) -> Drawn:
    """Export for a trainer that is installed, draw through it, and compare."""
    exported = prepare(trainer, folder)
    command = [str(python), str(PROGRAMS / trainer.program), str(folder), str(exported), str(SAMPLES)]
    said = json.loads(_run(command, folder).splitlines()[-1])
    draws = read_draws(folder / "order.csv")
    return Drawn(str(said["version"]), megabytes, compared(MIXTURE, draws, {}))


def prepare(trainer: Trainer, folder: Path) -> Path:
    """Text of three sources, where the trainer finds them, and our file for it."""
    (folder / "text").mkdir(parents=True)
    exporter = EXPORTERS[trainer.name]
    places = {name: str(folder / trainer.place.format(name=name)) for name in MIXTURE.names}
    (folder / "sources.json").write_text(json.dumps(places), encoding="utf-8")
    facts = {}
    for name, place in places.items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        tokens = _write_text(folder / "text" / f"{name}.jsonl", name)
        facts[name] = SourceFacts("" if exporter.by_name else place, tokens, DOCUMENTS[name][0])
    length = LENGTH if exporter.unit in ("samples", "tokens") else ROW_LENGTH
    written = exporter.export(ExportRequest(MIXTURE, facts, TARGET_TOKENS, length, seed=7))
    path = folder / exporter.filename
    path.write_text(written.text, encoding="utf-8")
    return path


def _write_text(path: Path, word: str) -> int:
    """Documents of one word; their tokens."""
    documents, length = DOCUMENTS[word]
    draws = random.Random(word)
    counts = [draws.randint(length // 2, length + length // 2) for _ in range(documents)]
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": " ".join([word] * count)}) + "\n" for count in counts)
    return sum(counts)


def _pinned(package: str) -> str:
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{package}=="))


def _run(command: list[str], folder: Path | None = None) -> str:
    """What a command printed; no hub is asked."""
    home = {"HOME": str(folder), "HF_HOME": str(folder / "hub")} if folder else {}
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
    environment = {**os.environ, **home, **offline}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=3000
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[1]).name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


# --- the table ----------------------------------------------------------------------------------------


def row(name: str, drawn: Drawn | None, why: str = "") -> tuple[Cell, ...]:
    """A trainer's row of the table."""
    exporter = EXPORTERS[name]
    if drawn is None:
        return (exporter.title, None, exporter.version, exporter.unit, *[None] * 6, why)
    shares = drawn.comparison.shares
    points, errors = distance(drawn.comparison)
    return (
        exporter.title,
        drawn.version,
        exporter.version,
        exporter.unit,
        drawn.megabytes,
        drawn.comparison.samples,
        ", ".join(f"{one.source} {one.asked:.1%}" for one in shares),
        ", ".join(f"{one.source} {one.drawn:.2%}" for one in shares),
        points,
        errors,
        None,
    )


def distance(comparison: ShareComparison) -> tuple[float, float]:
    """The largest difference of a share: in percentage points, and in standard errors."""
    gaps = [(abs(one.drawn - one.asked), one.error) for one in comparison.shares]
    return 100 * max(gap for gap, _ in gaps), max(gap / error for gap, error in gaps if error)


def update(rows: dict[str, tuple[Cell, ...]], folder: Path = FOLDER) -> None:
    """Write the table anew, with rows of before for trainers that are not among these."""
    path = folder / "results" / "exports.json"
    before = json.loads(path.read_text(encoding="utf-8"))["tables"][0]["rows"] if path.exists() else []
    known = {str(one[0]): tuple(one) for one in before}
    known |= {str(one[0]): one for one in rows.values()}
    known |= {EXPORTERS[name].title: row(name, None, why) for name, why in HEAVY.items()}
    ordered = [known[one.title] for one in EXPORTERS.values() if one.title in known]
    notes = (
        f"Three sources of documents of different lengths; {SAMPLES:,} samples, or one epoch where that is "
        "less. A standard error is that of random draws in the mixture asked for; trainers that divide "
        "sources evenly stay far below one.",
        "Megabytes are those of the environment: the trainer and all that its reader needs, torch for "
        "processors alone where it needs torch.",
    )
    write(
        "exports",
        "Does a trainer that reads our file draw the mixture that was asked for?",
        [Table("Realised token shares", COLUMNS, tuple(ordered), notes)],
        command="make test-exports",
        folder=folder,
    )


if __name__ == "__main__":
    sys.exit("make test-exports runs this")
