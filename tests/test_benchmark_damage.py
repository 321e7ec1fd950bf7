"""The damage study: which files it damages, and how it tells what became of a flip."""

from pathlib import Path

import numpy as np

from benchmarks import damage
from benchmarks.damage_study import HalfDone, Listener, timeless
from cuvee.errors import StoreError
from cuvee.types import Json


def folder(root: Path) -> Path:
    (root / "shards" / "0123456789abcdef").mkdir(parents=True)
    (root / "shards" / "0123456789abcdef" / "tokens.bin").write_bytes(bytes(100))
    for name in ("study.yaml", "report.html", ".lock", "store.sqlite"):
        (root / name).write_text("x")
    return root


def test_kinds_are_files_of_our_own(tmp_path: Path) -> None:
    assert damage.kinds(folder(tmp_path)) == {
        "shards/KEY/tokens.bin": [Path("shards/0123456789abcdef/tokens.bin")],
        "store.sqlite": [Path("store.sqlite")],
    }


def test_what_becomes_of_a_flip(tmp_path: Path) -> None:
    root = folder(tmp_path / "study")
    (file,) = damage.kinds(root)["shards/KEY/tokens.bin"]

    def outcome(refuses: bool = False, says: str = "", answers: bool = False, breaks: bool = False) -> str:
        def command(place: Path, listener: Listener) -> Json:
            hit = any((place / file).read_bytes())
            if hit and refuses:
                raise StoreError("no")
            if hit and breaks:
                raise ValueError("a traceback")
            if hit and says:
                listener.message(says)
            return {"answer": int(hit and answers)}

        study = HalfDone("x", root, command)
        said, answer = damage.undamaged(study)
        return damage.flipped(study, file, np.random.default_rng(0), said, answer)

    assert outcome(refuses=True) == "refused"
    assert outcome(breaks=True) == "traceback"
    assert outcome(says="a state is damaged", answers=True) == "said"
    assert outcome(says="loss 3.2", answers=True) == "silent"
    assert outcome(answers=True) == "silent"
    assert outcome() == "same answer"
    assert not any((root / file).read_bytes()), "copies are damaged, never the study"


def test_an_answer_without_its_cost() -> None:
    document = {"mixture": [{"share": 0.5, "seconds": 3}], "ledger": [1]}
    assert timeless(document) == {"mixture": [{"share": 0.5}]}
