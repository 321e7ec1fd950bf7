"""The benchmark of given checkpoints at a toy scale: every row is there, and a second run trains nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.machines import tables
from benchmarks.machines_seeds import GPT2, SEEN, Halves, Pretrained, Pretraining
from benchmarks.machines_study import BranchKind, MachinesStudy
from cuvee.execution.local import InProcess
from tests.study.tiny_study import LANGUAGES, Listener, hashes, texts

OUTSIDE = LANGUAGES[-1]


def corpus(folder: Path) -> Path:
    """All languages as the benchmark expects its domains."""
    for name in LANGUAGES:
        (folder / name).mkdir(parents=True)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts(name))
        with pa.CompressedOutputStream(str(folder / name / "train.jsonl.zst"), "zstd") as file:
            file.write(lines.encode())
    return folder


def toy(tmp_path: Path) -> MachinesStudy:
    names = tuple(name for name in LANGUAGES if name != OUTSIDE)
    return MachinesStudy(
        corpus(tmp_path / "corpus"),
        tmp_path / "work",
        names,
        (OUTSIDE,),
        kinds=(
            BranchKind("whole", {"learning_rate": 1e-3}),
            BranchKind("adapters, rank 2", {"learning_rate": 1e-2}, 2),
        ),
        pretraining=Pretraining(tokens_per_parameter=0.01, vocabulary=300),
        tokens=2 * 256,
        batch_tokens=256,
        references=4,
        replicates=1,
        evaluation_tokens=256,
        workers=1,
    )


def test_documents_are_dealt_into_halves_that_share_none(tmp_path: Path) -> None:
    halves = Halves.of(corpus(tmp_path / "corpus"), tmp_path / "text", LANGUAGES, bytes_each=2_000)
    for name in LANGUAGES:
        seen, kept = (halves.texts(name, half) for half in (SEEN, "kept"))
        assert seen and kept and [*seen, *kept] != texts(name)
        assert {*seen, *kept} <= set(texts(name))
        assert abs(len(seen) - len(kept)) <= 1


@pytest.mark.slow
def test_the_whole_at_a_toy_scale(tmp_path: Path) -> None:
    study = toy(tmp_path)
    seeds, agreement, pools = tables(study, Listener(), InProcess())
    assert [row[0] for row in seeds.rows] == ["GPT-2", "Llama"]
    proxies = {f"{what}, {kind.name}" for what in ("merge", "ensemble") for kind in study.kinds}
    for shape in study.shapes:
        said = {str(row[3]) for row in agreement.rows if row[0] == shape.name}
        assert proxies <= said and any("baseline" in name for name in said)
    sizes = {(row[0], row[1]): row[2] for row in pools.rows}
    for shape in study.shapes:
        whole, adapted = (sizes[shape.name, kind.name] for kind in study.kinds)
        assert isinstance(whole, float) and isinstance(adapted, float) and adapted < whole / 2
    folder = study.folder(GPT2).checkpoints
    before, seed, listener = hashes(folder), Pretrained.load(study.seed_folder(GPT2)), Listener()
    again = tables(study, listener, InProcess())
    assert again[:2] == [seeds, agreement]
    assert hashes(folder) == before and Pretrained.load(study.seed_folder(GPT2)) == seed
    assert not any("training" in stage or "scoring" in stage for stage in listener.stages)
