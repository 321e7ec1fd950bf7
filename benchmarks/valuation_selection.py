"""Do values survive retraining? A quarter of a dirty pool, chosen by each method, trained on and measured.

Eight domains, of which the target is a small part; 8 % of the documents have noise in their words, 5 % are
copies of others with a tenth of their words changed. Every method keeps 25 % of the tokens; a model is
trained from scratch on each selection, once over it, with three seeds and equal tokens for all, and measured
on documents of the target and of all other domains that no method has seen. Beside them: random documents,
DSIR, all documents at equal tokens, and one epoch of all of them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ablation_study import ROOT, SHARED
from benchmarks.harness import Cell, Table
from cuvee.decisions.interval import Interval
from cuvee.decisions.value.decision import Valuation
from cuvee.decisions.value.result import Retraining
from cuvee.files import write_text
from cuvee.flows.value import flow
from cuvee.flows.value.question import ValueQuestion
from cuvee.progress import Progress
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.types import Json
from cuvee.valuation.methods.registry import VALUERS

WORK = ROOT / ".bench" / "valuation"
DOMAINS = ("chess", "dialogue", "docs", "german", "gsm8k", "legal", "medical", "novels")
TARGET = "medical"
CHARACTERS = {TARGET: 300_000}
"""Of the pool, by domain."""
OTHERS_CHARACTERS = 1_200_000
HELD_OUT = {TARGET: 160}
OTHERS_HELD_OUT = 24
"""Documents of each domain that are measured on: half of them choose, half check."""
PIECE = 2000
"""Characters of a document, at most: longer ones are cut, so that no domain has a few long ones alone."""
NOISY, COPIED, CHANGED = 0.08, 0.05, 0.1
SHARE, SEEDS = 0.25, 3
METHODS = tuple(name for name in VALUERS if name not in ("dsir", "random"))


@dataclass(frozen=True)
class Piece:
    """A document with what was done to it."""

    text: str
    kind: str
    """``clean``, ``noise`` or ``copy``."""


@cache
def pieces(domain: str) -> tuple[str, ...]:
    """All pieces of a domain's training text, in the corpus's own order, which is random."""
    spec = SourceSpec(domain, (str(SHARED / "corpus" / domain / "train.jsonl.zst"),))
    return tuple(
        one.text[start : start + PIECE]
        for one in read_source(spec)
        for start in range(0, len(one.text), PIECE)
        if len(one.text) - start > 200
    )


def divided(domain: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Pieces that are measured on, and those of the pool."""
    held = HELD_OUT.get(domain, 2 * OTHERS_HELD_OUT)
    every = pieces(domain)
    order = np.random.default_rng([7, *domain.encode()]).permutation(len(every))
    left = CHARACTERS.get(domain, OTHERS_CHARACTERS)
    pool: list[str] = []
    for row in order[held:]:
        if left <= 0:
            break
        pool.append(every[row])
        left -= len(every[row])
    return tuple(every[row] for row in order[:held]), tuple(pool)


