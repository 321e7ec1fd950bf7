"""What a search can ask for, at which price. Plans only; nothing is trained.

Trainings are made by cuvee (``study_trainings.py``) or by a trainer of the user (``commanded_trainings.py``).
Below them stand the merges and ensembles of a pool of branches.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.flows.search.charge import Charge
from cuvee.flows.search.commanded_trainings import CommandedTrainings
from cuvee.flows.search.study_trainings import StudyTrainings, evaluated
from cuvee.flows.search.trainings import SearchTrainings
from cuvee.hashing import digest
from cuvee.merging.price import extra_flops
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import flops
from cuvee.runs.roles import SEARCH, SWARM
from cuvee.runs.run import Run
from cuvee.search.proposer import Method
from cuvee.search.space import CHECKPOINT, Experiment, Fidelity, Space
from cuvee.study.chosen_documents import ChosenDocuments, chosen_documents
from cuvee.study.opening import available_tokens
from cuvee.study.plan.mixtures import region_of
from cuvee.study.plan.plan import Plan
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun


@dataclass(frozen=True, eq=False)
class Menu:
    """Fidelities, and how an experiment at each is made. Made by ``of``."""

    runner: Runner
    space: Space
    trainings: SearchTrainings
    """At the last fidelities of the space; those before are proxies."""
    available: dict[str, int]
    """Tokens of each source that the target run can draw on."""
    charge: Charge
    """What sizes the trainings, beside the budget."""
    pool_flops: float
    """Of the trainings of the pool that are not made yet; 0 where no proxy is asked for."""
    chosen: ChosenDocuments | None
    """What trainings read inside their sources; None: any documents."""

    @classmethod
    def of(cls, runner: Runner, emit: Path | None = None) -> "Menu":
        """The menu of a study.

        Args:
            runner: of the study.
            emit: where runs of the user's trainer are written as scripts; None launches them.

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
        chosen = chosen_documents(runner)
        trainings = _trainings(runner, left, _price_of_pool(charge.flops), chosen, emit)
        proxies = _proxies(plan, trainings.fidelities[-1])
        region = region_of(config, available)
        if region.totals.is_point:
            raise ConfigError("limits: they leave one mixture, so that nothing is left to search; widen them")
        fidelities = (*proxies, *trainings.fidelities)
        space = Space(region, fidelities, len(fidelities) - 1)
        return cls(runner, space, trainings, available, charge, unpaid, chosen)

    @property
    def proxies(self) -> int:
        """How many of the fidelities are proxies."""
        return len(self.space.fidelities) - len(self.trainings.fidelities)

    def trains(self, fidelity: int) -> bool:
        """Whether an experiment there is a training."""
        return fidelity >= self.proxies

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of its experiments: what makes them worth less than they could be."""
        chosen = (
            "Trainings read chosen documents inside their sources, merges and ensembles stand for whole "
            "sources: they may rank mixtures otherwise. `search.proxies: []` leaves them out.",
        )
        plan = self.runner.plan
        seed = plan.seed if plan.config.search.proxies else None
        seen = () if seed is None else sorted(set(seed.mixture.support) - set(self.space.sources))
        mixed = chosen if self.chosen is not None and plan.config.search.proxies else ()
        warnings = (*self.trainings.warnings, *mixed)
        if not seen:
            return warnings
        return (
            *warnings,
            f"The seed model of the pool sees text that no training of the search sees ({', '.join(seen)}): "
            "merges and ensembles may rank mixtures otherwise than trainings. `seed_training.mixture` can "
            "leave it out.",
        )

    def request(self, experiment: Experiment, replica: int = 0) -> Any:
        """The run behind an experiment at the fidelity of a training."""
        return self.trainings.request(self.mixture(experiment), experiment.fidelity - self.proxies, replica)

    def experiment(self, run: Run) -> Experiment | None:
        """What a run of the store would be here; None where nothing like it is on the menu."""
        place = self.trainings.place_of(run)
        if place is None or not set(run.mixture.support) <= set(self.space.sources):
            return None
        shares = tuple(run.mixture.reindexed(self.space.sources).shares.tolist())
        return Experiment(shares, self.proxies + place)

    def known(self) -> list[str]:
        """Keys of trainings of earlier searches and swarms that can be asked for now, too."""
        found = []
        for run in self.runner.store.runs(role=(SEARCH, SWARM), kind=("trained", CHECKPOINT)):
            one = self.experiment(run)
            if one is None or self.trainings.lacks(run):
                continue
            if self.trainings.producer.key(self.request(one)) == run.key:
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
                "run": self.trainings.target_key,
            }
        )

    def mixture(self, experiment: Experiment) -> Mixture:
        """Over the sources of the space."""
        return Mixture(self.space.sources, experiment.row)


def _trainings(
    runner: Runner, budget: float, pool: str, chosen: ChosenDocuments | None, emit: Path | None
) -> SearchTrainings:
    """Those that the study file asks for.

    Args:
        runner: of the study.
        budget: FLOPs that are there for them.
        pool: what is not, in words.
        chosen: documents that cuvee's own read.
        emit: where those of the user's trainer are written.
    """
    if runner.plan.config.search.trainer_tokens:
        return CommandedTrainings.of(runner, budget, pool, emit)
    return StudyTrainings.of(runner.plan, budget, pool, chosen)


def _proxies(plan: Plan, target: Fidelity) -> list[Fidelity]:
    """Merges cost a forward pass and the average of all branches, ensembles the mixing of probabilities.

    Both stand for trainings at the target fidelity, whatever their branches were trained on: how a difference
    there moves them, and how far off they are, is learnt.
    """
    branches = sum(1 for _ in planned_branches(plan))
    model = plan.model.build()
    tokens = evaluated(plan)
    prices = {
        "merged": model.flops_per_token * tokens
        + 2.0 * branches * plan.merge_depth * model.layout.size
        + extra_flops(plan.config.merging.method, model, branches),
        "ensembled": 2.0 * branches * tokens,
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
