"""What merges and ensembles are worth to a search, replayed on two real studies of our own.

One is that of ``make bench-ablation``: its trained mixtures go on from the seed model, as branches do. The
other are the real searches of ``search_study.py``, whose trainings begin anew: the random trainings of two
arms, and merges and ensembles of the same mixtures from the pool of a third. A surrogate observes few
trainings and many proxies, and predicts the trainings that it did not observe.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.ablation_study import ROOT, WORK
from benchmarks.harness import Cell, Table
from benchmarks.search_study import ARMS, SEARCHES, folder_of, settings
from benchmarks.search_tables import study
from cuvee.flows.search.measuring import Measuring
from cuvee.flows.search.menu import Menu
from cuvee.flows.simulate.table import read_table
from cuvee.progress import Progress
from cuvee.runs.metric_names import NATS
from cuvee.runs.roles import SEARCH
from cuvee.runs.store import RunStore
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.surrogate import Surrogate
from cuvee.search.trials import Trials
from cuvee.study.file.config import StudyConfig
from cuvee.study.opening import opened
from cuvee.types import FloatArray, IntArray

TRAINED = (4, 8, 16)
"""Trainings observed."""
FURTHER = 24
"""Mixtures of which only proxies are observed, beside all that were trained."""
SPLITS = 20
OBSERVED: dict[str, tuple[str, ...]] = {
    "trainings alone": (),
    "and merges": ("merged",),
    "and ensembles": ("ensembled",),
    "and both": ("merged", "ensembled"),
}

_Z90 = 1.6448536269514722


@dataclass(frozen=True, eq=False)
class _Replay:
    """Trainings and proxies of the same mixtures, and proxies of further ones."""

    space: Space
    metrics: tuple[str, ...]
    weights: FloatArray
    shares: FloatArray
    """The trained ones first [R + M, S]."""
    truth: FloatArray
    """Losses of the trainings [R, E]."""
    proxies: dict[str, FloatArray]
    """Losses by kind [R + M, E]."""
    noise: float
    """Standard deviation of the target loss of one training, measured with several seeds."""

    def learnt(self, rows: IntArray, kinds: tuple[str, ...], seed: int) -> Surrogate:
        """The posterior given the trainings of some mixtures, and proxies of all."""
        count, everything = len(rows), len(self.shares)
        shares = np.concatenate([self.shares[rows], *(self.shares for _ in kinds)])
        fidelity = [np.full(count, self.space.target)]
        fidelity += [np.full(everything, self.fidelity(kind)) for kind in kinds]
        costs = np.concatenate([self.truth[rows], *(self.proxies[kind] for kind in kinds)])
        observed = Trials(self.metrics, shares, np.concatenate(fidelity), costs)
        return Surrogate.of(History(self.space, self.weights, observed), seed=seed)

    def fidelity(self, kind: str) -> int:
        """Where a proxy stands."""
        return [one.kind for one in self.space.fidelities].index(kind)

    def mean(self, surrogate: Surrogate, rows: IntArray, fidelity: int) -> FloatArray:
        """Expected target losses of mixtures at a fidelity."""
        places = surrogate.places(self.shares[rows], np.full(len(rows), fidelity))
        return surrogate.mean(places) @ self.weights

    def deviation(self, surrogate: Surrogate, rows: IntArray) -> FloatArray:
        """Of single trainings."""
        places = surrogate.places(self.shares[rows], np.full(len(rows), self.space.target))
        _, variance, _ = surrogate.covariances(places, places.select(np.arange(1)))
        noise = surrogate.noise(np.zeros(1, dtype=np.int64))
        result: FloatArray = np.sqrt(surrogate.of_sum(self.weights, variance + noise))
        return result

    def splits(self, count: int) -> list[tuple[IntArray, IntArray]]:
        """Trainings observed, and predicted."""
        orders = (
            np.random.default_rng([split, count]).permutation(len(self.truth)) for split in range(SPLITS)
        )
        return [(order[:count], order[count:]) for order in orders]


def kinds(final_losses: dict[str, FloatArray], progress: Progress) -> list[Table]:
    """Errors with and without each kind, and what was learnt of each.

    Args:
        final_losses: trainings of the same mixtures with several seeds, for the noise of one.
        progress: where scoring is reported.
    """
    replays = {
        "ablation, two domains outside the pool": _of_study("the two others"),
        "ablation, all eight domains": _of_study("eight domains"),
        "the searches above": _of_searches(final_losses, progress),
    }
    errors = [
        (study, count, name, *_errors(replay, count, observed))
        for study, replay in replays.items()
        for count in TRAINED
        for name, observed in OBSERVED.items()
    ]
    counts = ", ".join(f"{len(replay.truth)} ({study})" for study, replay in replays.items())
    return [
        Table(
            "Our own studies replayed: trainings predicted from other trainings and from proxies",
            (
                "study", "trainings observed", "observed", "relative RMSE", "± spread", "rank correlation",
                "in 90 % intervals",
            ),
            tuple(errors),
            (
                f"Mixtures really trained: {counts}; the median of {SPLITS} random choices of those observed "
                "of, asked for all others; spread: half the distance between quartiles. Proxies were "
                f"observed of all of them and of {FURTHER} further mixtures. Relative RMSE: over the "
                "standard deviation of what was asked for.",
            ),
        ),
        Table(
            f"What was learnt of each kind ({TRAINED[-1]} trainings observed)",
            (
                "study", "kind", "slope", "true slope", "bias (nats)", "true bias", "noise (nats)",
                "true noise",
            ),
            tuple((study, *row) for study, replay in replays.items() for row in _learnt(replay)),
            (
                "Slope: how much a difference between trainings moves the kind, as believed of the mixtures "
                "not observed; true: of a line through all trained mixtures. Bias: the kind less the "
                "training, over the mixtures not observed, as believed and as it was. Noise: of one "
                "experiment, as learnt; the true one is that of "
                "trainings with several seeds, proxies are deterministic. Medians.",
            ),
        ),
    ]  # fmt: skip


def _of_study(objective: str) -> _Replay:
    benchmark = study(proxies=True)
    replay, weights = benchmark.replay, benchmark.fresh(0)[objective]
    space = replay.space
    trained = space.rows(space.target)
    assert space.pool is not None
    further = np.random.default_rng(0).permutation(np.setdiff1d(space.rows(), trained))[:FURTHER]
    shares = space.pool[np.r_[trained, further]]
    proxies = {
        fidelity.kind: replay.answers(shares, place)
        for place, fidelity in enumerate(space.fidelities)
        if place != space.target
    }
    truth = replay.truth(space.pool[trained])
    return _Replay(space, replay.metrics, weights, shares, truth, proxies, _noise(weights))


def _noise(weights: FloatArray) -> float:
    """Of the mixtures that the study trained more than once."""
    runs = read_table([WORK], {}).observations.where(kind="trained")
    costs = np.stack([runs.metric(name) for name in study(True).replay.metrics], axis=1) @ weights
    groups: dict[bytes, list[float]] = defaultdict(list)
    for row, cost in zip(np.round(runs.shares, 9), costs.tolist(), strict=True):
        groups[row.tobytes()].append(cost)
    return _spread([np.array(group) for group in groups.values() if len(group) > 1])


def _spread(groups: Sequence[FloatArray]) -> float:
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return float(np.sqrt(squares / sum(len(group) - 1 for group in groups)))


def _of_searches(final_losses: dict[str, FloatArray], progress: Progress) -> _Replay:
    arm = ARMS[-1]
    config = StudyConfig.parse(settings(0, arm.method, arm.pooled), ROOT)
    with opened(config, folder_of(arm, 0), progress) as runner:
        menu = Menu.of(runner)
        target = menu.space.fidelities[menu.space.target]
        metrics = tuple(config.evaluation_sets)
        trained: dict[tuple[float, ...], FloatArray] = {}
        for seed in range(SEARCHES):
            with RunStore(folder_of(ARMS[0], seed).store) as store:
                for run in store.runs(role=SEARCH, kind="trained", tokens=int(target.tokens)):
                    row = run.mixture.reindexed(menu.space.sources).shares
                    trained[tuple(row.tolist())] = np.array([run.metrics[NATS + name] for name in metrics])
        rng = np.random.default_rng(0)
        further = [tuple(one.shares.tolist()) for one in menu.space.region.sample(FURTHER, rng)]
        shares = [*trained, *further]
        measuring = Measuring(menu)
        measuring.prepare()
        proxies = {
            fidelity.kind: measuring.measure([Experiment(row, place) for row in shares])
            for place, fidelity in enumerate(menu.space.fidelities)
            if not menu.trains(place)
        }
        weights = np.array(list(config.target_weights.values()))
        truth = np.stack(list(trained.values()))
        noise = _spread(list(final_losses.values()))
        return _Replay(menu.space, metrics, weights, np.array(shares), truth, proxies, noise)


def _errors(replay: _Replay, count: int, observed: tuple[str, ...]) -> list[Cell]:
    rows = []
    for split, (known, asked) in enumerate(replay.splits(count)):
        surrogate = replay.learnt(known, observed, split)
        mean, truth = replay.mean(surrogate, asked, replay.space.target), replay.truth[asked] @ replay.weights
        inside = np.abs(mean - truth) <= _Z90 * replay.deviation(surrogate, asked)
        error = np.sqrt(np.square(mean - truth).mean()) / truth.std()
        rows.append((error, spearmanr(mean, truth).statistic, inside.mean()))
    errors, ranks, inside = np.array(rows).T
    low, high = np.quantile(errors, [0.25, 0.75])
    found = (np.median(errors), (high - low) / 2, np.median(ranks), inside.mean())
    return [round(float(value), 3) for value in found]


def _learnt(replay: _Replay) -> list[tuple[Cell, ...]]:
    weights, target = replay.weights, replay.space.target
    observed = OBSERVED["and both"]
    truth = replay.truth @ weights
    found: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in ("trained", *observed)}
    for split, (known, asked) in enumerate(replay.splits(TRAINED[-1])):
        surrogate = replay.learnt(known, observed, split)
        expected = replay.mean(surrogate, asked, target)
        for kind, entries in found.items():
            place = surrogate.kinds.index(kind)
            fidelity = replay.fidelity(kind) if place else target
            slope = surrogate.slope(replay.shares[asked], fidelity, weights)
            bias = float((replay.mean(surrogate, asked, fidelity) - expected).mean())
            variance = surrogate.of_sum(weights, surrogate.noise(np.array([place]))[:, 0])
            really = replay.proxies[kind][asked] @ weights - truth[asked] if place else np.zeros(1)
            entries.append((slope, bias, float(really.mean()), float(np.sqrt(variance))))
    rows: list[tuple[Cell, ...]] = []
    for kind, entries in found.items():
        believed, bias, really, learnt = np.median(np.array(entries), axis=0).tolist()
        here = replay.proxies[kind][: len(truth)] @ weights if kind in replay.proxies else truth
        slope = float(np.polyfit(truth, here, 1)[0])
        true = 0.0 if kind in replay.proxies else replay.noise
        rows.append(
            (kind, *(round(v, 3) for v in (believed, slope, bias, really)), round(learnt, 4), round(true, 4))
        )
    return rows
