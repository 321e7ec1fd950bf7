"""Selecting documents of a study by their values, and adding them to it as a new source.

The text is read again from the sources, so that a document keeps its hash, and with it its part.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.files import atomic_path
from cuvee.flows.value.value_table import FILE, read_values
from cuvee.progress import Progress
from cuvee.runs.observations import check_text
from cuvee.sources.shards import TokenShard, digest_order
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import pool_documents, without_copies
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.study_file import StudyFile
from cuvee.study.opening import opened
from cuvee.study.runner import Runner
from cuvee.types import BoolArray, Float32Array, FloatArray, IntArray, Json
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.duplicates import NearCopies
from cuvee.valuation.methods.disf import diversified
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.selection import Selection, select

FOLDER = "selections"
"""Beside the study file; what lies there is a source like others."""
LONGEST_NAME = 200
"""Bytes: file systems allow 255, and more is written around it."""


@dataclass(frozen=True)
class SelectionRequest:
    """Which documents to keep, and what they are called.

    Raises:
        ConfigError: no name, or one that is no name of a file.
    """

    name: str
    """Of the new source."""
    target: str
    """The evaluation that documents were valued for."""
    method: str
    budget_tokens: int
    gate: float = 0.0
    temperature: float | None = None
    """None: as the method's paper draws."""
    max_epochs: int = 1
    drop_copies: float = 0.0
    """Share of the documents that are dropped as near-duplicates, the most alike first; of copies the one of
    the highest value stays."""
    diversify: bool = False
    """Pick documents that are unlike each other (DiSF) among those that pass the gate."""

    def __post_init__(self) -> None:
        if not self.name.strip() or Path(self.name).name != self.name or self.name.startswith("."):
            raise ConfigError(f"select: {self.name!r} is no name of a source; letters and digits will do")
        check_text("select: the name of a source", self.name)
        if len(self.name.encode()) > LONGEST_NAME:
            raise ConfigError(f"select: a name of {len(self.name)} characters is too long for that of a file")


@dataclass(frozen=True)
class KeptSelection:
    """What was selected."""

    name: str
    file: str
    documents: int
    tokens: int
    sources: dict[str, int]
    """Tokens from each."""

    def as_json(self) -> Json:
        """Plain JSON."""
        return vars(self)


def keep(
    config: StudyConfig,
    folder: StudyFolder,
    study_file: Path,
    request: SelectionRequest,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> KeptSelection:
    """Select, write the text, and add the source to the study file; the file before is kept.

    Raises:
        ConfigError: there are no values of that method, the source is there already, or nothing fits.
    """
    if request.name in config.sources:
        raise ConfigError(f"{study_file}: sources.{request.name}: is there already; take another name")
    with opened(config, folder, progress, executor) as runner:
        pool = pool_documents(runner.plan)
        values = read_values(folder.valued(request.target) / FILE, pool, request.method)
        alone = without_copies(pool, config)
        pool, values = pool.select(alone), values[alone]
        neighbours = _Neighbours(runner, pool)
        selection = select(
            values, pool, request.budget_tokens, gate=request.gate, max_epochs=request.max_epochs,
            dropped=neighbours.copies(values, request.drop_copies) if request.drop_copies else None,
            diversify=neighbours.unlike if request.diversify else None,
            temperature=_temperature(request), seed=config.seed,
        )  # fmt: skip
        file = folder.root / FOLDER / f"{request.name}.jsonl"
        _write(file, runner, selection, values)
    counts = np.bincount(
        pool.source[selection.rows], weights=pool.length[selection.rows], minlength=len(pool.sources)
    )
    used = {name: int(count) for name, count in zip(pool.sources, counts, strict=True) if count}
    settings = {"paths": f"{FOLDER}/{file.name}", "in_seed": False, "selected_from": list(used)}
    changed = StudyFile.read(study_file).with_source(request.name, settings)
    if config.pool:
        changed = changed.with_pool((*config.pool, request.name))
    _ = changed.config  # it must be a study before it is written
    changed.write()
    return KeptSelection(request.name, str(file), len(selection.rows), selection.tokens, used)


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """What documents are alike, by the embeddings of the study."""

    runner: Runner
    pool: DocumentTable

    def copies(self, values: FloatArray, share: float) -> BoolArray:
        """A share of the documents that are near copies of better ones [n]."""
        best_first = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
        near = NearCopies.of(self._embeddings, best_first, self.runner.plan.config.seed)
        return near.dropped(near.similarity_for(share))

    def unlike(self, rows: IntArray, count: int) -> IntArray:
        """As many of the rows, unlike each other."""
        return rows[diversified(self._embeddings[rows], count, self.runner.plan.config.seed)]

    @cached_property
    def _embeddings(self) -> Float32Array:
        return at_hand(self.runner, self.pool).embeddings(self.pool)


def _temperature(request: SelectionRequest) -> float:
    return valuer_named(request.method).temperature if request.temperature is None else request.temperature


def _write(file: Path, runner: Runner, selection: Selection, values: FloatArray) -> None:
    """One line a document: its text, id, source and value; one that is kept twice stands twice."""
    times: dict[str, list[int]] = {}
    for row in selection.rows.tolist():
        times.setdefault(selection.documents.id_of(row), []).append(row)
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as lines:
        for source, part, shard in _shards(runner):
            for place, text in _texts(runner, source, part, shard):
                name = f"{source}/{shard.content_hash}/{int(shard.document_offsets[place])}"
                for row in times.pop(name, ()):
                    entry = {"text": text, "id": name, "source": source, "value": float(values[row])}
                    lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
        if times:
            raise ConfigError(f"select: the text of {len(times)} documents was not found again; run again")


def _shards(runner: Runner) -> Iterator[tuple[str, str, TokenShard]]:
    material = runner.plan.material
    for source in runner.plan.config.pool_sources:
        for (name, part), shard in material.shards.items():
            if name == source and part.startswith("unit-"):
                yield source, part, shard


def _texts(runner: Runner, source: str, part: str, shard: TokenShard) -> Iterator[tuple[int, str]]:
    """Documents of a part with their places in its shard, in reading order; the source is read twice."""
    corpus = runner.plan.material.corpus
    digests = np.frombuffer(
        b"".join(one.identity for one in corpus.documents(source, part)),
        dtype=np.uint8,
    ).reshape(-1, 32)
    if len(digests) != shard.documents:
        raise ConfigError(f"source '{source}' changed while it was read; run again")
    place: IntArray = np.empty(len(digests), dtype=np.int64)
    place[digest_order(digests)] = np.arange(len(digests))
    for number, one in enumerate(corpus.documents(source, part)):
        yield int(place[number]), one.text
