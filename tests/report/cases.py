"""Decisions to show: a small one written out, a large one made by formula, and a hostile one."""

import dataclasses
import math
from operator import mul
from random import Random

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.order import MixtureOrder, OrderRow
from cuvee.decisions.ablation.result import (
    ALL_REFERENCES,
    TARGET,
    AblationEffect,
    CalibratorRow,
    Gain,
    HonestyRow,
    LedgerRow,
    Loss,
    NextRun,
    PoolGeometry,
    PredictedLosses,
    ProxyOptimum,
    Reference,
    RunScale,
    TiedMixture,
)
from cuvee.decisions.ablation.tasks import TaskRow
from cuvee.decisions.check import EQUAL, PICK, PROPORTIONAL, Arm, BaselineComparison, TrainingCheck
from cuvee.decisions.evaluations import EvaluationRow
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare

PROVENANCE = Provenance(
    config="8f14e45fceea167a",
    sources="c9f0f895fb98ab91",
    recipe="45c48cce2e2d7fbd",
    versions={"cuvee": "0.1.0", "python": "3.11.9", "torch": "2.6.0"},
    command="cuvee ablate study.yaml --seed 17",
)


def small() -> Decision:
    """Two sources, nothing believed, little measured."""
    return Decision(
        study="two sources",
        created_from=PROVENANCE,
        estimand="equal_budget",
        headline=(
            "The proxies do not beat the baselines here: choose by the trained runs.",
            "Of the four trained mixtures, three quarters prose is the best.",
        ),
        believed_proxy="merge",
        believed=False,
        why="Its correlation with four trained mixtures has an interval that holds zero.",
        target_scale=RunScale(1_000_000, 20_000_000),
        proxy_scale=RunScale(1_000_000, 1_000_000),
        mixture=(
            SourceShare("prose", 0.75, 0.55, 0.9, 4_000_000, 3.75, 4.0, False),
            SourceShare("code", 0.25, 0.1, 0.45, 1_250_000, 4.0, 4.0, True),
        ),
        target={"prose": 0.5, "manual": 0.5},
        predictions=(
            PredictedLosses(TARGET, Loss(4.1, 4.05, 4.16, 1.31), Loss(4.2), Loss(4.15), Loss(4.12)),
            PredictedLosses(
                "prose", Loss(4.0, 3.9, 4.1, 1.28), Loss(4.15), Loss(4.0), Loss(4.02), in_pool=True
            ),
            PredictedLosses("manual", Loss(4.2, 4.1, 4.3), Loss(4.25), Loss(4.3), Loss(4.22)),
        ),
        best_reference="3:1",
        honesty=(
            HonestyRow("own share", True, TARGET, ALL_REFERENCES, 4, 0.8, 0.1, 0.97, 0.8, 0.83),
            HonestyRow(
                "merge",
                False,
                TARGET,
                ALL_REFERENCES,
                4,
                0.55,
                -0.3,
                0.92,
                0.6,
                0.67,
                regret=0.01,
                noise=0.004,
            ),
        ),
        references=tuple(
            Reference(f"{k}:1", (k / (k + 1), 1 / (k + 1)), truth, {"merge": merge, "own share": own})
            for k, truth, merge, own in (
                (1, 4.20, 4.19, 4.18),
                (2, 4.16, 4.21, 4.15),
                (3, 4.12, 4.15, 4.12),
                (4, 4.14, 4.13, 4.16),
            )
        ),
        ledger=(
            LedgerRow("pool", "trained", 2, 1.2e13, 95.0),
            LedgerRow("references", "trained", 4, 2.4e13, 190.0),
        ),
        proxy_over_direct={"200 merges against 200 trained mixtures": 0.013},
        warnings=("Four references are few: agreement is uncertain.",),
    )


def choosing(shares: dict[str, float], tokens: dict[str, int]) -> Decision:
    """The small one with a mixture of these sources, of which nothing else is known."""
    entries = tuple(
        SourceShare(name, share, math.nan, math.nan, tokens.get(name, 0), math.nan)
        for name, share in shares.items()
    )
    return dataclasses.replace(small(), mixture=entries, references=())


