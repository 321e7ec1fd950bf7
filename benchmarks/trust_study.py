"""The studies behind ``make bench-trust``: random sources, targets and budgets, and what is true of them.

A study is a function of its number. Its sources are random parts of the eight large domains, or text of the
installation; its truth is measured on text of the same kinds that the study has never seen. Needs the folder
of real text that ``CUVEE_SHARED`` names (default ``../shared``); it is read, never copied into the project.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.ablation_study import ROOT, SHARED
from cuvee.evaluation.scores import Scores
from cuvee.mixture.mixture import Mixture
from cuvee.sources.document import Document
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.sources.shards import TokenShard, write_shard
from cuvee.sources.tokenizer import load_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.job import Bench, EvaluationRef
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.study.start.demo import HELD_OUT, OUT_OF_POOL, TARGET_TOKENS
from cuvee.study.start.demo_text import DOMAINS, Installation
from cuvee.training.run import TrainingRun
from cuvee.types import Json

WORK = ROOT / ".bench" / "trust"
"""Where studies are kept, so that the benchmark can be stopped and gone on with."""

CORPUS = ("chess", "dialogue", "docs", "german", "gsm8k", "legal", "medical", "novels")
INSTALLED = 6
"""Every so manieth study is of text of the installation."""
NOISE = range(500, 520)
"""Studies of two sources that are one text: there is nothing to find."""
DEMOS = range(600, 610)
"""The demonstration's text under other seeds."""
FRESH_SEEDS = 3_000_000
"""Added to a study's seed for the trainings that measure the truth; no run of a study has such a seed."""
TRUTH_TOKENS = 40_960
"""Least tokens of text, never seen by the study, on which the truth of an evaluation is measured."""
_TRUTH_BYTES = 400_000
_BYTES_A_TOKEN = 3.0  # of the small vocabulary of these studies, roughly
_TRUTH_PART = 0.15


@dataclass(frozen=True)
class TrustStudy:
    """A random study, by its number."""

    number: int

    @property
    def folder(self) -> Path:
        return WORK / f"{self.number:04d}"

    @property
    def installed(self) -> bool:
        """It is of text of the installation."""
        return self.number in DEMOS or (self.number not in NOISE and self.number % INSTALLED == INSTALLED - 1)

    def settings(self) -> Json:
        """The study file, with the megabytes of each source."""
        if self.number in NOISE:
            return self._file(("one", "two"), {"one": 1.5, "two": 1.5})
        if self.number in DEMOS:
            names = tuple(domain.name for domain in DOMAINS[:8])
            return self._file(
                tuple(name for name in names if name not in OUT_OF_POOL),
                dict.fromkeys(names, 3.0),
                target_run={"tokens": TARGET_TOKENS},
                split={"evaluation": HELD_OUT},
            )
        return self._random()

    def _file(self, pool: Sequence[str], megabytes: dict[str, float], **more: Json) -> Json:
        return {
            "schema": 1,
            "name": f"trust {self.number}",
            "effort": "tiny",
            "seed": self.number,
            "workers": 2,
            "sources": {name: f"text/{name}.jsonl.zst" for name in megabytes},
            "pool": list(pool),
            "split": {"evaluation": 0.15},
            "target": {"weights": {}},
            "megabytes": megabytes,
        } | more

    def _random(self) -> Json:
        """Four to six sources in the pool, up to two outside, a random target and budget."""
        rng = np.random.default_rng([self.number, 2026])
        domains = [domain.name for domain in DOMAINS[:8]] if self.installed else list(CORPUS)
        names = [str(name) for name in rng.permutation(domains)]
        inside, outside = int(rng.integers(4, 7)), int(rng.integers(0, 3))
        pool, used = sorted(names[:inside]), sorted(names[: inside + outside])
        sizes = {name: round(float(2.0 ** rng.uniform(0.0, 1.6)), 2) for name in used}
        in_pool = sum(sizes[name] for name in pool) * 1e6 / _BYTES_A_TOKEN
        kinds = ["all", "weighted", "weighted", "one inside", *(["outside"] if outside else [])]
        kind = str(rng.choice(kinds))
        weights: dict[str, float] = {}
        if kind == "weighted":
            drawn = rng.dirichlet(np.full(len(used), 0.5))
            weights = {name: round(float(w), 3) for name, w in zip(used, drawn, strict=True)}
        elif kind == "one inside":
            weights = {str(rng.choice(pool)): 1.0}
        elif kind == "outside":
            weights = dict.fromkeys([name for name in used if name not in pool], 1.0)
        return self._file(
            pool,
            sizes,
            branch_training={"tokens": int(rng.choice([50_000, 75_000, 110_000]))},
            references={"count": int(rng.choice([10, 14, 18]))},
            target={"weights": weights},
            # From a third of an epoch of the pool to two and a half; four are allowed of each source.
            target_run={"tokens": int(in_pool * 10 ** rng.uniform(-0.5, 0.4))},
        )

    def prepared(self) -> tuple[StudyConfig, StudyFolder]:
        """The study, its text written unless it is there."""
        settings = self.settings()
        sizes = settings.pop("megabytes")
        text = self.folder / "text"
        if not text.is_dir():
            temporary = self.folder / "text.new"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, size in sizes.items():
                _write(temporary / f"{name}.jsonl.zst", _prefix(self._documents(name, False), size * 1e6))
                _write(
                    temporary / f"{name}.truth.jsonl.zst", _prefix(self._documents(name, True), _TRUTH_BYTES)
                )
            temporary.rename(text)
        return StudyConfig.parse(settings, self.folder), StudyFolder(self.folder)

    def _documents(self, name: str, truth: bool) -> Iterator[str]:
        """Text of a source, or text of its kind that the study does not see; a random order of its own."""
        part = "val" if truth else "train"
        if self.number in NOISE:
            one = read_texts(
                SHARED / "corpus_large" / CORPUS[self.number % len(CORPUS)] / f"{part}.jsonl.zst"
            )
            texts = [text for row, text in enumerate(one) if truth or row % 2 == (name == "two")]
        elif not self.installed:
            texts = list(read_texts(SHARED / "corpus_large" / name / f"{part}.jsonl.zst"))
        else:
            domain = next(one for one in DOMAINS if one.name == name)
            # By file, so that no file has pieces on both sides.
            found = domain.documents(Installation.here(), 4_000_000)
            texts = [text for file, text in found if (_uniform(file) < _TRUTH_PART) == truth]
        order = np.random.default_rng([self.number, len(texts), truth]).permutation(len(texts))
        yield from (texts[place] for place in order)


