"""Trainings on what each method keeps, beside random documents and everything: what values are worth.

Every arm is trained from scratch as references are, on the same number of tokens and read once, and measured
on the documents that no method has seen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.decisions.value.result import Retraining, SelectionArm
from cuvee.errors import ConfigError
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.flows.value.question import ValueQuestion
from cuvee.honesty.trainings import deviation, difference, pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.quantities import counted, flops, quantity
from cuvee.runs.roles import SELECTED
from cuvee.sources.shards import TokenShard
from cuvee.study.evaluation_rows import of_known_error
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.methods.random_values import RandomValues
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.selection import Selection, select
from cuvee.valuation.substrates import Substrates

EVERYTHING, ONE_EPOCH = "all documents, as many tokens", "all documents, one epoch"
SELECTION_SEEDS = 3_000_000
"""Added to the study's seed, beyond those of checks."""


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Documents that are trained on at one seed."""

    shard: TokenShard
    mixture: Mixture
    """Realised shares."""


@dataclass(frozen=True, eq=False)
class _Arm:
    """What is trained on and compared."""

    name: str
    tokens: int
    """Of a training."""
    drawn: tuple[_Drawn, ...]
    """One a seed: where documents are drawn, they are drawn anew."""


def retrained(
    runner: Runner,
    pool: DocumentTable,
    values: Mapping[str, FloatArray],
    question: ValueQuestion,
) -> Retraining:
    """Train what is missing, and compare.

    Args:
        runner: of the study.
        pool: what was valued.
        values: of each method that was run [n].
        question: share, seeds, target.

    Raises:
        ConfigError: the share is less than one batch.
    """
    runner = replace(runner, plan=runner.plan.checking)
    arms = _arms(runner, pool, values, question)
    planned = [[_planned(runner, arm, seed) for seed in range(question.seeds)] for arm in arms]
    trainings = Trainings(runner.plan, "training on selections")
    runner.progress.message(_priced(planned))
    runner.make(trainings, [one for row in planned for one in row])
    scores = [runner.scores(trainings, row) for row in planned]
    return _compared(runner, arms, planned, scores, question)


def _priced(planned: Sequence[Sequence[Planned]]) -> str:
    """What all of them take, also those that are there already."""
    tokens = quantity(planned[0][0].run.recipe.tokens)
    each = (
        f"{counted(len(planned), 'selection')}, {counted(len(planned[0]), 'training')} of each on "
        f"{tokens} tokens"
    )
    return f"{each}: {flops(_flops(planned))} FLOPs, less what is there already"


def _flops(planned: Sequence[Sequence[Planned]]) -> float:
    return sum(one.run.flops for row in planned for one in row)


def check_share(runner: Runner, pool: DocumentTable, question: ValueQuestion) -> None:
    """Refuse a share that no training can be made of, before anything is valued.

    Raises:
        ConfigError: the share is less than one batch.
    """
    if question.retrain:
        _check_batch(runner, question, int(question.retrain * pool.size))


def _check_batch(runner: Runner, question: ValueQuestion, tokens: int) -> None:
    batch = runner.plan.config.reference_training.batch_tokens
    if tokens <= batch:
        raise ConfigError(
            f"value: --retrain {question.retrain:g} keeps {tokens:,} tokens, less than a batch of {batch:,}; "
            "keep more, or lower reference_training.batch_tokens"
        )


def _arms(
    runner: Runner, pool: DocumentTable, values: Mapping[str, FloatArray], question: ValueQuestion
) -> list[_Arm]:
    kept = {name: _selections(runner, pool, name, one, question) for name, one in values.items()}
    fewest = min(one.tokens for row in kept.values() for one in row)
    _check_batch(runner, question, fewest)
    arms = [
        _Arm(name, fewest, tuple(_drawn(runner, pool, one.rows, one.shares) for one in row))
        for name, row in kept.items()
    ]
    everything = _drawn(runner, pool, np.arange(len(pool)), pool.tokens_by_source() / pool.size)
    every_seed = (everything,) * question.seeds
    whole = [_Arm(ONE_EPOCH, pool.size, every_seed)] if question.whole else []
    return [*arms, _Arm(EVERYTHING, fewest, every_seed), *whole]


def _selections(
    runner: Runner, pool: DocumentTable, name: str, values: FloatArray, question: ValueQuestion
) -> list[Selection]:
    """What a method keeps, one a seed; random values are drawn anew, so that their luck is in the noise."""
    budget, temperature = int(question.retrain * pool.size), valuer_named(name).temperature
    found = []
    for seed in range(runner.plan.config.seed, runner.plan.config.seed + question.seeds):
        own = RandomValues().value(pool, pool, Substrates(), seed) if name == RandomValues.name else values
        found.append(select(own, pool, budget, temperature=temperature, seed=seed))
    return found


def _drawn(runner: Runner, pool: DocumentTable, rows: IntArray, shares: FloatArray) -> _Drawn:
    return _Drawn(_shard(runner, pool, rows), _mixture(runner, shares))


def _mixture(runner: Runner, shares: FloatArray) -> Mixture:
    return Mixture.of(dict(zip(runner.plan.config.pool_sources, shares.tolist(), strict=True)))


def _shard(runner: Runner, pool: DocumentTable, rows: IntArray) -> TokenShard:
    return pool.copied(runner.plan.folder.valuation / "shards", np.sort(rows), SELECTED)


def _planned(runner: Runner, arm: _Arm, seed: int) -> Planned:
    plan = runner.plan
    batch = plan.config.reference_training.batch_tokens
    tokens = (arm.tokens - 1) // batch * batch  # no more than there is to read once
    somewhere = Mixture.uniform(plan.config.pool_sources)
    run = plan.alone(somewhere, plan.model, tokens, tokens, SELECTION_SEEDS + seed)
    shard = arm.drawn[seed].shard
    run = replace(
        run,
        mixture=Mixture.vertex((SELECTED,), SELECTED),
        shards={SELECTED: (shard.folder,)},
        content={SELECTED: (shard.content_hash,)},
        fractions={},
    )
    return Planned(run, SELECTED, arm.drawn[seed].mixture)


def _compared(
    runner: Runner,
    arms: Sequence[_Arm],
    planned: Sequence[Sequence[Planned]],
    scores: Sequence[Scores],
    question: ValueQuestion,
) -> Retraining:
    names = [arm.name for arm in arms]
    evaluations = list(runner.documents.evaluations)
    target = runner.documents.target({question.target: 1.0})
    losses = np.stack([one.nats_per_token @ target for one in scores])
    rest = [place for place, name in enumerate(evaluations) if name != question.target]
    others = [one.nats_per_token[:, rest].mean(axis=1) if rest else np.zeros(0) for one in scores]
    comparison = _Comparison(runner, scores, losses, target, question.confidence)
    rows = [
        SelectionArm(
            name,
            arms[place].drawn[0].shard.documents,
            planned[place][0].run.recipe.tokens,
            tuple(losses[place].tolist()),
            tuple(others[place].tolist()),
            comparison.between(place, names.index("random")),
            comparison.between(place, names.index("dsir")),
        )
        for place, name in enumerate(names)
    ]
    return Retraining(
        question.retrain,
        planned[0][0].run.model.build().layout.size,
        int(runner.documents.counts[evaluations.index(question.target)]),
        deviation([losses]),
        _flops(planned),
        tuple(sorted(rows, key=lambda one: sum(one.target) / len(one.target))),
    )


@dataclass(frozen=True, eq=False)
class _Comparison:
    runner: Runner
    scores: Sequence[Scores]
    losses: FloatArray
    target: FloatArray
    confidence: float

    def between(self, place: int, base: int) -> Interval:
        """Loss of one arm minus another's, with the noise of trainings and of documents."""
        if place == base:
            return Interval()
        documents = self.runner.documents
        one, other = (Scores(documents, self.scores[i].nats.mean(axis=0)) for i in (place, base))
        paired, unsure = compare(one, other), of_known_error(documents, self.target)
        _, error = paired.weighted(unsure)
        freedom = float(paired.freedom(unsure))
        noise = pooled_noise([self.losses])
        found = difference(self.losses, (place, base), noise, float(error), freedom, self.confidence)
        if not math.isfinite(found.mean):
            return Interval()
        return Interval(found.mean, found.low, found.high)
