"""The flow of ``cuvee scale``: a ladder of scales climbed, and the mixture at the target run.

At every rung direct data optimisation trains its runs and finds the best mixture; AutoScale carries these
optima on, and so does a law fitted to all runs. One scale above, the mixtures found are trained beside equal
and proportional shares, and what does best there is followed to the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.execution.interface import Executor
from cuvee.flows.scale.conclude import conclude
from cuvee.flows.scale.findings import FOUND, CheckRuns, ScaleFindings, by_rung
from cuvee.flows.scale.ladder import CHECKED, Ladder, Rung, ScaledRun, asked_for
from cuvee.flows.scale.law import ScaleLaw, law_data, scale_of
from cuvee.flows.scale.optima import Optima, RungLosses
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.models.flops import TRAINING_PASSES
from cuvee.progress import Progress
from cuvee.runs.metric_names import NATS
from cuvee.runs.mixture_names import AUTOSCALE, PROPORTIONAL, TOP_RUNG, UNIFORM
from cuvee.runs.observations import Observations
from cuvee.runs.roles import CHECK, RUNG
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.outlook import Outlook, Stage, Stopwatch
from cuvee.study.plan.mixtures import region_of
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.rechecking import rechecked
from cuvee.study.runner import Runner

MEASURED_ALONG = 24
"""How often a run above the rungs is measured on its way, to see when it reaches what others end at."""

_DIGITS = 4


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> ScaleDecision:
    """Climb the ladder, or go on where it was left.

    Args:
        config: what the user wrote.
        folder: where everything is kept.
        progress: where work is reported; FLOPs and hours before anything is trained.
        executor: where jobs run; by default ``config.workers`` processes on this machine.

    Raises:
        ConfigError: the target run is unknown, or the budget is too small for a ladder.
        CuveeError: anything else that cannot go on; what is done so far is kept.
    """
    asked_for(config)
    with opened(config, folder, progress, executor) as runner:
        climb = _Climb.of(runner)
        runner.progress.message(climb.outlook().statement)
        return runner.concluded(rechecked(runner, conclude(climb.findings(), runner)))


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Outlook:
    """What ``run`` would still take; text is prepared and steps are timed, nothing is trained."""
    asked_for(config)
    with opened(config, folder, progress, executor, looking=True) as runner:
        return _Climb.of(runner).outlook()


@dataclass(frozen=True, eq=False)
class _Climb:
    """A ladder with the runner that climbs it."""

    runner: Runner
    ladder: Ladder
    region: Region
    available: dict[str, int]

    @classmethod
    def of(cls, runner: Runner) -> "_Climb":
        plan, config = runner.plan, runner.plan.config
        available = available_tokens(config, plan.material)

        def training_flops(parameters: int) -> float:
            return TRAINING_PASSES * plan.sized(parameters).flops_per_token

        ladder = Ladder.of(config, config.model.parameters or plan.parameters, training_flops)
        return cls(runner, ladder, region_of(config, available), available)

    def outlook(self) -> Outlook:
        settings = self.runner.plan.config.scale
        stages = [
            Stage(f"rung {number}", rung.tokens, self._planned(rung, self._design(rung)))
            for number, rung in enumerate(self.ladder.rungs, start=1)
        ]
        check = self.ladder.check
        if check is not None:
            planned = self._planned(check, self._trainings(check, self._even()))
            more = CHECKED * settings.seeds - len(planned)
            stages.append(Stage("mixtures found", check.tokens, planned, more))
        watch = Stopwatch(self.runner)
        rows = tuple(watch.row(stage) for stage in stages)
        return Outlook(rows, settings.budget_flops, watch.tariff)

    def findings(self) -> ScaleFindings:
        """Train, fit, find the optima, train those."""
        settings = self.runner.plan.config.scale
        designs = [self._design(rung) for rung in self.ladder.rungs]
        planned = [
            self._planned(rung, design) for rung, design in zip(self.ladder.rungs, designs, strict=True)
        ]
        every = [one for rung in planned for one in rung]
        observed = self._observed(every, "training the rungs")
        weights = np.array(list(self.runner.plan.config.target_weights.values()))
        targets = [rows.values_of(NATS) @ weights for rows in by_rung(observed, planned)]
        rungs = [
            RungLosses(rung, tuple(design), target)
            for rung, design, target in zip(self.ladder.rungs, designs, targets, strict=True)
        ]
        optima = Optima.of(rungs, settings.power_law, settings.least_amount, self.runner.plan.config.seed)
        law = ScaleLaw.of(law_data(self.runner.plan, every, observed), self.runner.plan.config.target_weights)
        checks = self._checked(optima, law)
        return ScaleFindings(
            self.ladder,
            self.region,
            self.available,
            tuple(rungs),
            tuple(tuple(one) for one in planned),
            observed,
            optima,
            law,
            checks,
        )

    def _checked(self, optima: Optima, law: ScaleLaw) -> CheckRuns | None:
        """Train the mixtures found, one scale above; the law's predictions are reported before."""
        check = self.ladder.check
        if check is None:
            return None
        scale = scale_of(self.runner.plan, self.available, check.parameters, check.tokens)
        mixtures = self._even() | {
            # Rounded: another order of sums somewhere must not ask for other trainings.
            name: self.region.project(np.round(mixture.shares, _DIGITS))
            for name, mixture in (
                (TOP_RUNG, optima.at_rung(-1)),
                (AUTOSCALE, optima.at(check.tokens)),
                (law.name, law.optimum(self.region, scale)),
            )
        }
        trainings = self._trainings(check, mixtures)
        planned = self._planned(check, trainings, MEASURED_ALONG)
        observed = self._observed(planned, FOUND)
        predicted = dict(zip(mixtures, law.target(list(mixtures.values()), scale), strict=True))
        return CheckRuns(check, mixtures, tuple(trainings), tuple(planned), observed, predicted)

    def _even(self) -> dict[str, Mixture]:
        """What needs no runs; inside the limits."""
        names = self.region.names
        given = {
            UNIFORM: Mixture.uniform(names),
            PROPORTIONAL: Mixture.proportional({name: self.available[name] for name in names}),
        }
        return {name: self.region.project(mixture.shares) for name, mixture in given.items()}

    def _design(self, rung: Rung) -> list[ScaledRun]:
        settings = self.runner.plan.config.scale
        return rung.runs(self.region.names, settings.factors, settings.replicates)

    def _trainings(self, rung: Rung, mixtures: dict[str, Mixture]) -> list[ScaledRun]:
        """Every different mixture with every seed."""
        different = {mixture.key: mixture for mixture in mixtures.values()}.values()
        seeds = range(self.runner.plan.config.scale.seeds)
        return [ScaledRun(mixture, rung.tokens, seed) for mixture in different for seed in seeds]

    def _planned(self, rung: Rung, runs: Sequence[ScaledRun], along: int = 0) -> list[Planned]:
        plan = self.runner.plan
        model = plan.sized(rung.parameters)
        role = CHECK if along or rung is self.ladder.check else RUNG
        return [
            Planned(
                plan.alone(one.mixture, model, one.tokens, rung.tokens, one.replica), role, one.mixture, along
            )
            for one in runs
        ]

    def _observed(self, planned: Sequence[Planned], title: str) -> Observations:
        return self.runner.observe(Trainings(self.runner.plan, title), planned)