def noisy(text: str, rng: np.random.Generator) -> str:
    """Half of its words in another order, a tenth of its characters others."""
    words = text.split(" ")
    moved = rng.choice(len(words), size=len(words) // 2, replace=False)
    for one, other in zip(moved, rng.permutation(moved), strict=True):
        words[int(one)], words[int(other)] = words[int(other)], words[int(one)]
    letters = list(" ".join(words))
    for place in rng.choice(len(letters), size=len(letters) // 10, replace=False):
        letters[int(place)] = chr(int(rng.integers(33, 127)))
    return "".join(letters)


def copied(text: str, rng: np.random.Generator) -> str:
    """A tenth of its words replaced by others of its own."""
    words = text.split(" ")
    for place in rng.choice(len(words), size=max(1, round(CHANGED * len(words))), replace=False):
        words[int(place)] = words[int(rng.integers(len(words)))]
    return " ".join(words)


def dirty(domain: str) -> Iterator[Piece]:
    """The pool's documents of a domain, with noise and copies among them."""
    rng = np.random.default_rng([11, *domain.encode()])
    _, pool = divided(domain)
    for text in pool:
        spoilt = rng.random() < NOISY
        yield Piece(noisy(text, rng), "noise") if spoilt else Piece(text, "clean")
        if rng.random() < COPIED:
            yield Piece(copied(text, rng), "copy")


def settings() -> Json:
    """The study file."""
    return {
        "schema": 1,
        "name": "a quarter of a dirty pool",
        "workers": 2,
        "sources": {name: f"pool/{name}.jsonl" for name in DOMAINS},
        "evaluations": {
            "held_out": False,
            "wanted": {"paths": "target.jsonl"},
            "others": {"paths": "others.jsonl"},
        },
        "split": {"evaluation": 0.01, "seed": 0.15},
        "tokenizer": {"vocabulary": 2048},
        "model": {"parameters": 500_000, "context_length": 128},
        "seed_training": {"tokens": 400_000, "batch_tokens": 2048},
        "branch_training": {"tokens": 100_000, "batch_tokens": 2048},
        "evaluation_tokens": 40_000,
        "target": {"weights": {"wanted": 1.0}},
    }


def prepared() -> StudyFolder:
    """The study with its text."""
    root = WORK / "selection"
    if not (root / "study.yaml").is_file():
        for name in DOMAINS:
            rows = [{"text": one.text, "kind": one.kind} for one in dirty(name)]
            _write(root / "pool" / f"{name}.jsonl", rows)
        _write(root / "target.jsonl", [{"text": one} for one in divided(TARGET)[0]])
        rest = [one for name in DOMAINS if name != TARGET for one in divided(name)[0]]
        _write(root / "others.jsonl", [{"text": one} for one in rest])
        write_text(root / "study.yaml", json.dumps(settings(), indent=1))
    return StudyFolder(root)


def _write(path: Path, rows: list[Json]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def valued(progress: Progress, methods: tuple[str, ...] = METHODS) -> Valuation:
    """Value and retrain, or go on with it."""
    folder = prepared()
    question = ValueQuestion("wanted", methods, retrain=SHARE, seeds=SEEDS, whole=True)
    return flow.run(StudyConfig.load(folder.root), folder, question, progress)


def retraining_table(answer: Valuation) -> Table:
    """One row a method, the lowest loss on the target first; methods that were not run last."""
    retraining = answer.retraining
    assert retraining is not None  # it was asked for
    rows: list[tuple[Cell, ...]] = [
        (
            arm.name,
            round(sum(arm.target) / SEEDS, 4),
            _said(arm.to_random),
            _said(arm.to_dsir),
            round(sum(arm.others) / SEEDS, 4),
            arm.documents,
            arm.tokens,
        )
        for arm in retraining.arms
    ]
    rows += [(one.method, None, f"not run: {_reason(one.not_run)}", None, None, None, None)
             for one in answer.methods if one.not_run]  # fmt: skip
    return Table(
        "A quarter of a dirty pool, chosen and trained on",
        (
            "kept by", "loss on the target", "to random", "to DSIR", "loss on everything else", "documents",
            "tokens trained",
        ),
        tuple(rows),
        (_note(answer, retraining),),
    )  # fmt: skip


def _note(answer: Valuation, retraining: Retraining) -> str:
    return (
        f"{answer.documents:,} documents, {answer.tokens:,} tokens, {NOISY:.0%} noise, {COPIED:.0%} "
        f"near-duplicates; {retraining.parameters:,} parameters from scratch, {SEEDS} seeds, nats per token "
        f"on {retraining.documents} documents of the target that no method has seen. Differences with 95 % "
        f"intervals of trainings and documents; one training scatters by {retraining.noise:.4f}."
    )


def _said(difference: Interval) -> str | None:
    if difference.mean != difference.mean:
        return None
    return f"{difference.mean:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"


def _reason(sentence: str) -> str:
    return "no model" if "judge" in sentence or "model" in sentence else sentence
