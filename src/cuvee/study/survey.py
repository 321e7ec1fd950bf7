"""How far a study is, read from its folder alone: nothing is trained, no text is read.

Models that are made stand in the store, those under way in the agenda with their saved states, batches of a
search in its journal, answers in their files.
"""

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cuvee.decisions.check import STAGE
from cuvee.quantities import counted, flops
from cuvee.runs.roles import (
    BRANCH,
    CARRIED,
    CARRIED_AGAIN,
    FRESH,
    LADDER,
    OTHER_RATE,
    OTHER_SEED_MODEL,
    OTHER_SIZE,
    OTHER_TOKENS,
    REFERENCE,
    REPLICATE,
    SEED,
    SNAPSHOT,
    SWARM,
)
from cuvee.runs.run import Run
from cuvee.runs.scored_mixtures import mixtures_of, scorings
from cuvee.runs.store import RunStore
from cuvee.study.asked_runs import AskedRuns, counted_runs
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.sections import is_trainer_alone
from cuvee.study.file.settings import MergingSettings
from cuvee.study.outdated import outdated_files
from cuvee.study.plan.agenda import Agenda, Intended
from cuvee.study.realised import realised_trainings
from cuvee.study.status import FlowStatus, StageStatus, StudyStatus
from cuvee.study.tariff import tariff_of
from cuvee.study.untried import untried

TITLES = {
    SEED: "seed model",
    BRANCH: "pool of branches",
    REFERENCE: "reference runs",
    REPLICATE: "replicates of references",
    OTHER_SEED_MODEL: "seed model of another size",
    OTHER_RATE: "references at another rate",
    OTHER_TOKENS: "references on other tokens",
    OTHER_SIZE: "references of another size",
}
"""What roles of trainings are called in a table of stages."""
_ALSO = {REFERENCE: (CARRIED,), REPLICATE: (CARRIED_AGAIN,)}
"""Roles of the same models after their sources were split or merged."""
_GO_ON = "`cuvee swarm` goes on from here"
_NAMED = 3
"""Runs of a trainer that are named, of those that failed and those that are missing."""
ARMS = 3
"""Mixtures that a check trains: the pick, equal and proportional shares."""


def survey(config: StudyConfig, folder: StudyFolder) -> StudyStatus:
    """What is done and what is left of all that was asked of a study."""
    (runs, failures, seconds), agenda, wanted = _spent(folder), Agenda.read(folder), _wanted(config)
    intended = agenda.of_roles(wanted)
    parts = {one: one.done(folder) for one in agenda.of_roles({*wanted, FRESH, *LADDER})}
    under_way = {one: part for one, part in parts.items() if 0.0 < part < 1.0}
    stages = [_stage(role, count, runs, agenda, under_way) for role, count in wanted.items() if count]
    # By the agenda of `cuvee run`: a search and a ladder are checked by trainings of the same role.
    fresh = agenda.stages.get(STAGE, ())
    if count := len(fresh) or ARMS * config.check.seeds:  # two of the mixtures may be one
        made = math.fsum(one.done(folder) for one in fresh)
        stages.append(StageStatus("fresh trainings", made, count, "models"))
    decided, method = folder.decision.exists(), config.merging.method
    mixtures = config.candidates.count + config.references.count
    merged = mixtures_of(
        one for one in scorings(runs, "merged") if MergingSettings.method_of(one.details) == method
    )
    # The pick and what is asked about it are scored beside what was planned: known when it is chosen.
    of = (merged or mixtures) if decided else mixtures
    stages.append(StageStatus("merges", of if decided else min(merged, of), of, "mixtures"))
    stages.append(StageStatus("decision", float(decided), 1, ""))
    return StudyStatus(
        tuple(stages),
        _flops(runs) + math.fsum(part * one.flops for one, part in under_way.items()),
        seconds=seconds,
        tariff=tariff_of(config, folder),
        begun=bool(intended) or (not parts and any(folder.checkpoints.glob(".*.state"))),
        answer=_ended(folder.decision) if decided else None,
        ladder=_ladder(config, folder, {one: part for one, part in parts.items() if one.role in LADDER}),
        search=_search(folder),
        swarm=_swarm(folder, runs, failures),
        trainer_alone=is_trainer_alone(folder.root),
        outdated=outdated_files(folder),
        untried=untried(folder),
        realised=realised_trainings(folder, (one for one, part in parts.items() if part == 1.0)),
    )


def _wanted(config: StudyConfig) -> dict[str, int]:
    """Role -> models of it that the study needs."""
    units = sum(config.sources[name].units for name in config.pool_sources)
    others = config.other_conditions
    return {
        SEED: 1 if config.seed_training.tokens else 0,
        BRANCH: units * config.branch_training.seeds,
        REFERENCE: config.references.count,
        REPLICATE: config.replicates,
        OTHER_SEED_MODEL: int(OTHER_SIZE in others),
        **dict.fromkeys(others, config.order.mixtures),
    }


def _spent(folder: StudyFolder) -> tuple[list[Run], list[Run], float]:
    """All runs, those that failed, and the work time of all of them. What a trainer of the user's took is no
    work time of the study: who knows on what."""
    if not folder.store.exists():
        return [], [], 0.0
    with RunStore(folder.store) as store:
        seconds = (took for (_, stage), took in store.seconds().items() if stage != SWARM)
        return store.runs(), store.failures(), math.fsum(seconds)


