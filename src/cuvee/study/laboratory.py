"""Where a study's runs are made and written down.

Every result goes into the store as it arrives, under a key made of all that determines it. What the
store has is never done again, so a killed study goes on where it was.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite, nan
from typing import TypeVar

import numpy as np

from cuvee.errors import StoreError
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.race import PART, completed, part_windows
from cuvee.evaluation.scores import Documents, Scores
from cuvee.execution.interface import Executor, Report
from cuvee.merging.pool import Branch, FlatPool
from cuvee.merging.roster import Roster
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.progress import Progress
from cuvee.runs.key import RunKey
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.agenda import Intended, saved_step, set_out
from cuvee.study.job import (
    Failed,
    Measured,
    MemberTask,
    MergeTask,
    TrainTask,
    attempt,
    part_key,
    score_block,
    score_member,
    train_and_measure,
)
from cuvee.study.plan import Plan
from cuvee.training.run import Begun, TrainingRun
from cuvee.training.state import TrainingState
from cuvee.types import FloatArray

T = TypeVar("T")

NATS = "nats_per_token/"
BITS = "bits_per_byte/"
_MERGES_A_TASK = 8
_KEPT = frozenset({"seed", "branch"})
"""Roles of the trainings whose parameters are read again."""


@dataclass(frozen=True)
class Planned:
    """A training run with what it is for."""

    run: TrainingRun
    role: str
    """``seed``, ``branch``, ``reference``, ``replicate``, or what a run of a ladder is for."""
    mixture: Mixture
    """Over the sources of the study."""
    measured_along: int = 0
    """How often the run is measured on its way, besides the end."""
    until: int = 0
    """The step after which the run is frozen; 0 goes to the end."""


@dataclass(frozen=True, eq=False)
class Laboratory:
    """Makes what a plan asks for."""

    plan: Plan
    store: RunStore
    executor: Executor
    progress: Progress
    trained_now: list[str] = field(default_factory=list)
    """Keys of the runs that were trained by this process, in order of completion."""

    # Training

    def train(self, planned: Sequence[Planned], title: str) -> None:
        """Train and measure what the store does not have, the longest first.

        What others start from, or are blended of, is made again where its checkpoint is gone.
        """
        tasks = [one for one in planned if not self._has(one)]
        tasks.sort(key=lambda one: -one.run.recipe.tokens)
        if not tasks:
            return
        set_out(self.plan.folder, title, [_intended(one) for one in planned])
        self._drop_damaged_states(tasks)
        missing = [one.run.recipe.tokens for one in tasks if not one.run.done]
        self.progress.stage(title, sum(missing) or len(tasks), "tokens" if missing else "models")
        saved = [saved_step(self.plan.folder, one.run.key) * one.run.recipe.batch_tokens for one in tasks]
        self.progress.advance(sum(saved))
        for index, measured in self._carried_out(train_and_measure, tasks):
            if not missing:
                self.progress.advance(1, _names(tasks[index].mixture))
            self._write_down(tasks[index], measured)

    def _has(self, planned: Planned) -> bool:
        """Nothing is left to be made."""
        whole = planned.run.done or planned.role not in _KEPT
        return whole and self.store.has(self.trained_key(planned.run))

    def _drop_damaged_states(self, tasks: Iterable[Planned]) -> None:
        """A training whose saved state is damaged begins anew; that is said."""
        for one in tasks:
            file = one.run.state_file
            if not one.run.done and file.is_file() and TrainingState.load(file, one.run.key) is None:
                file.unlink()
                what = f"the saved state of {one.role} {_names(one.mixture)}"
                self.progress.message(f"{file}: {what} is damaged and is not used; this training begins anew")

    def attempt(self, planned: Sequence[Planned]) -> None:
        """Train and measure what the store does not have; a training that stops is written down as failed.

        Runs may be frozen on their way (``until``), and are gone on with later. What failed is not tried
        again. Told of: tokens trained.
        """
        tasks = [one for one in planned if self.store.get(self.planned_key(one)) is None]
        self._drop_damaged_states(tasks)
        for index, found in self._carried_out(attempt, tasks) if tasks else ():
            one = tasks[index]
            if isinstance(found, Failed):
                self.store.add(replace(self._run(one), status="failed", error=found.error))
            elif isinstance(found, Begun):
                for step, losses in self._named(found.evaluations):
                    spent = found.seconds if step == one.until else 0.0
                    self._write_checkpoint(replace(one, until=step), losses, spent)
            else:
                for step, losses in self._named(found.along):
                    if step < one.run.recipe.steps:
                        self._write_checkpoint(replace(one, until=step), losses, 0.0)
                self._write_down(one, found)

    def _carried_out(
        self, job: Callable[[TrainTask, Report], T], tasks: Sequence[Planned]
    ) -> Iterator[tuple[int, T]]:
        jobs = [
            TrainTask(
                one.run,
                replace(self.plan.bench, model=one.run.model),
                one.measured_along,
                one.until,
                one.role,
            )
            for one in tasks
        ]

        def told(index: int, amount: float, note: str) -> None:
            self.progress.advance(amount, f"{tasks[index].role} {_names(tasks[index].mixture)}: {note}")

        return self.executor.map(job, jobs, told)

    def _run(self, planned: Planned) -> Run:
        """What is known of a run before it is made."""
        run = planned.run
        return Run(
            key=self.planned_key(planned),
            kind="checkpoint" if planned.until else "trained",
            role=planned.role,
            estimand=self.plan.config.estimand,
            mixture=planned.mixture,
            params=run.model.build().layout.size,
            tokens=planned.until * run.recipe.batch_tokens or run.recipe.tokens,
            seed=run.recipe.seed,
        )

    def planned_key(self, planned: Planned) -> str:
        """The key of a planned run, to its end or to where it is frozen."""
        if not planned.until:
            return self.trained_key(planned.run)
        inputs = {"run": planned.run.key, "step": planned.until, "evaluations": self.evaluations}
        return RunKey("checkpoint", inputs).digest

    def _write_checkpoint(self, planned: Planned, losses: Mapping[str, float], seconds: float) -> None:
        made = replace(
            self._run(planned),
            metrics={NATS + name: value for name, value in losses.items() if isfinite(value)},
            flops=planned.run.flops_of(planned.until * planned.run.recipe.batch_tokens),
            details={"run": planned.run.key},
        )
        self.store.add(made)
        if seconds:
            self.store.record_seconds(made.key, planned.role, seconds)

    def _write_down(self, planned: Planned, measured: Measured) -> None:
        trained = measured.trained
        made = replace(
            self._run(planned),
            metrics=metrics_of(measured.scores),
            documents=documents_of(measured.scores),
            flops=trained.flops + measured.evaluation_flops,
            details={
                "run": trained.key,
                "checkpoint": trained.checkpoint.content_hash,
                "recipe": planned.run.recipe.hash,
                "epochs": trained.log["epochs"],
            }
            | ({"along": self._named(measured.along)} if planned.measured_along else {}),
        )
        self.store.add(made)
        if trained.seconds:
            self.trained_now.append(trained.key)
            self.store.record_seconds(made.key, planned.role, trained.seconds)

    def trained_key(self, run: TrainingRun) -> str:
        """The key of a trained run together with what it was measured on."""
        return RunKey("trained", {"run": run.key, "evaluations": self.evaluations}).digest

    @property
    def evaluations(self) -> dict[str, str]:
        """Keys of what is measured, by name."""
        return {one.name: one.key for one in self.plan.material.evaluations}

    def _named(self, along: Iterable[tuple[int, Mapping[str, float]]]) -> list[tuple[int, dict[str, float]]]:
        """Losses on the way of a run by the name of the evaluation; steps that were measured on others
        left out."""
        keys = {one.name: part_key(one.key) for one in self.plan.material.evaluations}
        return [
            (step, {name: losses[key] for name, key in keys.items()})
            for step, losses in along
            if all(key in losses for key in keys.values())
        ]

    def losses(self, keys: Sequence[str]) -> FloatArray:
        """Nats per token [R, E] of runs in the store, in the order of ``keys``; NaN where not measured.

        Raises:
            StoreError: a run is not there.
        """
        return np.array([self.losses_of(self._existing(key)) for key in keys])

    def _existing(self, key: str) -> Run:
        run = self.store.get(key)
        if run is None:
            raise StoreError(
                f"{self.store.path}: run {key} is gone; run the command again to have it made anew"
            )
        return run

    @cached_property
    def documents(self) -> Documents:
        """All documents on which losses are measured."""
        return self.plan.bench.evaluator().documents

    def scores(self, keys: Sequence[str]) -> Scores:
        """Nats of every document [R, D] of runs in the store, in the order of ``keys``.

        Raises:
            StoreError: a run is not there, or was written without them.
        """
        found = self.store.documents(keys)
        for key in keys:
            if missing := [name for name in self.documents.evaluations if name not in found[key]]:
                raise StoreError(
                    f"{self.store.path}: run {key} has no losses of single documents on '{missing[0]}'; "
                    "delete the file to have everything measured again (what is trained stays)"
                )
        rows = [np.concatenate([found[key][name] for name in self.documents.evaluations]) for key in keys]
        return Scores(self.documents, np.array(rows).reshape(len(keys), len(self.documents.tokens)))

    def losses_of(self, run: Run) -> FloatArray:
        """Nats per token [E] of a run; NaN where not measured."""
        return np.array([run.metrics.get(NATS + one.name, nan) for one in self.plan.material.evaluations])

    # Pools

    def pool(self, replicas: int) -> FlatPool:
        """The branches as one matrix, memory-mapped; all replicas of a unit share its weight."""
        branches = [
            Branch(
                f"{member.name}#{replica}" if replica else member.name,
                member.source,
                member.tokens,
                Checkpoint.load(run.folder),
            )
            for replica in range(replicas)
            for member, run in self.plan.branches(replica).items()
        ]
        seed = Checkpoint.load(self.plan.start.folder)
        if seed.tokenizer is None:  # a model that was brought along does not say with which it was trained
            seed = replace(seed, tokenizer=self.plan.material.tokenizer)
        return FlatPool.build(self.plan.model.build(), seed, branches, self.plan.folder.pools)

    # Proxies

    def score_merges(
        self,
        name: str,
        pool: FlatPool,
        weights: FloatArray,
        mixtures: Sequence[Mixture],
        roles: Sequence[str],
        control: Ensemble | None = None,
    ) -> Scores:
        """Scores [M, D] of merges ``weights`` [M, K] that stand for ``mixtures``.

        With a ``control``, the ensemble of the pool, merges are scored on a part of the windows only, and
        what the part lacks is estimated from it (``cuvee.evaluation.race``).
        """
        partly = control is not None
        keys = [self._proxy_key("merged", pool.roster, row, partly) for row in weights]
        known = self.store.keys(set(keys))
        todo = [i for i, key in enumerate(keys) if key not in known and key not in keys[:i]]
        if todo:
            title = f"scoring merges ({name}, on a part)" if partly else f"scoring merges ({name})"
            self.progress.stage(title, len(todo), "merges")
            blocks = [todo[start : start + _MERGES_A_TASK] for start in range(0, len(todo), _MERGES_A_TASK)]
            path = self.plan.folder.pool(pool.roster.key)
            method = self.plan.config.merging.method
            tasks = [MergeTask(path, weights[block], method, self.plan.bench, partly) for block in blocks]
            forward = self.plan.bench.part() if partly else self.plan.bench.evaluator()
            flops = forward.model.flops_per_token * forward.tokens + 2.0 * pool.bank.numel()
            for index, done in self.executor.map(
                score_block, tasks, lambda _, n, note: self.progress.advance(n)
            ):
                scores = done.scores
                if control is not None:
                    scores = self._completed(scores, control, weights[blocks[index]])
                self.store.add_many(
                    self._proxy_run("merged", name, keys[i], mixtures[i], roles[i], scores[position], flops)
                    for position, i in enumerate(blocks[index])
                )
                self.store.record_seconds(keys[blocks[index][0]], f"merged {name}", done.seconds)
        return self.scores(keys)

    def _completed(self, part: Scores, control: Ensemble, weights: FloatArray) -> Scores:
        evaluator = self.plan.bench.evaluator()
        on_part = control.select(evaluator, part_windows(evaluator))
        return completed(part, on_part.score(weights), control.score(weights))

    def ensemble(self, pool: FlatPool) -> Ensemble:
        """Token log-probabilities of all members, made once and kept beside the pool."""
        evaluator = self.plan.bench.evaluator()
        folder = self.plan.folder.ensembles
        empty = Ensemble(
            pool.roster,
            evaluator.documents,
            np.zeros((len(pool.roster.members), evaluator.tokens), dtype=np.float32),
        )
        path = folder / empty.key
        if path.exists():
            return Ensemble.open(path)
        names = pool.roster.names
        self.progress.stage("scoring members", len(names), "members")
        tasks = [
            MemberTask(self.plan.folder.pool(pool.roster.key), row, self.plan.bench)
            for row in range(len(names))
        ]

        def told(row: int, amount: float, note: str) -> None:
            self.progress.advance(amount, names[row])

        for row, log_probs in self.executor.map(score_member, tasks, told):
            empty.log_probs[row] = log_probs
        empty.save(folder)
        return empty

    def score_ensembles(
        self,
        ensemble: Ensemble,
        weights: FloatArray,
        mixtures: Sequence[Mixture],
        roles: Sequence[str],
    ) -> Scores:
        """Scores [M, D] of ensembles ``weights`` [M, K]."""
        keys = [self._proxy_key("ensembled", ensemble.roster, row, False) for row in weights]
        scores = ensemble.score(weights)
        flops = 2.0 * weights.shape[1] * scores.documents.tokens.sum()
        known = self.store.keys(set(keys))
        fresh = {key: i for i, key in enumerate(keys) if key not in known}
        self.store.add_many(
            self._proxy_run("ensembled", "ensemble", key, mixtures[i], roles[i], scores[i], float(flops))
            for key, i in fresh.items()
        )
        return scores

    def _proxy_key(self, kind: str, roster: Roster, weights: FloatArray, partly: bool) -> str:
        inputs = {"pool": roster.key, "weights": weights.tolist(), "evaluations": self.evaluations}
        method = self.plan.config.merging.key if kind == "merged" else {}
        return RunKey(kind, inputs | method | ({"part": PART} if partly else {})).digest

    def _proxy_run(
        self, kind: str, name: str, key: str, mixture: Mixture, role: str, scores: Scores, flops: float
    ) -> Run:
        return Run(
            key=key,
            kind=kind,
            role=role,
            estimand=self.plan.config.estimand,
            mixture=mixture,
            params=self.plan.parameters,
            tokens=self.plan.branch_tokens,
            seed=self.plan.config.seed,
            metrics=metrics_of(scores),
            documents={} if kind == "ensembled" else documents_of(scores),
            flops=flops,
            details={"proxy": name},
        )


def _intended(planned: Planned) -> Intended:
    run = planned.run
    return Intended(run.key, planned.role, run.recipe.steps, run.flops)


def metrics_of(scores: Scores) -> dict[str, float]:
    """Losses of one model by name, the unit in the name; those that are no numbers are left out."""
    names = scores.documents.evaluations
    nats = {NATS + name: float(v) for name, v in zip(names, scores.nats_per_token, strict=True)}
    bits = {BITS + name: float(v) for name, v in zip(names, scores.bits_per_byte, strict=True)}
    return {name: value for name, value in (nats | bits).items() if isfinite(value)}


def documents_of(scores: Scores) -> dict[str, FloatArray]:
    """Nats of the documents of one model, evaluation by evaluation."""
    documents = scores.documents
    return {
        name: scores.nats[documents.evaluation == position]
        for position, name in enumerate(documents.evaluations)
    }


def _names(mixture: Mixture) -> str:
    return "+".join(mixture.support) if len(mixture.support) <= 3 else f"{len(mixture.support)} sources"
