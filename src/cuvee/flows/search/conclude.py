"""From what a search has measured to the mixture it ends with."""

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np
from scipy.stats import spearmanr

from cuvee.decisions.evaluations import few_documents
from cuvee.decisions.interval import Interval
from cuvee.decisions.search import result as d
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED
from cuvee.errors import TrainingError
from cuvee.flows.search.findings import SearchFindings
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import agreeing, counted
from cuvee.search.checkpoints import without_checkpoints
from cuvee.search.proposer import History
from cuvee.search.regret import Regret
from cuvee.search.space import Experiment
from cuvee.search.surrogate import Surrogate
from cuvee.study.evaluation_rows import evaluation_rows
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.mixtures import baselines
from cuvee.study.plan.seed_words import seed_in_words
from cuvee.study.provenance import provenance
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

LEVEL = 0.8
LEAST_BELIEVED = 4
"""Experiments from which anything can be expected of others."""

_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
_LEAST_RANKED = 4


def conclude(findings: SearchFindings, runner: Runner) -> SearchDecision:
    """The mixture of the lowest expected target loss among those trained at the target fidelity.

    Raises:
        TrainingError: too few experiments measured anything (the message names the last reason).
    """
    measured = len(findings.history.trials.measured)
    if measured < LEAST_BELIEVED:
        reason = next((one.error for one in reversed(findings.made) if one.error), "")
        again = f" ({findings.menu.trainings.again})" if reason and findings.menu.trainings.again else ""
        raise TrainingError(
            f"{measured} of {len(findings.history.trials)} experiments measured anything, too few to decide"
            f"{again}: {reason or findings.stopped}"
        )
    end = _SearchEnd(findings, runner)
    config, menu = runner.plan.config, findings.menu
    space = menu.space
    decision = SearchDecision(
        study=config.name,
        seed_model=seed_in_words(runner.plan),
        created_from=provenance(runner, menu.trainings.recipe, _command(config)),
        headline=(),
        verdict=UNJUDGED,
        method=config.search.method,
        stopped=findings.stopped,
        tested=end.regret.tested,
        target_tokens=config.target_run.tokens or round(space.fidelities[space.target].tokens),
        mixture=end.mixture(),
        target=config.target_weights,
        expected=end.expected(end.regret.pick[None])[0],
        against_uniform=end.against(end.even.shares),
        regret=_central(end.regret.lost),
        better_probability=end.regret.probability(config.search.tolerance),
        tolerance=config.search.tolerance,
        fidelities=tuple(end.fidelity(place) for place in range(len(space.fidelities))),
        tried=end.tried(),
        trained=end.trained(),
        known=len(findings.history.trials) - end.observed,
        pool_flops=findings.spent - sum(one.flops for one in findings.made),
        flops=findings.spent,
        budget_flops=config.search.budget_flops,
        simulated_epoching=config.target_run.simulated_epoching and not config.search.trainer_tokens,
        trainer=config.trainer.command if config.search.trainer_tokens else "",
        warnings=end.warnings(),
        confidence=LEVEL,
        document_values=menu.chosen.method if menu.chosen is not None else "",
    ).judged()
    if menu.chosen is not None:
        pick = Experiment(tuple(end.regret.pick.tolist()), space.target)
        menu.chosen.write(runner.plan.folder.search_documents, menu.request(pick).run)
    return decision


def _command(config: StudyConfig) -> str:
    """What repeats the search, with what the command line may have said."""
    search = config.search
    return f"cuvee search study.yaml --budget {search.budget_flops:.17g} --method {search.method}"