def _stage(
    role: str, count: int, runs: Iterable[Run], agenda: Agenda, under_way: Mapping[Intended, float]
) -> StageStatus:
    """Models of a role, those under way in part. By model, not by row: a new evaluation measures all.

    Where as many are set out as the study needs, those count and no others: models of sources that have left
    the mixture are of no use to it.
    """
    roles = {role, *_ALSO.get(role, ())}
    whole = {str(one.details["run"]) for one in runs if one.kind == "trained" and one.role in roles}
    intended = {one.key for one in agenda.of_roles(roles)}
    if len(intended) >= count:
        count, whole = len(intended), whole & intended
    part = math.fsum(part for one, part in under_way.items() if one.role in roles)
    return StageStatus(TITLES[role], min(len(whole) + part, float(count)), count, "models")


def _flops(runs: Iterable[Run]) -> float:
    """Spent on all runs; a training that was frozen on its way and gone on with counts once."""
    by_run: dict[str, float] = {}
    for one in runs:
        trained = one.kind in ("trained", "checkpoint") and one.role != SNAPSHOT
        name = str(one.details.get("run", one.key)) if trained else one.key
        by_run[name] = max(by_run.get(name, 0.0), one.flops or 0.0)
    return math.fsum(by_run.values())


def _ladder(config: StudyConfig, folder: StudyFolder, parts: Mapping[Intended, float]) -> FlowStatus | None:
    """How far `cuvee scale` is; None where it was never asked for."""
    whole = sum(part == 1.0 for part in parts.values())
    if folder.scale.exists() and whole == len(parts):
        return _ended(folder.scale)
    if not parts:
        return None
    spent = math.fsum(part * one.flops for one, part in parts.items())
    return FlowStatus(
        f"{whole} of {counted(len(parts), 'run')} made of those known so far, {flops(spent)} FLOPs of "
        f"{flops(config.scale.budget_flops)}; `cuvee scale` goes on from here"
    )


def _search(folder: StudyFolder) -> FlowStatus | None:
    """How far the last `cuvee search` is; None where none was asked for."""
    journals = sorted(folder.searches.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    if folder.search.exists() and (not journals or _newer(folder.search, journals[-1])):
        return _ended(folder.search)
    if not journals:
        return None
    batches = _batches(journals[-1])
    if not batches:
        return FlowStatus("no experiment yet, the pool comes first; `cuvee search` goes on from here")
    made = sum(len(one["experiments"]) for one in batches[:-1])
    last, at_work = batches[-1], len(batches[-1]["experiments"])
    spent, budget = float(last.get("spent") or 0.0), float(last.get("budget_flops") or 0.0)
    money = f", {flops(spent)} FLOPs of {flops(budget)}" if budget else ""
    last_ones = f"{at_work} {'was' if at_work == 1 else 'were'} being made at last"
    return FlowStatus(
        f"{counted(made, 'experiment')} made{money}; {last_ones}; `cuvee search` goes on from here"
    )


def _swarm(folder: StudyFolder, runs: Collection[Run], failures: Iterable[Run]) -> FlowStatus | None:
    """How far the runs of a trainer of the user's are; None where it was never asked for."""
    asked = AskedRuns.read(folder)
    answer = _ended(folder.swarm / "fit.json") if (folder.swarm / "fit.json").is_file() else None
    if asked is None:  # an earlier version has made some
        made = sum(one.role == SWARM for one in runs)
        return (answer or FlowStatus(f"{counted(made, 'run')} made; {_GO_ON}")) if made else None
    failed = {one.key: one for one in failures if one.key in asked.keys}
    unknown = asked.missing({one.key for one in runs}, failed)
    ended = asked.ended(unknown)
    missing = tuple(one for one in unknown if one not in ended)
    done = len(asked.keys) - len(failed) - len(unknown)
    said = counted_runs(done, len(failed), len(missing), len(ended))
    here = asked.root.parent == folder.swarm
    command = "`cuvee swarm`" if here else f"`cuvee swarm --emit {asked.root.parent}`"
    uncollected = (f"{command} collects what has ended",) if ended else ()
    beside = (*_failed(failed.values()), *_missing(asked, missing))
    if answer is not None:
        whole = not failed and not unknown
        return FlowStatus(f"{said}. {answer.statement}", answer.finished and whole, (*uncollected, *beside))
    then = _GO_ON if here else f"{command} collects what has ended"
    return FlowStatus(f"{said}; {then}", beside=beside)


def _failed(runs: Collection[Run]) -> Iterator[str]:
    """Which runs failed, and why."""
    for one in list(runs)[:_NAMED]:
        yield f"failed: {one.error or one.key}"
    if len(runs) > _NAMED:
        yield f"and {len(runs) - _NAMED} more failed"


def _missing(asked: AskedRuns, keys: Sequence[str]) -> Iterator[str]:
    if keys:
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        yield f"not ended: {', '.join(keys[:_NAMED])}{more} in {asked.root}"


def _batches(journal: Path) -> list[dict[str, Any]]:
    """The batches of a journal that is perhaps being written: what is cut off or damaged is left out."""
    found = []
    for line in journal.read_text(encoding="utf-8").splitlines()[1:]:
        try:
            batch = json.loads(line)
            found += [batch] if batch["experiments"] else []
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return found


def _newer(path: Path, other: Path) -> bool:
    return path.stat().st_mtime_ns >= other.stat().st_mtime_ns


def _ended(path: Path) -> FlowStatus:
    """What an answer says first."""
    try:
        headline = json.loads(path.read_text(encoding="utf-8"))["headline"]
        return FlowStatus(str(headline[0]), finished=True)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return FlowStatus(f"{path.name} is damaged; the same command writes it again")
