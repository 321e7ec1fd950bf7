"""Trainings of a search by cuvee itself.

The target fidelity is as long as the budget allows, at most the target run; below it stand shorter ones. The
longest can be paused on their way, and gone on with later.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from cuvee.errors import ConfigError
from cuvee.execution.tariff import Tariff
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import flops
from cuvee.runs.roles import SEARCH
from cuvee.runs.run import Run
from cuvee.search.space import CHECKPOINT, Fidelity
from cuvee.study.chosen_documents import ChosenDocuments
from cuvee.study.outlook import Stopwatch
from cuvee.study.plan.job import steps_between
from cuvee.study.plan.lengths import LEAST_STEPS, interpolated
from cuvee.study.plan.plan import EPOCHING_OFF, Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.frozen import FrozenTrainings
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun

_PRECISION = 1e-3


@dataclass(frozen=True)
class Training:
    """A training, to its end or up to a step."""

    parameters: int
    """Asked for; as built they differ a little."""
    tokens: int
    until: int = 0
    """The step after which it is frozen; 0 goes to the end."""
    measured_along: int = 0


@dataclass(frozen=True, eq=False)
class StudyTrainings:
    """Trainings of one study by cuvee (``SearchTrainings``). Made by ``of``."""

    plan: Plan
    trainings: tuple[Training, ...]
    fidelities: tuple[Fidelity, ...]
    chosen: ChosenDocuments | None
    """What trainings read inside their sources; None: any documents."""

    @classmethod
    def of(cls, plan: Plan, budget: float, pool: str, chosen: ChosenDocuments | None) -> "StudyTrainings":
        """Those that a budget pays for.

        Args:
            plan: of the study.
            budget: FLOPs.
            pool: what the pool takes of the budget of the search, in words.
            chosen: see the field.

        Raises:
            ConfigError: it does not pay for two.
        """
        trainings, fidelities = _trained(plan, budget, pool)
        return cls(plan, tuple(trainings), tuple(fidelities), chosen)

    @property
    def producer(self) -> FrozenTrainings:
        """See ``SearchTrainings.producer``."""
        return FrozenTrainings(self.plan)

    @property
    def stage(self) -> str:
        """See ``SearchTrainings.stage``."""
        return SEARCH

    @property
    def recipe(self) -> str:
        """See ``SearchTrainings.recipe``."""
        return self._example(self.trainings[-1]).recipe.hash

    @property
    def metrics(self) -> tuple[str, ...]:
        """See ``SearchTrainings.metrics``."""
        return self.plan.config.evaluation_names

    def lacks(self, run: Run) -> str:
        """See ``SearchTrainings.lacks``; what is no number here is left out of the target's posterior."""
        return ""

    @property
    def again(self) -> str:
        """See ``SearchTrainings.again``."""
        return ""

    def check_failures(self, failed: Sequence[Planned], error: str) -> None:
        """See ``SearchTrainings.check_failures``; they diverge by themselves, and the search learns where."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """See ``SearchTrainings.warnings``."""
        target = self.plan.config.target_run
        return (EPOCHING_OFF,) if target.tokens is not None and not target.simulated_epoching else ()

    @property
    def lanes(self) -> int:
        """See ``SearchTrainings.lanes``."""
        return self.plan.processes

    @cached_property
    def target_key(self) -> str:
        """Of a run of equal shares at the target fidelity."""
        return trained_key(self.plan, self._example(self.trainings[-1]))

    def request(self, mixture: Mixture, place: int, replica: int = 0) -> Planned:
        """See ``SearchTrainings.request``."""
        training = self.trainings[place]
        run = _run(self.plan, mixture, training, replica)
        if self.chosen is not None:
            run = self.chosen.applied(run)
        return Planned(run, SEARCH, mixture, training.measured_along, training.until)

    def made(self, runner: Runner, requests: Sequence[Planned]) -> list[Run]:
        """See ``SearchTrainings.made``."""
        return runner.made(self.producer, requests)

    def place_of(self, run: Run) -> int | None:
        """See ``SearchTrainings.place_of``."""
        sizes = [(one.kind, one.params, one.tokens) for one in self.fidelities]
        mine = (run.kind, run.params, run.tokens)
        return next((place for place, one in enumerate(sizes) if one == mine), None)

    def prepare(self) -> None:
        """See ``SearchTrainings.prepare``."""

    def seconds(self, place: int, watch: Stopwatch) -> float:
        """See ``SearchTrainings.seconds``; a few steps of every size of model are timed."""
        return self.fidelities[place].flops / watch.flops_a_second(self._example(self.trainings[place]))

    def tariff(self, watch: Stopwatch) -> tuple[Tariff, float]:
        """See ``SearchTrainings.tariff``."""
        return watch.tariff, 1.0

    def _example(self, training: Training) -> TrainingRun:
        """A run like it, of equal shares."""
        return _run(self.plan, Mixture.uniform(self.plan.config.pool_sources), training)


def _run(plan: Plan, mixture: Mixture, training: Training, replica: int = 0) -> TrainingRun:
    model = plan.sized(training.parameters)
    return plan.alone(mixture, model, training.tokens, training.tokens, replica)


def _trained(plan: Plan, budget: float, pool: str) -> tuple[list[Training], list[Fidelity]]:
    """Trainings with their fidelities, the longest last; its checkpoints stand before it."""
    config = plan.config
    settings, size = config.search, config.model.parameters or plan.parameters
    batch = config.reference_training.batch_tokens
    least, limit = LEAST_STEPS * batch, config.target_run.tokens
    even = Mixture.uniform(config.pool_sources)

    def sized(tokens: float, highest: float) -> int:
        # Parameters grow from the study's to the target's as tokens do, on a line in logarithms.
        last, lowest = config.target_run.parameters, highest / settings.step**settings.scales
        if last is None or limit is None or config.model.folder is not None or limit <= lowest:
            return size
        return interpolated(size, last, math.log(tokens / lowest) / math.log(limit / lowest))

    def fidelity(training: Training) -> Fidelity:
        run = _run(plan, even, training)
        model, tokens = run.model.build(), training.until * run.recipe.batch_tokens or run.recipe.tokens
        times = training.until // steps_between(run.recipe, training.measured_along) if training.until else 1
        measured = model.flops_per_token * evaluated(plan) * times
        kind = CHECKPOINT if training.until else "trained"
        return Fidelity(kind, model.layout.size, tokens, run.flops_of(tokens) + measured)

    def price(tokens: float) -> float:
        return fidelity(Training(sized(tokens, tokens), round(tokens))).flops

    highest = settings.target_tokens
    if highest is None:
        if price(least) * settings.target_runs > budget:
            raise ConfigError(
                f"search.budget_flops: {flops(settings.budget_flops, 3)} are too few; "
                f"{settings.target_runs:g} trainings of {least:,} tokens, the shortest of any use, "
                f"take {flops(price(least) * settings.target_runs, 3)}" + pool
            )
        highest = round(_largest(price, budget / settings.target_runs, least, limit))
    elif 2.0 * price(highest) > budget:
        raise ConfigError(
            f"search.target_tokens: two trainings of {highest:,} tokens take "
            f"{flops(2 * price(highest), 3)} FLOPs; {flops(budget, 3)} of the budget are there for them"
            + pool
        )
    if highest < least:
        key = "search.target_tokens" if settings.target_tokens is not None else "target_run.tokens"
        raise ConfigError(
            f"{key}: {highest:,} are fewer than the {least:,} tokens ({LEAST_STEPS} steps) of the shortest "
            "training of any use; raise them, or lower `reference_training.batch_tokens`"
        )
    lengths = [highest / settings.step**below for below in range(settings.scales, -1, -1)]
    trainings = [Training(sized(tokens, highest), round(tokens)) for tokens in lengths if tokens >= least]
    whole = trainings.pop()
    along = settings.checkpoints + 1 if settings.checkpoints else 0
    longest = Training(whole.parameters, whole.tokens, 0, along)
    every = steps_between(_run(plan, even, longest).recipe, along)
    parts = [
        Training(whole.parameters, whole.tokens, every * place, along)
        for place in range(1, settings.checkpoints + 1)
    ]
    found = [*trainings, *parts, longest]
    return found, [fidelity(one) for one in found]


def _largest(price: Callable[[float], float], budget: float, least: int, limit: int | None) -> float:
    """Most tokens of a training whose price the budget allows; not above the limit."""
    low = high = math.log(least)
    while price(math.exp(high)) <= budget:
        if limit is not None and math.exp(high) >= limit:
            return float(limit)
        low, high = high, high + math.log(2.0)
    while high - low > _PRECISION:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if price(math.exp(middle)) <= budget else (low, middle)
    tokens = math.exp(low)
    return tokens if limit is None else min(tokens, float(limit))


def evaluated(plan: Plan) -> int:
    """Tokens on which every model is measured."""
    return plan.bench.evaluator().tokens
