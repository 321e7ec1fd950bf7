"""Does averaging parameters predict training? (``make bench-ablation``)

Eight real domains, six in the pool, two outside. One seed model of 1.3M parameters, pools of branches at
three learning rates, and some thirty mixtures that are really trained at equal budget. All models lie
under ``.bench/ablation``: a stopped benchmark goes on where it was. About 75 minutes on two cores from
nothing, ten once the models are there.

Three questions, each with its baselines and its ceiling:

1. How far do the raw proxies agree with really trained runs?
2. How far do calibrated proxies, learnt from n references, agree with references they never saw?
3. What does the decision cost? The pick of 500 candidates is trained, for ten target weightings.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks import harness
from benchmarks.ablation_study import OUTSIDE, POOL, WORK, config
from benchmarks.harness import Cell, Table
from cuvee.cli.progress_display import progress_display
from cuvee.flows.ablation.conclude import conclude
from cuvee.flows.ablation.findings import Findings, References
from cuvee.flows.ablation.flow import investigate
from cuvee.flows.ablation.judge import Judge
from cuvee.honesty.agreement import honesty_report
from cuvee.honesty.calibration import FittedCalibrator, fit
from cuvee.honesty.calibrators import BASELINES, LEARNT, Calibrator, calibrators_for
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.proxy_choice import choose_proxy
from cuvee.mixture.mixture import Mixture
from cuvee.runs.roles import OTHER_RECIPE, PICK
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import ensemble_of, pool_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, IntArray

LEARNT_FROM = (6, 8, 12)
"""References that calibrators learn from in question 2."""
SPLITS = 12
"""Random choices of these references."""
DECIDED_FROM = 12
"""References that the decisions of question 3 rest on."""
WEIGHTINGS = 10
OTHER_RATES = (1e-3, 5e-4)
"""Learning rates of further pools; the main one is that of the references."""


def main() -> None:
    """Run everything and write the tables."""
    WORK.mkdir(parents=True, exist_ok=True)
    with progress_display() as progress, opened(config(), StudyFolder(WORK), progress) as runner:
        findings = investigate(runner)
        decision = conclude(findings, runner)
        assert findings.references is not None
        evidence = findings.references.evidence()
        tables = [
            _agreement(_with_other_pools(runner, evidence)),
            _calibrated(evidence),
            _decisions(runner, findings, findings.references),
            Table(
                "Cost of the proxies over the cost of training every mixture (FLOPs, without the seed)",
                ("mixtures", "ratio"),
                tuple((name, round(ratio, 4)) for name, ratio in decision.proxy_over_direct.items()),
            ),
        ]
    harness.write("ablation", "Does averaging parameters predict training?", tables)


def _with_other_pools(runner: Runner, evidence: Evidence) -> Evidence:
    """The evidence with merges and ensembles of pools that were trained at lower learning rates."""
    mixtures = [Mixture(evidence.sources, shares) for shares in evidence.shares]
    proxies = dict(evidence.proxies)
    for rate in OTHER_RATES:
        plan = replace(runner.plan, config=config(rate))
        other = replace(runner, plan=plan)
        runs = [
            Planned(run, OTHER_RECIPE, Mixture.vertex(evidence.sources, member.source))
            for member, run in plan.branches().items()
        ]
        other.make(Trainings(plan, f"training branches at {rate:g}"), runs)
        pool = pool_of(plan, 1)
        weights = np.stack([one.shares for one in mixtures]) @ pool.roster.spread(evidence.sources)
        requests = Weighted.of(weights, mixtures, [OTHER_RECIPE] * len(mixtures))
        merged = other.scores(Merges(plan, f"merge at {rate:g}", pool), requests)
        proxies[f"merge at {rate:g}"] = merged.nats_per_token
        ensemble = ensemble_of(plan, pool, other.executor, other.progress)
        ensembled = other.scores(Ensembles(plan, ensemble), requests)
        proxies[f"ensemble at {rate:g}"] = ensembled.nats_per_token
    merges = [losses for name, losses in proxies.items() if name.startswith("merge")]
    proxies["mean of merges"] = np.mean([_standardised(losses) for losses in merges], axis=0)
    return replace(evidence, proxies=proxies)


def _standardised(losses: FloatArray) -> FloatArray:
    return np.asarray((losses - losses.mean(axis=0)) / losses.std(axis=0))


def _agreement(evidence: Evidence) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for row in honesty_report(evidence, seed=0).rows:
        if row.scope not in ("macro in-pool", "macro out-of-pool", "target"):
            continue
        rows.append(
            (
                row.proxy + (" (baseline)" if row.is_baseline else ""),
                row.scope,
                row.subset,
                row.n,
                f"{row.pearson.value:+.2f} [{row.pearson.low:+.2f}, {row.pearson.high:+.2f}]",
                f"{row.spearman.value:+.2f}",
                f"{row.pairs.value:.2f}",
                f"{row.partial.value:+.2f}",
                f"{row.slope:.2f}",
                f"{row.regret.value:.4f}",
                f"{row.ceiling:.3f}",
                f"{row.noise.deviation:.4f}",
            )
        )
    return Table(
        "Raw proxies against really trained mixtures",
        (
            "proxy",
            "scope",
            "references",
            "n",
            "Pearson [95 %]",
            "Spearman",
            "pairs",
            "partial",
            "slope",
            "regret (nats)",
            "ceiling",
            "noise (nats)",
        ),
        tuple(rows),
        notes=(
            "`within size`: centred within groups of equally many sources in equal shares. "
            "`partial`: given log n_eff. Noise: standard deviation of one training about its mixture's mean.",
        ),
    )


@dataclass(frozen=True)
class _Split:
    """Agreement of one calibrator on the references that it did not see."""

    pearson: float
    spearman: float
    within: float
    outside: float
    error: float


def _calibrated(evidence: Evidence) -> Table:
    """Question 2: learn from n references, judge on all others, over random choices of the n."""
    table = calibrators_for(tuple(evidence.proxies)) | _others(tuple(evidence.proxies))
    methods: dict[str, Callable[[Evidence], FittedCalibrator]] = {
        name: partial(fit, row) for name, row in table.items()
    }
    rows: list[tuple[Cell, ...]] = []
    for count in LEARNT_FROM:
        results: dict[str, list[_Split]] = {name: [] for name in methods}
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(evidence.references)
            seen, unseen = order[:count], np.sort(order[count:])
            part = evidence.select(seen)
            for name, learn in methods.items():
                fitted = learn(part)
                losses = {**evidence.proxies, **evidence.baselines}
                predicted = fitted.predict(
                    evidence.shares[unseen], {key: value[unseen] for key, value in losses.items()}
                ).mean
                results[name].append(_judged(evidence, unseen, predicted))
        for name, splits in results.items():
            median = {key: _median(getattr(one, key) for one in splits) for key in vars(splits[0])}
            rows.append(
                (
                    count,
                    name + (" (baseline)" if name in BASELINES else ""),
                    f"{median['pearson']:+.2f}",
                    f"{median['spearman']:+.2f}",
                    f"{median['within']:+.2f}",
                    f"{median['outside']:+.2f}",
                    f"{median['error']:.4f}",
                )
            )
    return Table(
        f"Calibrated proxies on references they never saw (median of {SPLITS} random choices)",
        (
            "learnt from",
            "calibrator",
            "in-pool macro r",
            "in-pool macro Spearman",
            "within size r",
            "out-of-pool macro r",
            "error of differences (nats)",
        ),
        tuple(rows),
    )


def _others(proxies: Sequence[str]) -> dict[str, Calibrator]:
    """Rows that the product does not have, to see what its five leave out."""
    table = {}
    for name in proxies:
        table[f"{name}, affine"] = Calibrator((name,))
        table[f"{name}, affine + own curve"] = Calibrator((name,), ("own curve",))
        table[f"{name}, affine + own curve + root shares"] = Calibrator((name,), LEARNT)
    return table


def _median(values: Iterable[float]) -> float:
    return float(np.nanmedian(list(values)))


def _judged(evidence: Evidence, rows: IntArray, predicted: FloatArray) -> _Split:
    truth, shares = evidence.truth[rows], evidence.shares[rows]
    inside, outside = evidence.in_pool, ~evidence.in_pool
    ours, real = predicted[:, inside].mean(axis=1), truth[:, inside].mean(axis=1)
    sizes = (shares > 0).sum(axis=1)
    equal = np.array([np.allclose(row[row > 0], row[row > 0][0]) for row in shares])
    same = equal & (sizes == np.bincount(sizes[equal]).argmax())
    missed = (predicted - truth) @ evidence.target
    return _Split(
        pearson=_correlation(ours, real),
        spearman=_correlation(_ranks(ours), _ranks(real)),
        within=_correlation(ours[same], real[same]),
        outside=_correlation(predicted[:, outside].mean(axis=1), truth[:, outside].mean(axis=1)),
        error=float(missed.std()),
    )


def _correlation(left: FloatArray, right: FloatArray) -> float:
    if len(left) < 4 or left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _weightings(evaluations: Sequence[str]) -> list[dict[str, float]]:
    """All evaluations alike, the outside ones alone, and random weights."""
    rng = np.random.default_rng(0)
    count = len(evaluations)
    fixed = [np.full(count, 1 / count), np.array([name in OUTSIDE for name in evaluations]) / len(OUTSIDE)]
    drawn = rng.dirichlet(np.ones(count), size=WEIGHTINGS - len(fixed))
    return [dict(zip(evaluations, map(float, row), strict=True)) for row in [*fixed, *drawn]]


def _decisions(runner: Runner, findings: Findings, references: References) -> Table:
    """Question 3: choose with few references, train the pick, compare with everything that was trained."""
    evidence = references.evidence()
    uniform = Mixture.uniform(POOL)
    # Spread over all kinds of mixture, as the first of a shuffled design would be.
    chosen = np.sort(np.random.default_rng(1).permutation(evidence.references)[:DECIDED_FROM])
    picks: list[tuple[dict[str, float], str, bool, Mixture, float]] = []
    for weights in _weightings(evidence.evaluations):
        target = np.array(list(weights.values()))
        few = references.select(chosen.tolist(), target)
        choice = choose_proxy(few.evidence(), seed=0)
        judge = Judge(replace(findings, references=few), few.evidence(), choice, weights, seed=0)
        scored = findings.score([judge.pick], ["candidate"], np.ones(1, dtype=bool))
        predicted = float(judge.with_more(scored).mean[-1] @ target) + judge.optimism
        picks.append((weights, choice.name, choice.believed, judge.pick, predicted))
    planned = [Planned(runner.plan.reference(uniform), PICK, uniform)]
    planned += [Planned(runner.plan.reference(pick), PICK, pick) for *_, pick, _ in picks]
    measured = runner.scores(Trainings(runner.plan, "training the picks"), planned).nats_per_token
    trained = np.concatenate([evidence.truth, measured])
    rows: list[tuple[Cell, ...]] = []
    for (weights, name, believed, pick, predicted), losses in zip(picks, measured[1:], strict=True):
        target = np.array(list(weights.values()))
        truth, before = float(losses @ target), evidence.truth @ target
        regret = truth - float((trained @ target).min())
        spread = float(before.max() - before.min())
        limit = max(0.01, 0.1 * spread)
        rows.append(
            (
                ", ".join(f"{key} {value:.2f}" for key, value in weights.items() if value >= 0.01),
                ", ".join(f"{pick.share(key):.0%} {key}" for key in pick.support),
                name,
                "yes" if believed else "no",
                f"{predicted:.4f}",
                f"{truth:.4f}",
                f"{float(measured[0] @ target):.4f}",
                f"{float(before.min()):.4f}",
                f"{regret:.4f}",
                f"{limit:.4f}",
                "yes" if regret <= limit else "no",
                "yes" if truth < float(measured[0] @ target) else "no",
            )
        )
    good, better = (sum(row[column] == "yes" for row in rows) for column in (10, 11))
    return Table(
        f"Decisions among {sum(findings.candidates)} candidates, from {DECIDED_FROM} references",
        (
            "target weights",
            "pick",
            "proxy",
            "believed",
            "predicted",
            "trained",
            "uniform",
            "best reference",
            "regret",
            "limit",
            "within limit",
            "better than uniform",
        ),
        tuple(rows),
        notes=(
            f"{good} of {len(rows)} within the limit (the larger of 0.01 nats and a tenth of the spread of "
            f"the references), {better} of {len(rows)} better than uniform. Regret is against the best of "
            "all trained mixtures, the picks of other weightings included.",
        ),
    )


if __name__ == "__main__":
    main()