def once_each() -> TrainingCheck:
    """One fresh training of each mixture: neither noise nor worth in tokens are known."""
    arms = (Arm(PICK, (0.75, 0.25), (4.05,)), Arm(EQUAL, (0.5, 0.5), (4.1,)))
    return TrainingCheck(1_000_000, 2_000_000, arms, (BaselineComparison(EQUAL, -0.05),), math.nan, 20, 0.95)


def checked() -> Decision:
    """The small one after fresh trainings, two of each mixture."""
    arms = (
        Arm(PICK, (0.75, 0.25), (4.05, 4.03)),
        Arm(EQUAL, (0.5, 0.5), (4.1, 4.1)),
        Arm(PROPORTIONAL, (0.76, 0.24), (4.12, 4.1)),
    )
    compared = (
        BaselineComparison(EQUAL, -0.06, -0.09, -0.03, 0.008, 0.01, 0.8),
        BaselineComparison(PROPORTIONAL, -0.07, -0.1, -0.04, 0.008, 0.01, math.nan),
    )
    check = TrainingCheck(1_000_000, 2_000_000, arms, compared, 0.012, 20, 0.95)
    return dataclasses.replace(
        small(),
        check=check,
        verdict=check.verdict,
        gains=(Gain(EQUAL, -0.04, -0.1, 0.02), Gain(PROPORTIONAL, -0.05, math.nan, math.nan)),
        optimism=0.003,
        evaluations=(
            EvaluationRow("prose", 40, 16_000, 40, 15_900, 0.5),
            EvaluationRow("manual", 20, 8_000, 20, 8_000, 0.5),
        ),
    )