@dataclass(frozen=True, eq=False)
class _SearchEnd:
    """The posterior when the search has stopped."""

    findings: SearchFindings
    runner: Runner

    @cached_property
    def known(self) -> History:
        """As the search saw it: of every training the last that was measured."""
        history = self.findings.history
        return replace(history, trials=without_checkpoints(history.trials, history.space))

    @cached_property
    def surrogate(self) -> Surrogate:
        return Surrogate.of(self.known, seed=self.runner.plan.config.seed)

    @cached_property
    def regret(self) -> Regret:
        return Regret.of(self.known, self.surrogate, self.runner.plan.config.seed)

    @property
    def weights(self) -> FloatArray:
        return self.findings.history.weights

    @property
    def even(self) -> Mixture:
        """Equal shares, or the nearest mixture to them that keeps the limits."""
        return baselines(self.findings.menu.space.region, self.findings.menu.available)[0]

    @property
    def observed(self) -> int:
        """Trials of this search, parts of trainings included."""
        return sum(one.observed for one in self.findings.made)

    def at_target(self, shares: FloatArray) -> FloatArray:
        """Expected target losses [n] of mixtures at the target fidelity."""
        places = self.surrogate.places(shares, np.full(len(shares), self.findings.menu.space.target))
        return self.surrogate.mean(places) @ self.weights

    def expected(self, shares: FloatArray) -> list[Interval]:
        """The same with intervals."""
        places = self.surrogate.places(shares, np.full(len(shares), self.findings.menu.space.target))
        _, variance, _ = self.surrogate.covariances(places, places.select(np.arange(1)))
        half = _Z * np.sqrt(self.surrogate.of_sum(self.weights, variance))
        mean = self.surrogate.mean(places) @ self.weights
        return [Interval(m, m - h, m + h) for m, h in zip(mean.tolist(), half.tolist(), strict=True)]

    def against(self, other: FloatArray) -> Interval:
        """Expected target loss of the pick less that of another mixture."""
        both = np.stack([self.regret.pick, other])
        places = self.surrogate.places(both, np.full(2, self.findings.menu.space.target))
        between, variance, _ = self.surrogate.covariances(places, places)
        one, two = self.surrogate.mean(places) @ self.weights
        spread = np.maximum(variance.sum(axis=1) - 2.0 * between[:, 0, 1], 0.0)
        half = _Z * float(np.sqrt(self.surrogate.of_sum(self.weights, spread)))
        value = float(one - two)
        return Interval(value, value - half, value + half)

    def mixture(self) -> tuple[SourceShare, ...]:
        menu, config = self.findings.menu, self.runner.plan.config
        low, high = self.regret.interval(LEVEL)
        tokens = config.target_run.tokens
        target = tokens or menu.space.fidelities[menu.space.target].tokens
        return tuple(
            SourceShare.of(
                name,
                float(self.regret.pick[place]),
                (float(low[place]), float(high[place])),
                unique_tokens=menu.available[name],
                target_tokens=target,
                epoch_cap=config.target_run.max_epochs if tokens else float("nan"),
                largest=menu.space.region.upper[place],
            )
            for place, name in enumerate(menu.space.sources)
        )

    def fidelity(self, place: int) -> d.FidelityRow:
        findings, space = self.findings, self.findings.menu.space
        one, trials = space.fidelities[place], findings.history.trials
        made = [entry for entry in findings.made if entry.experiment.fidelity == place]
        rows = trials.at(place)
        there = trials.costs[rows] @ self.weights
        expected = self.at_target(trials.shares[rows]) if len(rows) else np.zeros(0)
        varied = len(rows) >= _LEAST_RANKED and np.ptp(there) > 0 and np.ptp(expected) > 0
        kind = self.surrogate.kinds.index(one.kind)
        noise = self.surrogate.of_sum(self.weights, self.surrogate.noise(np.array([kind]))[:, 0])
        known = bool(len(rows))
        return d.FidelityRow(
            kind=one.kind,
            parameters=round(one.params),
            tokens=round(one.tokens),
            flops=one.flops,
            made=len(made),
            failed=sum(1 for entry in made if entry.error),
            spent=sum(entry.flops for entry in made),
            seconds=self._seconds(place),
            slope=self.surrogate.slope(trials.shares, place, self.weights) if known else float("nan"),
            bias=float((there - expected).mean()) if known else float("nan"),
            noise=float(np.sqrt(noise)) if known else float("nan"),
            rank=float(spearmanr(there, expected).statistic) if varied else float("nan"),
        )

    def tried(self) -> tuple[d.Tried, ...]:
        spent = self.findings.spent - sum(one.flops for one in self.findings.made)
        rows = []
        for number, one in enumerate(self.findings.made, start=1):
            spent += one.flops
            rows.append(
                d.Tried(
                    str(number),
                    one.experiment.fidelity,
                    one.why,
                    one.experiment.shares,
                    float(one.losses @ self.weights),
                    spent,
                    one.gain,
                    one.error,
                )
            )
        return tuple(rows)

    def trained(self) -> tuple[d.TrainedMixture, ...]:
        shares, costs = self.findings.history.target_costs()
        if not len(shares):
            return ()
        target = self.findings.menu.space.target
        names = {
            one.experiment.shares: str(number)
            for number, one in enumerate(self.findings.made, start=1)
            if one.experiment.fidelity == target
        }
        found = [
            d.TrainedMixture(
                names.get(tuple(row.tolist()), f"earlier {place + 1}"), tuple(row.tolist()), float(cost), one
            )
            for place, (row, cost, one) in enumerate(zip(shares, costs, self.expected(shares), strict=True))
        ]
        return tuple(sorted(found, key=lambda one: one.expected.mean))

    def warnings(self) -> tuple[str, ...]:
        findings, config = self.findings, self.runner.plan.config
        found = []
        failed = sum(1 for one in findings.made if one.error)
        if failed:
            again = f"; {findings.menu.trainings.again}" if findings.menu.trainings.again else ""
            found.append(
                f"{counted(failed, 'experiment')} failed and {agreeing(failed, 'was', 'were')} charged; "
                f"{agreeing(failed, 'its reason stands with it', 'their reasons stand with them')}"
                f"{again}."
            )
        target = findings.menu.space.fidelities[findings.menu.space.target]
        longest = target.tokens
        if config.target_run.tokens is None:
            found.append(
                "The tokens of the target run are unknown (`target_run.tokens`): repetition is neither "
                "capped nor matched."
            )
        elif config.target_run.tokens > 1.5 * longest:
            found.append(
                f"The target run has {config.target_run.tokens / longest:.1f} times the tokens of the "
                "longest training: the best mixture may move on the way; `cuvee scale` looks for that."
            )
        if self.even.key != Mixture.uniform(findings.menu.space.sources).key:
            found.append("Equal shares break the limits: the nearest mixture that keeps them is compared.")
        if beyond := self.surrogate.reach.said_of(target):
            found.append(beyond)
        few = few_documents(evaluation_rows(self.runner.plan.material, config.target_weights))
        return (*few, *found, *findings.menu.warnings)

    def _seconds(self, place: int) -> float:
        """Work time, for trainings."""
        menu = self.findings.menu
        if not menu.trains(place):
            return float("nan")
        made = [one.experiment for one in self.findings.made if one.experiment.fidelity == place]
        keys = [menu.trainings.producer.key(menu.request(one)) for one in made]
        known = self.runner.store.seconds()
        spent = [known.get((key, menu.trainings.stage), 0.0) for key in keys]
        return float(np.sum(spent)) if spent else float("nan")


def _central(values: FloatArray) -> Interval:
    low, high = np.quantile(values, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(float(values.mean()), float(low), float(high))