def read_texts(path: Path) -> Iterator[str]:
    """The documents of a corpus file."""
    with pa.input_stream(str(path), compression="detect") as stream:
        for line in stream.read().splitlines():
            yield json.loads(line)["text"]


def _prefix(texts: Iterator[str], most_bytes: float) -> Iterator[str]:
    size = 0
    for text in texts:
        if size >= most_bytes:
            return
        size += len(text.encode())
        yield text


def _write(path: Path, texts: Iterator[str]) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for text in texts:
            stream.write(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n")


def _uniform(name: str) -> float:
    # Not the hash of the name itself: a domain takes its files in that order, until it has enough.
    return int.from_bytes(hashlib.sha256(f"truth {name}".encode()).digest()[:8], "big") / 2.0**64


@dataclass(frozen=True, eq=False)
class Truth:
    """Measures models of a study on text that the study has never seen."""

    runner: Runner

    @classmethod
    def of(cls, runner: Runner, folder: Path) -> "Truth":
        """The runner of a study, its yardstick replaced."""
        plan = runner.plan
        refs, sets = [], []
        for name in plan.config.evaluation_sets:
            shard = _shard(plan, folder, name)
            one = EvaluationRef(name, shard.folder, plan.config.model.context_length, TRUTH_TOKENS, None)
            refs.append(one)
            sets.append(
                EvaluationSet.from_shard(
                    name, shard, context_length=one.context_length, max_tokens=one.max_tokens
                )
            )
        material = replace(plan.material, halves={"choosing": tuple(sets)})
        other = replace(plan, material=material, bench=Bench(plan.model, tuple(refs)))
        return cls(replace(runner, plan=other))

    def scores(self, mixtures: Sequence[Mixture], seeds: Sequence[int]) -> list[Scores]:
        """Nats of every document [seeds, D] after fresh trainings on each mixture."""
        runs = [[self.runner.plan.reference(one, FRESH_SEEDS + seed) for seed in seeds] for one in mixtures]
        return self.measured(runs, mixtures)

    def references(self, mixtures: Sequence[Mixture]) -> Scores:
        """Nats of every document [R, D] under the references of the study."""
        runs = [[self.runner.plan.reference(one)] for one in mixtures]
        return Scores(
            self.runner.documents, np.concatenate([one.nats for one in self.measured(runs, mixtures)])
        )

    def measured(self, runs: Sequence[Sequence[TrainingRun]], mixtures: Sequence[Mixture]) -> list[Scores]:
        planned = [
            [Planned(run, "truth", mixture) for run in of] for of, mixture in zip(runs, mixtures, strict=True)
        ]
        trainings = Trainings(self.runner.plan, "training for the truth")
        self.runner.make(trainings, [one for of in planned for one in of])
        return [self.runner.scores(trainings, of) for of in planned]


def _shard(plan: Plan, folder: Path, name: str) -> TokenShard:
    path = folder / "truth" / plan.material.tokenizer / name
    if not path.is_dir():
        texts = read_texts(folder / "text" / f"{name}.truth.jsonl.zst")
        documents = (Document(text, name, f"{name}:{row}") for row, text in enumerate(dict.fromkeys(texts)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(
            path, documents, load_tokenizer(plan.material.tokenizer_folder), source=name, part="truth"
        )
    return TokenShard.open(path)