def large(sources: int = 24, evaluations: int = 30, members: int = 24, references: int = 40) -> Decision:
    """Every part filled, at the size that the page must still carry."""
    rng = Random(5)  # its sequence is the same in every Python
    names = tuple(f"{kind}-{i}" for i in range(1, 9) for kind in ("web", "code", "papers"))[:sources]
    tests = tuple(f"evaluation of subject {i}" for i in range(evaluations))
    weights = _mixture(rng, sources)
    tokens = [rng.randrange(10**8, 10**10) for _ in names]
    proxies = ("merge + own share", "merge", "ensemble")
    baselines = ("weighted single-unit losses", "best single unit", "own share", "-log n_eff")
    truth = [2.9 + 0.05 * rng.gauss(0, 1) for _ in range(references)]
    noise = dict(zip((*proxies, *baselines), (0.012, 0.03, 0.035, 0.05, 0.07, 0.06, 0.2), strict=True))
    scores = {name: [t + size * rng.gauss(0, 1) for t in truth] for name, size in noise.items()}
    scores["-log n_eff"] = [4 * score - 13 for score in scores["-log n_eff"]]
    deltas = [[0.8 + rng.gauss(0, 1) for _ in range(40)] for _ in range(members)]
    norms = tuple(math.hypot(*delta) for delta in deltas)
    half = [[0.004 * rng.gauss(0, 1) for _ in names] for _ in names]
    return Decision(
        study="bilingual 1B",
        created_from=PROVENANCE,
        estimand="equal_budget",
        headline=(
            "Take more papers and less web than the tokens at hand suggest: the target falls by 0.041 nats.",
            "Two sources hit their epoch caps; more of their text would help more than any reweighting.",
            "Nine mixtures are statistically tied with the pick.",
        ),
        believed_proxy="merge + own share",
        believed=True,
        why="r = 0.96 [0.91, 0.98] with 40 trained mixtures; the best baseline has 0.71.",
        target_scale=RunScale(1_300_000_000, 26_000_000_000),
        proxy_scale=RunScale(70_000_000, 1_400_000_000),
        mixture=tuple(
            SourceShare(name, w, max(0.0, w - 0.02), w + 0.03, t, w * 2.6e10 / t, 4.0, i in (2, 7))
            for i, (name, w, t) in enumerate(zip(names, weights, tokens, strict=True))
        ),
        target=dict.fromkeys(tests, 1 / evaluations),
        predictions=tuple(
            PredictedLosses(
                name,
                Loss(m, m - 0.02, m + 0.02, m / 3.1),
                Loss(m + 0.06, m + 0.03, m + 0.09, (m + 0.06) / 3.1),
                Loss(m + 0.04, m + 0.02, m + 0.06, (m + 0.04) / 3.1),
                Loss(m + 0.01, math.nan, math.nan, (m + 0.01) / 3.1),
                in_pool=i % 3 == 0,
            )
            for i, (name, m) in enumerate((name, 2.7 + rng.random()) for name in (TARGET, *tests))
        ),
        best_reference="dirichlet 17",
        tied=tuple(
            TiedMixture(
                f"candidate {i}",
                _mixture(rng, sources),
                0.001 * (i + 1),
                -0.002 * i,
                0.004 + 0.001 * i,
            )
            for i in range(9)
        ),
        honesty=tuple(
            HonestyRow(
                proxy,
                proxy in baselines,
                scope,
                subset,
                references,
                r,
                r - 0.1,
                min(1.0, r + 0.05),
                r - 0.02,
                (r + 1) / 2,
                r - 0.1,
                1.05 - 0.1 * i,
                0.04,
                0.002 * i,
                0.1 * i,
                math.nan if proxy in baselines else 0.99 - 0.2 * i,
                0.98,
                0.0031,
            )
            for i, proxy in enumerate((*proxies, *baselines))
            for scope in (TARGET, "macro out-of-pool", *tests)
            for subset in ((ALL_REFERENCES, "within size") if scope not in tests else (ALL_REFERENCES,))
            for r in (0.96 - 0.09 * i + 0.02 * rng.random(),)
        ),
        calibrators=(
            CalibratorRow("none", 0.051, 0.88),
            CalibratorRow("affine", 0.021, 0.88),
            CalibratorRow("affine + own share", 0.012, 0.95, True),
        ),
        ablation=tuple(
            AblationEffect(name, action, test, e, e - 0.012, e + 0.012)
            for action in ("drop", "add", "double")
            for name in names
            for test, e in ((test, 0.02 * rng.gauss(0, 1)) for test in (TARGET, *tests))
        ),
        best_subset=names[:5],
        best_weights=weights[::-1],
        optima=(
            ProxyOptimum("merge", weights[1:] + weights[:1], 2.9134, 2.9151, 0.31, 0.0007, (2.9134, 2.9138)),
            ProxyOptimum("ensemble", weights[::-1], 2.9061, 2.9102, 0.62, 0.00001),
        ),
        interactions=tuple(tuple(half[a][b] + half[b][a] for b in range(sources)) for a in range(sources)),
        geometry=PoolGeometry(
            tuple(f"{names[i % sources]}/unit-{i // sources}" for i in range(members)),
            norms,
            tuple(
                tuple(sum(map(mul, a, b)) / (m * n) for b, n in zip(deltas, norms, strict=True))
                for a, m in zip(deltas, norms, strict=True)
            ),
            ("web-3 moved 2.4 times as far as the median: train it for fewer steps or scale its delta.",),
        ),
        next_runs=(
            NextRun("the pick", weights, "It has never been trained; this settles the claim itself."),
            NextRun("no web-4", (*weights[1:], weights[0]), "Merge and ensemble disagree most here."),
        ),
        references=tuple(
            Reference(
                f"dirichlet {i}",
                _mixture(rng, sources),
                truth[i],
                {name: score[i] for name, score in scores.items()},
            )
            for i in range(references)
        ),
        order=MixtureOrder(
            8,
            0.0031,
            (
                OrderRow("seed", math.nan, math.nan, "survives", 28, 21, 21, 1.0, 1.0, 0.95, 0.83, 0.99),
                OrderRow("learning rate", 5e-4, 0.25, "survives", 28, 18, 17, 0.86, 1.0, 0.9, 0.74, 0.96),
                OrderRow("tokens", 2.8e9, 2.0, "does not survive", 28, 14, 9, 0.5, 0.79, 0.41, 0.1, 0.66),
                OrderRow("parameters", 3.5e7, 0.497, "cannot be said", 28, 2, 2, 1.0, 1.0, 0.5, -0.1, 0.8),
            ),
        ),
        tasks=(
            TaskRow(
                task="quiz",
                metric="bits_per_byte",
                better="lower",
                questions=500,
                error=0.02,
                signal=0.04,
                noise=0.01,
                models=24,
                merges=0.91,
                ensembles=0.88,
                values=((PICK, 1.21), (EQUAL, 1.25)),
            ),
            TaskRow(
                "quiz",
                "acc",
                "higher",
                500,
                0.021,
                0.004,
                0.012,
                24,
                0.25,
                values=((PICK, 0.31), (EQUAL, 0.3)),
            ),
        ),
        ledger=(
            LedgerRow("seed", "trained", 1, 2.1e17, 5400.0),
            LedgerRow("pool", "trained", members, 5.9e17, 172_800.0),
            LedgerRow("merges", "merged", 1200, 8.2e15, 900.0),
            LedgerRow("ensemble", "ensembled", 1200, 1.1e15, 61.0),
            LedgerRow("references", "trained", references, 1.0e18, 200_000.0),
        ),
        proxy_over_direct={"1,200 merges against 1,200 trained mixtures": 0.0072, "per mixture": 0.00019},
        warnings=("13-token overlap of papers-2 with evaluation of subject 4 is 3.1%.",),
    )


