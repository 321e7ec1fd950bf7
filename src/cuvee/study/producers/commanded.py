"""Runs of a trainer of the user's: launched here, or only collected where something else runs them.

A run is a folder (``plan/run_folder.py``) named by its key. One that ended well there is never run again; one
that failed is a row that says why, and is run again by the next command. Others go on.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.exporters.interface import ExportRequest, SourceFacts
from cuvee.exporters.registry import exporter_named
from cuvee.models.flops import TRAINING_PASSES, TRAINING_PER_PARAMETER
from cuvee.progress import Progress
from cuvee.runs.roles import SWARM
from cuvee.runs.run import Run
from cuvee.study.plan.commanded_run import CommandedRun, command_files, commanded_key, training_key
from cuvee.study.plan.job import Failed
from cuvee.study.plan.launch import LaunchTask, launch, trainer_environment
from cuvee.study.plan.model_folder import MeasuredFolder, ModelTask, measure_folder
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.run_folder import RunFolder, script_of, trainings_in
from cuvee.study.plan.run_result import RunResult, failure_of, result_of
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.rows import documents_of, metrics_of

SHARES = "mixture.json"
"""The mixture where no format is asked for: token shares by source."""
TITLE = "runs of the trainer"


@dataclass(frozen=True, eq=False)
class CommandedRuns(Producer[CommandedRun]):
    """Runs the command of the study file on mixtures."""

    plan: Plan
    facts: Mapping[str, SourceFacts]
    """Of the sources, for the file of a mixture."""
    root: Path
    """In which each run has a folder."""
    launched: bool = True
    """False: runs are prepared and collected, and something else runs them."""
    needed: tuple[str, ...] = ()
    """Metrics without which a run has failed; where models are measured there are none."""
    role: str = SWARM
    """What the runs are for."""

    def key(self, request: CommandedRun) -> str:
        """See ``commanded_key``."""
        return commanded_key(self.plan, self.facts, self._files, request)

    @cached_property
    def _files(self) -> dict[str, str]:
        """Read once: they may be large, and change while runs go on."""
        return command_files(self.plan)

    @cached_property
    def _trainings(self) -> dict[str, Path]:
        """That were there before: other metrics or evaluations of the same runs need none."""
        return trainings_in(self.root)

    def folder(self, request: CommandedRun) -> RunFolder:
        """Where a run lies."""
        return RunFolder(self.root / self.key(request))

    def remarks(self, request: CommandedRun) -> tuple[str, ...]:
        """Sentences on what the format cannot express of a run."""
        return self._mixture_file(request)[2]

    def prepare(self, request: CommandedRun) -> None:
        """Write the folder of a run."""
        name, text, remarks = self._mixture_file(request)
        settings = self.plan.config.trainer
        values = {
            "tokens": str(request.tokens),
            "seed": str(request.seed),
            "parameters": str(settings.parameters),
            "tokenizer": str(self.plan.material.tokenizer_folder.absolute()),
        }
        title = f"{self.plan.config.name}: run {self.key(request)} of `cuvee swarm`"
        script = script_of(settings.template, values, name, self.plan.folder.root, (title, *remarks))
        training = training_key(self.plan, self.facts, self._files, request)
        folder = self.folder(request)
        if training in self._trainings and not folder.path.is_symlink():
            folder.share(self._trainings[training])
        folder.prepare((name, text), script, training)

    def make(
        self,
        missing: Sequence[CommandedRun],
        asked: Sequence[CommandedRun],
        executor: Executor,
        progress: Progress,
    ) -> Iterator[Results]:
        """See ``Producer.make``; a run that has not ended and is not launched gives nothing."""
        for one in missing:
            self.prepare(one)
        known = [result_of(self.folder(one), self.plan.config.trainer, self.needed) for one in missing]
        progress.stage(TITLE, len(missing), "runs")
        ended = [not self._to_launch(found) for found in known]
        progress.done_before(sum(ended))
        models: list[tuple[CommandedRun, Path]] = []
        found = ((one, result) for one, result, over in zip(missing, known, ended, strict=True) if over)
        to_launch = [one for one, over in zip(missing, ended, strict=True) if not over]
        for source in (found, self._launched(to_launch, executor, progress)):
            for one, result in source:
                if result is None:
                    continue
                if result.model is not None:
                    models.append((one, result.model))
                else:
                    yield self._results(self._run(one, result))
        yield from self._measured(models, executor, progress)

    def _to_launch(self, found: RunResult | None) -> bool:
        return self.launched and (found is None or bool(found.error))

    def _launched(
        self, runs: Sequence[CommandedRun], executor: Executor, progress: Progress
    ) -> Iterator[tuple[CommandedRun, RunResult]]:
        config = self.plan.config
        environment = trainer_environment(config.workers)
        tasks = [LaunchTask(self.folder(one), config.trainer, self.needed, environment) for one in runs]

        def note(index: int, amount: float, text: str) -> None:
            progress.advance(amount, text)

        for index, result in executor.map(launch, tasks, note) if tasks else ():
            yield runs[index], result

    def _measured(
        self, models: Sequence[tuple[CommandedRun, Path]], executor: Executor, progress: Progress
    ) -> Iterator[Results]:
        if not models:
            return
        progress.stage("measuring its models", len(models), "models")
        plan = self.plan
        tasks = [ModelTask(path, plan.bench, plan.material.tokenizer) for _, path in models]

        def note(index: int, amount: float, text: str) -> None:
            progress.advance(amount, text)

        for index, found in executor.map(measure_folder, tasks, note):
            one = models[index][0]
            if isinstance(found, Failed):
                yield self._results(self._run(one, self._unmeasured(one, found)))
            else:
                yield self._results(self._with_scores(one, found))

    def _results(self, run: Run) -> Results:
        """With the time that all attempts took, where it is known; it counts once there is a result."""
        seconds = RunFolder(self.root / run.key).seconds
        timed = run.status == "done" and not math.isnan(seconds)
        return Results((run,), Spent(run.key, SWARM, seconds) if timed else None)

    def _unmeasured(self, one: CommandedRun, found: Failed) -> RunResult:
        folder = self.folder(one)
        what = f"ended well, but {found.error}; delete that folder to have it trained again"
        return RunResult(error=failure_of(self.plan.config.trainer, folder, what))

    def _run(self, one: CommandedRun, result: RunResult) -> Run:
        config = self.plan.config
        parameters = config.trainer.parameters
        run = Run(
            key=self.key(one),
            kind="trained",
            role=self.role,
            estimand="equal_budget",
            mixture=one.mixture,
            params=parameters,
            tokens=one.tokens,
            seed=one.seed,
            metrics=dict(result.metrics),
            flops=None if parameters is None else TRAINING_PER_PARAMETER * parameters * one.tokens,
            details={"command": config.trainer.command, "format": config.trainer.format},
        )
        return replace(run, status="failed", error=result.error, flops=None) if result.error else run

    def _with_scores(self, one: CommandedRun, found: MeasuredFolder) -> Run:
        return replace(
            self._run(one, RunResult()),
            params=found.parameters,
            metrics=metrics_of(found.scores),
            documents=documents_of(found.scores),
            flops=TRAINING_PASSES * found.flops_per_token * one.tokens,
        )

    def _mixture_file(self, one: CommandedRun) -> tuple[str, str, tuple[str, ...]]:
        """Name and text, and what the format cannot express."""
        settings = self.plan.config.trainer
        if not settings.format:
            shares = {name: one.mixture.share(name) for name in one.mixture.support}
            return SHARES, json.dumps(shares, indent=2, ensure_ascii=False) + "\n", ()
        exporter = exporter_named(settings.format)
        request = ExportRequest(one.mixture, self.facts, one.tokens, settings.sequence_length, one.seed)
        try:
            written = exporter.export(request)
        except ConfigError as error:
            raise ConfigError(
                f"trainer.format: {error}. `cuvee swarm` has no such options: give sources as JSON lines "
                "without `chunk_characters`, or take a format whose weights count tokens"
            ) from error
        return exporter.filename, written.text, written.cannot
