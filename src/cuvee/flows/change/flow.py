"""Changing the sources of a study that has runs: what they are still worth, and what must run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cuvee.execution.interface import Executor
from cuvee.flows.change.changed_study import changed
from cuvee.flows.change.source_change import Change, Drop, Split
from cuvee.lineage.carried import Carried, statement, statement_on_references
from cuvee.lineage.divided_text import check_divided
from cuvee.lineage.evidence_gap import MARGIN, uncovered
from cuvee.mixture.region import Region
from cuvee.progress import Progress
from cuvee.quantities import flops
from cuvee.runs.roles import CARRIED, CARRIED_AGAIN, ORDER, PARTS, SWARM
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.study_file import StudyFile
from cuvee.study.opening import available_tokens, opened
from cuvee.study.outlook import Outlook
from cuvee.study.plan.material import given_tokenizer, prepare_material, source_spec
from cuvee.study.plan.mixtures import ReferenceMixture, intended_references, over_pool, region_of
from cuvee.study.plan.numerics import Numerics
from cuvee.study.runner import Runner
from cuvee.types import Json

_OTHER_USE = (*PARTS, *ORDER, CARRIED, CARRIED_AGAIN, SWARM)
"""Roles of trainings that are no mixture of their own (read in part, or measured or trained again), and of
those of another trainer."""


@dataclass(frozen=True)
class ChangePlan:
    """What a change of sources leaves of a study, and what it takes."""

    runs: tuple[Carried, ...]
    """What became of each trained mixture."""
    kept: int
    """References that go on to judge the proxies."""
    new: int
    """References that must be trained."""
    sentences: tuple[str, ...]
    """All of it in words."""
    outlook: Outlook | None
    """What `cuvee run` takes afterwards; None where nobody asked."""

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        fates = [one.fate for one in self.runs]
        return {
            "sentences": list(self.sentences),
            "runs": {
                fate.replace(" ", "_"): fates.count(fate) for fate in ("exact", "approximate", "left out")
            },
            "references": {"kept": self.kept, "new": self.new},
            "outlook": None if self.outlook is None else self.outlook.as_json(),
        }


def change_sources(
    file: StudyFile, change: Change, folder: StudyFolder, progress: Progress, executor: Executor
) -> StudyFile:
    """The study file with the change made, its text compared where files are given anew; nothing is written.

    Raises:
        ConfigError, SourceError: the change cannot be, text does not fit it, or the study computes on a
            device that is not here.
    """
    config = file.config
    change.check(config)
    Numerics.written(folder)
    if isinstance(change, Split):
        _check_text(config, change, folder.root)

    def counts(of: StudyConfig) -> dict[str, int]:
        material = prepare_material(of, folder, executor, progress)
        return {name: material.tokens(name) for name in of.sources}

    return changed(file, change, counts)


def look_ahead(
    config: StudyConfig,
    change: Change,
    folder: StudyFolder,
    progress: Progress,
    executor: Executor,
    outlook_of: Callable[[Runner], Outlook] | None = None,
) -> ChangePlan:
    """What the change that led to ``config`` leaves and takes; nothing is trained.

    Args:
        outlook_of: what `cuvee run` takes afterwards; it times a few steps. None where nobody asks.

    Raises:
        CuveeError: text or limits that cannot be used.
    """
    with opened(config, folder, progress, executor, looking=True) as runner:
        region = region_of(config, available_tokens(config, runner.plan.material))
        chosen = intended_references(config, folder, region, runner.plan.material.unit_tokens)
        made = {run.details.get("run") for run in runner.store.runs(kind="trained")}
        kept = [one for one in chosen if runner.plan.reference(one.trained).key in made]
        runs, new = _worth(runner), len(chosen) - len(kept)
        outlook = outlook_of(runner) if outlook_of is not None else None
        sentences = [
            *statement(runs),
            statement_on_references(len(kept), sum(one.carried for one in kept), new),
            *_price(outlook),
            *_uncovered(kept, region, config.seed),
            *_advice(change, runs),
            *_still_weighed(config, change),
            *_other_answers(folder),
        ]
        return ChangePlan(tuple(runs), len(kept), new, tuple(sentences), outlook)


def _worth(runner: Runner) -> list[Carried]:
    """Of every training of a mixture in the store, once each."""
    config, tokens = runner.plan.config, runner.plan.material.unit_tokens
    trained = {
        str(run.details.get("run", run.key)): run.mixture
        for run in runner.store.runs(kind="trained")
        if run.role not in _OTHER_USE and set(run.mixture.support) <= set(config.sources)
    }
    return [over_pool(mixture, config, tokens) for mixture in trained.values()]


def _price(outlook: Outlook | None) -> list[str]:
    """What is to be trained, in a sentence."""
    rows = [row for row in outlook.rows if row.trained and row.left] if outlook else []
    if not rows:
        return [] if outlook is None else ["Nothing must be trained."]
    listed = ", ".join(f"{row.left} of {row.runs} {row.title}" for row in rows)
    return [f"To train: {listed}, for {flops(sum(row.flops_left for row in rows))} FLOPs."]


def _uncovered(kept: list[ReferenceMixture], region: Region, seed: int) -> list[str]:
    if not kept:
        return []
    outside = uncovered(region, np.array([one.mixture.shares for one in kept]), seed=seed)
    return [
        f"About {outside:.0%} of the allowed mixtures lie outside the references that stay, by more than "
        f"{MARGIN:.0%} of their tokens."
    ]


def _advice(change: Change, runs: list[Carried]) -> list[str]:
    """How to keep what is lost, where there is a way."""
    lost = sum(one.fate != "exact" for one in runs)
    if not lost or isinstance(change, Split):
        return []
    if isinstance(change, Drop):
        zero = ", ".join(f"{name}: 0" for name in change.sources)
        return [f"To keep all runs as evidence, forbid instead of dropping: limits.maximum: {{{zero}}}."]
    return ["To keep all runs as evidence, tie the sources instead of merging them: limits.ratios."]


def _still_weighed(config: StudyConfig, change: Change) -> list[str]:
    """Held-out text of dropped sources that the file says to weigh."""
    weights, dropped = config.target_weights, change.sources if isinstance(change, Drop) else ()
    return [
        f"The target goes on to weigh evaluation '{name}' by {weights[name]:.0%}, as the file says; take it "
        "out of target.weights if it counts no longer."
        for name, one in config.evaluation_sets.items()
        if one.source in dropped and weights[name] > 0.0
    ]


def _other_answers(folder: StudyFolder) -> list[str]:
    found = [name for name, path in (("search", folder.search), ("scale", folder.scale)) if path.exists()]
    return [
        f"The answer of `cuvee {name}` is one over the old sources; run it again: what it trained on sources "
        "that did not change counts."
        for name in found
    ]


def _check_text(config: StudyConfig, change: Split, root: Path) -> None:
    whole = config.sources[change.source]

    def lies(path: str) -> str:
        return path if path.startswith("hub:") else str(root / Path(path).expanduser())

    given = given_tokenizer(config)
    parts = [
        source_spec(name, whole.model_copy(update={"paths": tuple(map(lies, paths))}), given)
        for name, paths in change.parts.items()
    ]
    check_divided(source_spec(change.source, whole, given), parts)
