"""Trainings of a search by a trainer of the user's, at the numbers of tokens that the study file gives.

They are the runs of ``cuvee swarm`` on other mixtures: a swarm at one of these numbers of tokens is known to
a search before it begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cuvee.errors import ConfigError, RunsAwaited, TrainingError
from cuvee.execution.tariff import CORES, Tariff
from cuvee.flows.search.search_checks import check_search
from cuvee.flows.search.trainings import losses_of
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import counted, flops
from cuvee.runs.roles import SWARM
from cuvee.runs.run import Run
from cuvee.search.space import Fidelity
from cuvee.study.emission import emit_runs
from cuvee.study.file.config import StudyConfig
from cuvee.study.outlook import Stopwatch
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.runner import Runner
from cuvee.study.trainer_runs import counting, pace_of, searched_runs, write_text_of

REPEATS_LESS = (
    "Your trainer reads sources whole: shorter runs repeat them less often than the target run will."
)
"""What reports say of its runs."""
IN_NATS = (
    "The losses that your trainer writes are taken for nats per token, in which `search.tolerance` and the "
    "rule that ends a search count: if they are bits or perplexities, have it write nats."
)
"""The same of those that measure themselves."""
FAILED_IN_A_ROW = 5
"""Runs after which a trainer is taken for broken."""


@dataclass(frozen=True, eq=False)
class CommandedTrainings:
    """Runs of the trainer of one study (``SearchTrainings``). Made by ``of``."""

    runner: Runner
    producer: CommandedRuns
    emit: Path | None
    """Where runs are written as scripts; None launches them."""

    @classmethod
    def of(cls, runner: Runner, budget: float, pool: str, emit: Path | None) -> "CommandedTrainings":
        """Those of a study.

        Args:
            runner: of the study.
            budget: FLOPs that are there for them.
            pool: what is not, in words.
            emit: see the field.

        Raises:
            ConfigError: the budget does not pay for two at the target fidelity.
        """
        check_search(runner.plan.config)
        found = cls(runner, searched_runs(runner, emit), emit)
        if 2.0 * (price := found.fidelities[-1].flops) > budget:
            raise ConfigError(
                f"search.trainer_tokens: two runs of {found._tokens[-1]:,} tokens take {flops(2 * price, 3)} "
                f"FLOPs; {flops(budget, 3)} of the budget are there for them{pool}"
            )
        return found

    @property
    def _config(self) -> StudyConfig:
        return self.runner.plan.config

    @property
    def _tokens(self) -> tuple[int, ...]:
        return tuple(sorted(self._config.search.trainer_tokens))

    @cached_property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """See ``SearchTrainings.fidelities``."""
        size = float(self._config.trainer.parameters or 0)
        return tuple(Fidelity("trained", size, tokens, 6.0 * size * tokens) for tokens in self._tokens)

    @property
    def stage(self) -> str:
        """See ``SearchTrainings.stage``."""
        return SWARM

    @property
    def recipe(self) -> str:
        """See ``SearchTrainings.recipe``."""
        return self.target_key

    @cached_property
    def target_key(self) -> str:
        """See ``SearchTrainings.target_key``."""
        even = Mixture.uniform(self._config.pool_sources)
        return self.producer.key(self.request(even, len(self._tokens) - 1))

    @property
    def metrics(self) -> tuple[str, ...]:
        """See ``SearchTrainings.metrics``; runs that measure themselves give what counts, perhaps no more."""
        own = self._config.trainer.returns == "metrics"
        return counting(self._config) if own else self._config.evaluation_names

    def lacks(self, run: Run) -> str:
        """See ``SearchTrainings.lacks``."""
        asked = counting(self._config)
        [losses] = losses_of([run], asked)
        lost = [name for name, loss in zip(asked, losses, strict=True) if not math.isfinite(loss)]
        if not lost:
            return ""
        place = self.producer.root / run.key
        return (
            f"the run in {place} gave no loss on {', '.join(lost)}, which counts in the target: have the "
            "trainer write it by that name, and take it into trainer.metrics"
        )

    @property
    def again(self) -> str:
        """See ``SearchTrainings.again``."""
        if self.emit is None:
            return "the same command tries failed runs again"
        return "run the scripts of failed runs again, then the same command reads them"

    def check_failures(self, failed: Sequence[CommandedRun], error: str) -> None:
        """See ``SearchTrainings.check_failures``; the array of ``emit`` then has what failed."""
        if len(failed) < FAILED_IN_A_ROW:
            return
        again = self.again
        if self.emit is not None:
            known = self.runner.known(self.producer, failed)
            emit_runs(self.emit, self._config, self.producer, failed, known)
            again = f"cd {self.emit} && sbatch array.sh tries them again; then the same command goes on"
        raise TrainingError(
            f"the last {len(failed)} runs of your trainer failed, so the search stops; mend the trainer, or "
            f"keep mixtures that it cannot train on out by limits; {again}. The last: {error}"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """See ``SearchTrainings.warnings``."""
        config = self._config
        own = (IN_NATS,) if config.trainer.returns == "metrics" else ()
        return (*own, *((REPEATS_LESS,) if config.target_run.tokens is not None else ()))

    @property
    def lanes(self) -> int:
        """See ``SearchTrainings.lanes``."""
        return self._config.workers

    def request(self, mixture: Mixture, place: int, replica: int = 0) -> CommandedRun:
        """See ``SearchTrainings.request``."""
        return CommandedRun(mixture, self._tokens[place], self._config.seed + replica)

    def made(self, runner: Runner, requests: Sequence[CommandedRun]) -> list[Run]:
        """See ``SearchTrainings.made``."""
        if self.emit is None:
            return runner.made(self.producer, requests)
        runner.make(self.producer, requests)
        known = runner.known(self.producer, requests)
        emit_runs(self.emit, self._config, self.producer, requests, known)
        made = [
            run
            for one, run in zip(requests, known, strict=True)
            if run is not None and (run.status == "done" or self.producer.folder(one).ended)
        ]
        if awaited := len(known) - len(made):
            raise RunsAwaited(
                f"{counted(awaited, 'run')} of the trainer to make: cd {self.emit} && sbatch array.sh; then "
                "the same command goes on"
            )
        return made

    def place_of(self, run: Run) -> int | None:
        """See ``SearchTrainings.place_of``; a model that was measured has the parameters that it has."""
        return self._tokens.index(run.tokens) if run.tokens in self._tokens else None

    def prepare(self) -> None:
        """See ``SearchTrainings.prepare``."""
        write_text_of(self.runner)

    def seconds(self, place: int, watch: Stopwatch) -> float:
        """See ``SearchTrainings.seconds``; as runs took that were made."""
        pace = pace_of(self.runner)
        return math.nan if pace is None else pace.median * self._tokens[place]

    def tariff(self, watch: Stopwatch) -> tuple[Tariff, float]:
        """See ``SearchTrainings.tariff``."""
        gpus, price = self._config.trainer.gpus, self._config.price
        return (CORES, math.nan) if gpus is None else (Tariff("GPU", price.gpu_hour, price.currency), gpus)
