"""Exact values of sources: every coalition of them merged, or ensembled, and judged on the target.

The utility of a coalition is minus the target's loss of the equal mixture of its sources, as a proxy says it;
that of none is the seed model's. Intervals are over the documents of the target; another training of the
branches is not in them.
"""

from collections.abc import Mapping

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.decisions.value.result import SourceGame, SourcePlayer
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.runs.roles import ASKED
from cuvee.study.pooling import planned_branches
from cuvee.study.producers.trained import Trainings
from cuvee.study.proxies import Proxies
from cuvee.study.runner import Runner
from cuvee.types import FloatArray
from cuvee.valuation.ratio_mean import ratio_mean
from cuvee.valuation.source_game import coalitions, leave_one_out, shapley


def source_games(runner: Runner, target: str, confidence: float) -> tuple[SourceGame, ...]:
    """A game for every proxy of the study's pool; branches are trained where they are missing.

    A learning curve is of the held-out part of a source: for other targets it changes nothing, and proxies
    that say the same of the target have one game.

    Cost: the pool, and 2^m merges and ensembles.

    Raises:
        ConfigError: there are more sources than can be enumerated.
    """
    mixtures = equal_mixtures(runner)
    runner.make(Trainings(runner.plan, "training the pool"), planned_branches(runner.plan))
    scored = Proxies.of(runner).score(mixtures, [ASKED] * len(mixtures))
    none = seed_nats(runner)
    return tuple(
        _game(runner, name, np.concatenate([none[None], nats]), target, confidence)
        for name, nats in _distinct(runner, scored.nats, target).items()
    )


def equal_mixtures(runner: Runner) -> list[Mixture]:
    """The equal mixture of every coalition but the empty one, in the order of ``coalitions``.

    Raises:
        ConfigError: there are more sources than can be enumerated.
    """
    names = runner.plan.config.pool_sources
    return [
        Mixture.of(dict(zip(names, (row / row.sum()).tolist(), strict=True)))
        for row in coalitions(len(names))[1:]
    ]


def seed_nats(runner: Runner) -> FloatArray:
    """Nats of every document under the model that all branches start from [D]."""
    plan = runner.plan
    flat = Checkpoint.load(plan.start.folder).read_flat(plan.model.build())
    return plan.bench.evaluator().score(flat.to(plan.bench.model.device)).nats


def _distinct(runner: Runner, nats: Mapping[str, FloatArray], target: str) -> dict[str, FloatArray]:
    """Proxies that say something else of the target than those before."""
    documents, found = runner.documents, dict[str, FloatArray]()
    chosen = documents.evaluation == documents.evaluations.index(target)
    for name, one in nats.items():
        if not any(np.array_equal(one[:, chosen], other[:, chosen]) for other in found.values()):
            found[name] = one
    return found


def _game(runner: Runner, name: str, nats: FloatArray, target: str, confidence: float) -> SourceGame:
    documents = runner.documents
    chosen = documents.evaluation == documents.evaluations.index(target)
    tokens = documents.tokens[chosen].astype(np.float64)
    by_document = {"shapley": shapley(-nats[:, chosen]), "left": leave_one_out(-nats[:, chosen])}
    rows = {what: _intervals(one, tokens, confidence) for what, one in by_document.items()}
    return SourceGame(name, len(nats), _players(runner.plan.config.pool_sources, rows))


def _intervals(values: FloatArray, tokens: FloatArray, confidence: float) -> list[Interval]:
    """Nats per token of each source, with where other documents of the target would put it."""
    return [Interval(*ratio_mean(one, tokens, confidence)) for one in values]


def _players(names: tuple[str, ...], rows: Mapping[str, list[Interval]]) -> tuple[SourcePlayer, ...]:
    pairs = zip(names, rows["shapley"], rows["left"], strict=True)
    return tuple(SourcePlayer(name, value, left) for name, value, left in pairs)
