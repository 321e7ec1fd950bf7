"""The documents of a study as tables: the pool that is valued, and the target that it is valued for."""

import hashlib
from collections.abc import Sequence

import numpy as np

from cuvee.errors import ConfigError
from cuvee.sources.split import EVAL
from cuvee.sources.tokenizer import load_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.material import Material
from cuvee.study.plan.plan import Plan
from cuvee.types import BoolArray
from cuvee.valuation.document_table import DocumentTable


def pool_documents(plan: Plan) -> DocumentTable:
    """What branches and references read of the sources of the pool; the seed model has seen none of it."""
    material = plan.material
    shards = {name: material.unit_shards(name) for name in plan.config.pool_sources}
    return DocumentTable.of_shards(shards, load_tokenizer(material.tokenizer_folder))


def training_documents(plan: Plan) -> DocumentTable:
    """All text of the sources of the pool that may be trained on, the seed model's part too."""
    material = plan.material
    shards = {name: material.training_shards(name) for name in plan.config.pool_sources}
    return DocumentTable.of_shards(shards, load_tokenizer(material.tokenizer_folder))


def without_copies(pool: DocumentTable, config: StudyConfig) -> BoolArray:
    """Which documents stand for themselves [n]: what an earlier selection copied from another source of the
    pool is to be trained on once."""
    chosen = [bool(config.sources[name].selected_from) for name in pool.sources]
    copied = np.array(chosen)[pool.source]
    alone = np.ones(len(pool), dtype=np.bool_)
    if not copied.any():
        return alone
    seen: set[bytes] = set()
    for row in np.argsort(copied, kind="stable").tolist():
        text = _digest_of(pool, row)
        alone[row] = not copied[row] or text not in seen
        seen.add(text)
    return alone


def copies_of_evaluation(documents: DocumentTable, material: Material, name: str) -> BoolArray:
    """Which documents an evaluation has as well, in either of its halves [n]."""
    shard = material.shards[material.corpus.evaluations[name], EVAL]
    held_out = DocumentTable.of_shards({name: (shard,)}, documents.tokenizer)
    known = {_digest_of(held_out, row) for row in range(len(held_out))}
    return np.array([_digest_of(documents, row) in known for row in range(len(documents))], dtype=np.bool_)


def _digest_of(documents: DocumentTable, row: int) -> bytes:
    return hashlib.sha256(documents.document(row).astype(np.uint32).tobytes()).digest()


def check_target(config: StudyConfig, target: str) -> None:
    """Refuse what is no evaluation with documents, before any text is read.

    Raises:
        ConfigError: the study has no such evaluation; the message lists those that it has.
    """
    _check_among(tuple(config.evaluation_sets), config.tasks, target)


def _check_among(names: Sequence[str], tasks: Sequence[str], target: str) -> None:
    if target in tasks:
        raise ConfigError(
            f"--target {target}: a downstream task; documents are valued for text: {', '.join(names)}"
        )
    if target not in names:
        raise ConfigError(f"--target {target}: the study has no such evaluation; it has {', '.join(names)}")


def target_documents(material: Material, target: str) -> DocumentTable:
    """The documents of an evaluation by which mixtures are chosen; those that check are left for trainings.

    Raises:
        ConfigError: the study has no such evaluation; the message lists those that it has.
    """
    homes = material.corpus.evaluations
    names = [one.name for one in material.evaluations if one.name in homes]  # tasks have no documents
    _check_among(names, [task.name for task in material.tasks], target)
    shard = material.shards[homes[target], EVAL]
    table = DocumentTable.of_shards({target: (shard,)}, load_tokenizer(material.tokenizer_folder))
    begins = np.asarray(shard.document_offsets[:-1])
    choosing = begins[::2] if shard.documents > 1 else begins
    return table.select(np.isin(table.start, choosing))


def check_unseen(material: Material, target: str) -> None:
    """Refuse trainings that would be judged by the document that documents were valued for.

    Raises:
        ConfigError: the evaluation has one document.
    """
    if material.shards[material.corpus.evaluations[target], EVAL].documents < 2:
        raise ConfigError(
            f"--retrain: evaluation '{target}' has one document; it values, so none is left to judge "
            "trainings by: give the evaluation more text"
        )
