"""The runs of a simulation: a table of any tool, or what a study of cuvee has in its store.

Of a study those runs count that compare mixtures at full length: trained, merged and ensembled ones, each
kind a fidelity of its own at the price that was paid for it. Seeds, branches and snapshots are what others
are made from, trainings on selected documents say nothing of whole sources, references trained again under
another condition are by another recipe, and a descent has the price of many merges. Metrics are the losses
in nats per token.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError
from cuvee.quantities import agreeing, counted
from cuvee.question.runs import Runs, runs_of
from cuvee.runs.formats.direction import Direction
from cuvee.runs.imported import ImportedTable, import_runs
from cuvee.runs.metric_names import NATS
from cuvee.runs.observations import Observations
from cuvee.runs.roles import DESCENT, DOWNSTREAM, ORDER, OTHER_RECIPE, PARTS, SELECTED, SWARM
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.file.settings import MergingSettings

_NOT_COMPARED = (*PARTS, *ORDER, DESCENT, DOWNSTREAM, SELECTED, SWARM, OTHER_RECIPE)


def read_table(
    paths: Sequence[Path],
    where: Mapping[str, str],
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
) -> Runs:
    """Read tables as ``read_runs`` does but at all scales, or the store of one study.

    Args:
        paths: files or folders of tables; or a study's folder, or its ``store.sqlite``, alone.
        where: see ``read_runs``; so are the others.

    Raises:
        ConfigError: see there; or a study stands beside another path, or has no runs to compare.
        StoreError: the store is damaged.
    """
    stores = [store for path in paths if (store := _store_of(path)) is not None]
    if not stores:
        return runs_of(import_runs(paths), paths, where, lower, higher)
    if len(paths) > 1:
        raise ConfigError(f"{stores[0]} is the store of a study; simulate it alone")
    return runs_of(_stored(stores[0]), paths, where, lower, higher)


def _store_of(path: Path) -> Path | None:
    store = path / "store.sqlite" if path.is_dir() else path
    return store if store.suffix == ".sqlite" and store.is_file() else None


def _stored(path: Path) -> ImportedTable:
    with RunStore(path) as store:
        stored = store.observations()
        others, notes = _by_other_methods(store.runs(kind="merged"))
    metrics = tuple(name for name in stored.metrics if name.startswith(NATS))
    rows = [
        role not in _NOT_COMPARED and key not in others
        for role, key in zip(stored.role, stored.keys, strict=True)
    ]
    if not any(rows) or not metrics:
        raise ConfigError(f"{path} holds no runs to compare mixtures by; run the study first")
    runs = _with_metrics(stored.select(rows), metrics)
    whole = np.flatnonzero(np.isfinite(runs.values).all(axis=1))
    notes = [
        *notes,
        "What merges and ensembles are made from is taken to be there: its training is not charged.",
    ]
    if left_out := len(runs) - len(whole):
        notes.append(
            f"{left_out} of {counted(len(runs), 'run')} {agreeing(left_out, 'was', 'were')} not measured "
            "in full and "
            f"{agreeing(left_out, 'is', 'are')} left out."
        )
    known: dict[str, Direction] = dict.fromkeys(metrics, "lower")
    return ImportedTable(
        runs.select(whole),
        known,
        dict.fromkeys(metrics, "losses of a study"),
        format="study",
        notes=tuple(notes),
    )


def _by_other_methods(merges: Sequence[Run]) -> tuple[frozenset[str], list[str]]:
    """Keys of merges by other methods than the study's, with a sentence: one mixture would have two losses.

    A study that merges by another method than linear has linear merges beside.
    """
    linear = MergingSettings().method
    methods = {run.key: MergingSettings.method_of(run.details) for run in merges}
    counts = Counter(methods.values())
    if len(counts) < 2:
        return frozenset(), []
    kept = max(counts, key=lambda method: (method != linear, counts[method]))
    left_out = frozenset(key for key, method in methods.items() if method != kept)
    return left_out, [f"Merges by '{kept}' are taken; {len(left_out)} by other methods are left out."]


def _with_metrics(runs: Observations, metrics: tuple[str, ...]) -> Observations:
    return runs.with_values(metrics, np.stack([runs.metric(name) for name in metrics], axis=1))
