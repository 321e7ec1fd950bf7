"""What a search can ask for, at which price. Plans only; nothing is trained.

The target fidelity is a training as long as the budget allows, at most the target run. Below it stand shorter
trainings, the longest ones paused on their way, and the merges and ensembles of a pool of branches.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from cuvee.errors import ConfigError
from cuvee.flows.search.charge import Charge
from cuvee.hashing import digest
from cuvee.merging.price import extra_flops
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import flops
from cuvee.runs.roles import SEARCH
from cuvee.runs.run import Run
from cuvee.search.proposer import Method
from cuvee.search.space import CHECKPOINT, Experiment, Fidelity, Space
from cuvee.study.chosen_documents import ChosenDocuments, chosen_documents
from cuvee.study.opening import available_tokens
from cuvee.study.plan.job import steps_between
from cuvee.study.plan.lengths import LEAST_STEPS, interpolated
from cuvee.study.plan.mixtures import region_of
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.frozen import planned_key
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
class Menu:
    """Fidelities, and how an experiment at each is made. Made by ``of``."""

    runner: Runner
    space: Space
    trainings: dict[int, Training]
    """By fidelity; the other fidelities are proxies."""
    available: dict[str, int]
    """Tokens of each source that the target run can draw on."""
    charge: Charge
    """What sizes the trainings, beside the budget."""
    pool_flops: float
    """Of the trainings of the pool that are not made yet; 0 where no proxy is asked for."""
    chosen: ChosenDocuments | None
    """What trainings read inside their sources; None: any documents."""

    @classmethod
    def of(cls, runner: Runner) -> "Menu":
        """The menu of a study.

        Raises:
            ConfigError: the budget does not pay for the pool and two trainings, runs are united, or the
                limits leave one mixture.
            InfeasibleRegion: no mixture is allowed.
        """
        plan, config = runner.plan, runner.plan.config
        if config.estimand == "union":
            raise ConfigError("estimand: `cuvee search` compares mixtures at one number of tokens")
        available = available_tokens(config, plan.material)
        pool = _pool(plan) if config.search.proxies else {}
        unpaid = math.fsum(run.flops for key, run in pool.items() if not runner.store.has(key))
        charge = Charge.of(plan.folder, config, list(pool), unpaid)
        left = config.search.budget_flops - charge.flops
        if left <= 0:
            raise ConfigError(
                f"search.budget_flops: {flops(config.search.budget_flops, 3)} do not pay for the pool"
                + _price_of_pool(charge.flops)
            )
        trainings, fidelities = _trained(plan, left)
        proxies = _proxies(plan, fidelities[-1])
        region = region_of(config, available)
        if region.totals.is_point:
            raise ConfigError("limits: they leave one mixture, so that nothing is left to search; widen them")
        space = Space(region, (*proxies, *fidelities), len(proxies) + len(fidelities) - 1)
        by_fidelity = dict(enumerate(trainings, len(proxies)))
        return cls(runner, space, by_fidelity, available, charge, unpaid, chosen_documents(runner))

    @property
    def target(self) -> Training:
        """At the target fidelity."""
        return self.trainings[self.space.target]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes proxies worth less than they could be."""
        chosen = (
            "Trainings read chosen documents inside their sources, merges and ensembles stand for whole "
            "sources: they may rank mixtures otherwise. `search.proxies: []` leaves them out.",
        )
        plan = self.runner.plan
        seed = plan.seed if plan.config.search.proxies else None
        seen = () if seed is None else sorted(set(seed.mixture.support) - set(self.space.sources))
        mixed = chosen if self.chosen is not None and plan.config.search.proxies else ()
        if not seen:
            return mixed
        return (
            *mixed,
            f"The seed model of the pool sees text that no training of the search sees ({', '.join(seen)}): "
            "merges and ensembles may rank mixtures otherwise than trainings. `seed_training.mixture` can "
            "leave it out.",
        )

    def planned(self, experiment: Experiment, replica: int = 0) -> Planned:
        """The run behind an experiment at the fidelity of a training."""
        training = self.trainings[experiment.fidelity]
        mixture = self.mixture(experiment)
        run = _run(self.runner.plan, mixture, training, replica)
        if self.chosen is not None:
            run = self.chosen.applied(run)
        return Planned(run, SEARCH, mixture, training.measured_along, training.until)

    def example(self, training: Training) -> TrainingRun:
        """A run like it, of equal shares."""
        return _run(self.runner.plan, Mixture.uniform(self.space.sources), training)

    def experiment(self, run: Run) -> Experiment | None:
        """What a run of the store would be here; None where nothing like it is on the menu."""
        if not set(run.mixture.support) <= set(self.space.sources):
            return None
        shares = tuple(run.mixture.reindexed(self.space.sources).shares.tolist())
        for place, fidelity in enumerate(self.space.fidelities):
            if (fidelity.kind, fidelity.params, fidelity.tokens) == (run.kind, run.params, run.tokens):
                return Experiment(shares, place)
        return None

    def known(self) -> list[str]:
        """Keys of the trainings of earlier searches that are the same as ones that can be asked for now."""
        found = []
        for run in self.runner.store.runs(role=SEARCH, kind=("trained", CHECKPOINT)):
            one = self.experiment(run)
            if one is not None and planned_key(self.runner.plan, self.planned(one)) == run.key:
                found.append(run.key)
        return found

    def question(self, method: Method) -> str:
        """Digest of all that decides what is asked for, but the budget where ``search.target_tokens`` is
        given."""
        region, plan, config = self.space.region, self.runner.plan, self.runner.plan.config
        pool = list(_pool(plan)) if config.search.proxies else []
        return digest(
            ({"pool": pool, **config.merging.key} if pool else {})
            | ({"documents": self.chosen.method} if self.chosen is not None else {})
            | {
                "levels": [vars(one) for one in self.space.fidelities],
                "lower": region.lower.tolist(),
                "upper": region.upper.tolist(),
                "ratios": [dict(one) for one in region.ratios],
                "weights": config.target_weights,
                "method": repr(method),
                "seed": config.seed,
                "run": trained_key(plan, self.example(self.target)),
            }
        )

    def mixture(self, experiment: Experiment) -> Mixture:
        """Over the sources of the space."""
        return Mixture(self.space.sources, experiment.row)