def hostile() -> Decision:
    """Markup and table syntax in every name, and NaN in every number that may be missing."""
    evil = '<script>alert("x")</script>'
    nan = math.nan
    return dataclasses.replace(
        small(),
        study=evil + "&'",
        headline=(evil, "a | b *c* [d](e)"),
        believed_proxy=evil,
        why=evil,
        created_from=Provenance(evil, evil, evil, {evil: evil}, "cuvee ablate '```' </style>" + evil),
        mixture=(
            SourceShare(evil, 0.75, nan, nan, 0, nan),
            SourceShare("a|b\n`c` http://example.org/x", 0.25, 0.1, math.inf, 0, math.inf, nan, True),
        ),
        target={evil: 1.0},
        predictions=(PredictedLosses(TARGET, Loss()), PredictedLosses(evil, Loss(nan, nan, nan), Loss(3.0))),
        best_reference=evil,
        tied=(TiedMixture(evil, (1.0, 0.0), nan),),
        honesty=(
            HonestyRow(evil, False, TARGET, ALL_REFERENCES, 0),
            HonestyRow(evil, True, evil, ALL_REFERENCES, 0),
            HonestyRow("one", True, evil, evil, 1, math.inf, -math.inf, nan),
        ),
        calibrators=(CalibratorRow(evil, nan, nan, True),),
        ablation=(AblationEffect(evil, "drop", evil, nan), AblationEffect(evil, "add", TARGET, 0.0)),
        optima=(ProxyOptimum(evil, (0.5, 0.5), nan, math.inf, nan, nan, (nan,)),),
        merging=evil,
        interactions=((nan, nan), (nan, nan)),
        geometry=PoolGeometry((evil,), (nan,), ((nan,),), (evil,)),
        next_runs=(NextRun(evil, (0.5, 0.5), evil),),
        references=(Reference(evil, (0.5, 0.5), 4.0, {evil: 4.0, "broken": nan}),),
        ledger=(LedgerRow(evil, evil, 0, nan),),
        proxy_over_direct={evil: nan},
        warnings=(evil,),
    )


def _mixture(rng: Random, sources: int) -> tuple[float, ...]:
    """A draw from a sparse Dirichlet distribution."""
    weights = [rng.gammavariate(0.7, 1.0) for _ in range(sources)]
    return tuple(weight / sum(weights) for weight in weights)