def _run(plan: Plan, mixture: Mixture, training: Training, replica: int = 0) -> TrainingRun:
    model = plan.sized(training.parameters)
    return plan.alone(mixture, model, training.tokens, training.tokens, replica)


def _trained(plan: Plan, budget: float) -> tuple[list[Training], list[Fidelity]]:
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
        measured = model.flops_per_token * _evaluated(plan) * times
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
                f"take {flops(price(least) * settings.target_runs, 3)}"
                + _price_of_pool(settings.budget_flops - budget)
            )
        highest = round(_largest(price, budget / settings.target_runs, least, limit))
    elif 2.0 * price(highest) > budget:
        raise ConfigError(
            f"search.target_tokens: two trainings of {highest:,} tokens take "
            f"{flops(2 * price(highest), 3)} FLOPs; {flops(budget, 3)} of the budget are there for them"
            + _price_of_pool(settings.budget_flops - budget)
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


def _proxies(plan: Plan, target: Fidelity) -> list[Fidelity]:
    """Merges cost a forward pass and the average of all branches, ensembles the mixing of probabilities.

    Both stand for trainings at the target fidelity, whatever their branches were trained on: how a difference
    there moves them, and how far off they are, is learnt.
    """
    branches = sum(1 for _ in planned_branches(plan))
    model = plan.model.build()
    evaluated = _evaluated(plan)
    prices = {
        "merged": model.flops_per_token * evaluated
        + 2.0 * branches * plan.merge_depth * model.layout.size
        + extra_flops(plan.config.merging.method, model, branches),
        "ensembled": 2.0 * branches * evaluated,
    }
    return [Fidelity(kind, target.params, target.tokens, prices[kind]) for kind in plan.config.search.proxies]


def _pool(plan: Plan) -> dict[str, TrainingRun]:
    """The trainings of the pool by their keys, the seed model first."""
    planned = [*planned_seed(plan), *planned_branches(plan)]
    return {trained_key(plan, one.run): one.run for one in planned}


def _price_of_pool(price: float) -> str:
    if not price:
        return ""
    return f" (the pool takes {flops(price, 3)}; without merges and ensembles: `search.proxies: []`)"


def _evaluated(plan: Plan) -> int:
    return plan.bench.evaluator().tokens
