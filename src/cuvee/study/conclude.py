"""From findings to a decision (floor 7): which proxy is believed, what it says, and how sure that is.

Uncertainty comes from two places that are added: what the calibration would be on other references
(half-samples of them; McCarthy 1969), and what the calibrated proxy still misses for each mixture
(its left-out error, less the noise of single trainings).
"""

import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from statistics import NormalDist

import numpy as np

import cuvee
from cuvee.files import write_json
from cuvee.hashing import digest
from cuvee.merging.geometry import Geometry, barrier, barrier_warnings
from cuvee.mixture.mixture import Mixture
from cuvee.study import decision as d
from cuvee.study.calibration import FittedCalibrator, fit
from cuvee.study.calibrators import baseline_calibrators, calibrators_for
from cuvee.study.evidence import Evidence
from cuvee.study.findings import Findings, Scored
from cuvee.study.honesty import HonestyReport, honesty_report
from cuvee.study.laboratory import Laboratory
from cuvee.study.ledger import ledger, proxy_over_direct
from cuvee.study.proxy_choice import BLEND, FEWEST_REFERENCES, Choice, FittedBlend, choose_proxy, fit_blend
from cuvee.study.scopes import replicate_noise
from cuvee.types import FloatArray

CONFIDENCE = 0.95
HALF_SAMPLES = 60
TIED_TOLD = 8
UNCHECKED = "ensemble"
"""The proxy that is reported, without being believed, where too few references were trained."""

_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_ADDED = 0.1


def conclude(findings: Findings, lab: Laboratory) -> d.Decision:
    """Choose a proxy on the references, pick a mixture, and say how sure each number is."""
    evidence = findings.evidence
    seed = lab.plan.config.seed
    enough = evidence is not None and evidence.references >= FEWEST_REFERENCES
    choice = choose_proxy(evidence, seed) if enough and evidence is not None else None
    report = honesty_report(evidence, seed) if evidence is not None and evidence.references > 1 else None
    judge = _Judge(findings, choice, lab.plan.config.target_weights, seed)
    pick = judge.pick
    added = [pick.blend(Mixture.vertex(pick.names, name), _ADDED) for name in pick.names]
    judge = judge.with_more(findings.score(added, ["candidate"] * len(added)))
    if choice is not None:
        write_json(lab.plan.folder.fit("calibration"), choice.to_json())
    return _decision(findings, lab, judge, choice, report)


@dataclass(frozen=True, eq=False)
class _Judge:
    """Predicted losses of all scored mixtures, with their uncertainty."""

    findings: Findings
    choice: Choice | None
    weights: dict[str, float]
    seed: int
    further: Scored | None = None

    def with_more(self, further: Scored) -> "_Judge":
        """The same with more mixtures behind those of the findings."""
        return _Judge(self.findings, self.choice, self.weights, self.seed, further)

    @cached_property
    def scored(self) -> Scored:
        first = self.findings.scored
        if self.further is None:
            return first
        proxies = {name: np.concatenate([first.proxies[name], self.further.proxies[name]]) for name in first.proxies}
        return Scored((*first.mixtures, *self.further.mixtures), proxies)

    @property
    def target(self) -> FloatArray:
        """Weight of each evaluation [E]."""
        return np.array(list(self.weights.values()))

    @cached_property
    def mean(self) -> FloatArray:
        """Predicted nats per token [M, E]."""
        return self._predict(self.choice.fitted) if self.choice else self.scored.proxies[UNCHECKED]

    @cached_property
    def spread(self) -> FloatArray:
        """Standard deviation of one training about ``mean`` [M, E]; NaN without references."""
        if self.choice is None:
            return np.full(self.mean.shape, np.nan)
        scored = self.scored
        return self.choice.fitted.predict(scored.shares, scored.proxies).spread

    def _predict(self, fitted: FittedCalibrator | FittedBlend) -> FloatArray:
        return fitted.predict(self.scored.shares, self.scored.proxies).mean

    @cached_property
    def half_samples(self) -> FloatArray:
        """Predictions [B, M, E] of the chosen calibrator learnt from random halves of the references."""
        evidence = self.findings.evidence
        if self.choice is None or evidence is None:
            return self.mean[None]
        rng = np.random.default_rng(self.seed)
        half = max(3, -(-evidence.references // 2))
        halves = [rng.permutation(evidence.references)[:half] for _ in range(HALF_SAMPLES)]
        return np.stack([self._predict(_refit(self.choice.name, _rows(evidence, rows))) for rows in halves])

    @cached_property
    def missed(self) -> FloatArray:
        """What the calibrated proxy misses of a mixture's expected loss [E + 1], the target last."""
        if self.choice is None or self.findings.evidence is None:
            return np.full(len(self.target) + 1, np.nan)
        errors = next(error for error in self.choice.errors if error.name == self.choice.name)
        evidence = self.findings.evidence
        rows = [*np.eye(len(self.target)), self.target]
        noise = np.array([replicate_noise(evidence, row).deviation for row in rows])
        squares = np.square([*errors.by_evaluation, errors.target])
        return np.sqrt(np.maximum(squares - np.nan_to_num(np.square(noise)), 0.1 * squares))

    def difference(self, row: int, base: int) -> tuple[FloatArray, FloatArray]:
        """Predicted loss of one mixture minus another's, and its standard error [E + 1], target last."""
        samples = self.half_samples[:, row] - self.half_samples[:, base]
        samples = np.concatenate([samples, (samples @ self.target)[:, None]], axis=1)
        value = self.mean[row] - self.mean[base]
        variance = samples.var(axis=0) + 2 * np.square(self.missed)
        return np.append(value, value @ self.target), np.sqrt(variance)

    @cached_property
    def order(self) -> list[int]:
        """Rows that the decision may be, lowest predicted target first."""
        allowed = np.flatnonzero(self.findings.candidates)
        losses = (self.mean @ self.target)[allowed]
        return [int(row) for row in allowed[np.argsort(losses, kind="stable")]]

    @property
    def pick(self) -> Mixture:
        return self.scored.mixtures[self.order[0]]

    def share_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Interval of every share [S]: what would be picked on other halves of the references."""
        allowed = np.flatnonzero(self.findings.candidates)
        losses = self.half_samples[:, allowed] @ self.target
        picks = self.scored.shares[allowed[np.argmin(losses, axis=1)]]
        low, high = np.quantile(picks, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        here = self.pick.shares
        return np.minimum(low, here), np.maximum(high, here)

    def loss(self, row: int, factors: FloatArray) -> list[d.Loss]:
        """Predictions of one mixture: every evaluation, the target last."""
        mean = np.append(self.mean[row], self.mean[row] @ self.target)
        spread = np.append(self.spread[row], np.nan)
        together = np.sqrt(np.square(self.spread[row] * self.target).sum())
        spread[-1] = max(together, self._target_error)
        bits = np.append(self.mean[row] * factors, (self.mean[row] * factors) @ self.target)
        return [
            d.Loss(float(m), float(m - _Z * s), float(m + _Z * s), float(b))
            for m, s, b in zip(mean, spread, bits, strict=True)
        ]

    @property
    def _target_error(self) -> float:
        return self.choice.errors[0].target if self.choice else float("nan")


def _rows(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """Some of the references, without replicates."""
    return Evidence(
        sources=evidence.sources,
        evaluations=evidence.evaluations,
        shares=evidence.shares[rows],
        truth=evidence.truth[rows],
        proxies={name: losses[rows] for name, losses in evidence.proxies.items()},
        baselines={name: losses[rows] for name, losses in evidence.baselines.items()},
        own=evidence.own,
        replicates=(),
        target=evidence.target,
    )


def _refit(name: str, evidence: Evidence) -> FittedCalibrator | FittedBlend:
    table = calibrators_for(tuple(evidence.proxies), tuple(evidence.baselines))
    if name != BLEND:
        return fit(table[name], evidence)
    baselines = baseline_calibrators(tuple(evidence.baselines))
    return fit_blend({key: row for key, row in table.items() if key not in baselines}, evidence)


def _decision(
    findings: Findings, lab: Laboratory, judge: _Judge, choice: Choice | None, report: HonestyReport | None
) -> d.Decision:
    plan, config = lab.plan, lab.plan.config
    scored, row = judge.scored, judge.order[0]
    pick, factors = judge.pick, findings.ensemble.documents.bits_per_byte_factor
    uniform = Mixture.uniform(pick.names)
    proportional = Mixture.proportional({name: findings.available[name] for name in pick.names})
    reference_row, reference_name = _best_reference(findings)
    believed = choice is not None and choice.believed
    why = _why(choice, findings.evidence)
    target_tokens = config.target_run.tokens or config.reference_training.tokens
    geometry = Geometry.of(findings.pool)
    return d.Decision(
        study=config.name,
        created_from=_provenance(lab),
        estimand=config.estimand,
        headline=_headline(judge, choice, report, scored.row(uniform), why),
        believed_proxy=choice.name if choice else UNCHECKED,
        believed=believed,
        why=why,
        target_scale=d.Scale(plan.parameters, target_tokens),
        proxy_scale=d.Scale(plan.parameters, config.reference_training.tokens),
        mixture=_mixture(findings, judge, target_tokens, config.target_run.tokens is not None, lab),
        target=config.target_weights,
        predictions=_predictions(findings, judge, row, uniform, proportional, reference_row, factors),
        best_reference=reference_name,
        tied=_tied(judge),
        honesty=_honesty(report),
        calibrators=tuple(
            d.CalibratorRow(one.name, one.target, one.target_spearman, one.name == choice.name)
            for one in (choice.errors if choice else ())
        ),
        ablation=_ablation(judge, uniform),
        best_subset=_best_subset(judge),
        best_weights=tuple(float(share) for share in findings.optimum.shares),
        interactions=_interactions(judge, uniform),
        geometry=d.PoolGeometry(
            geometry.names,
            tuple(float(norm) for norm in geometry.norms),
            tuple(tuple(float(value) for value in line) for line in geometry.cosines),
            tuple(geometry.warnings()),
        ),
        next_runs=_next_runs(findings, judge),
        references=_references(findings, choice),
        ledger=ledger(lab.store),
        proxy_over_direct=proxy_over_direct(lab.store, plan),
        warnings=_warnings(findings, judge, geometry),
        confidence=CONFIDENCE,
    )


def _headline(
    judge: _Judge, choice: Choice | None, report: HonestyReport | None, uniform: int, why: str
) -> tuple[str, ...]:
    shares = sorted(judge.pick.as_dict().items(), key=lambda item: -item[1])
    mixture = ", ".join(f"{share:.0%} {name}" for name, share in shares if share >= 0.005)
    difference, error = judge.difference(judge.order[0], uniform)
    low, high = difference[-1] - _Z * error[-1], difference[-1] + _Z * error[-1]
    against = f"{difference[-1]:+.3f} nats per token against equal shares"
    if np.isfinite(error[-1]):
        against += f" (95 % interval {low:+.3f} to {high:+.3f})"
    lines = [f"Train on {mixture}.", f"Predicted target loss {against}."]
    if choice is None or not choice.believed:
        lines = [why, *lines]
    else:
        lines.append(why)
    if report is not None and choice is not None:
        n = report.rows[0].n
        chosen = choice.errors[[one.name for one in choice.errors].index(choice.name)]
        lines.append(
            f"On {n} really trained mixtures, each predicted without itself, '{choice.name}' has rank correlation "
            f"{chosen.target_spearman:.2f} and is off by {chosen.target:.4f} nats on differences."
        )
    return tuple(lines)


def _why(choice: Choice | None, evidence: Evidence | None) -> str:
    if choice is None:
        count = evidence.references if evidence is not None else 0
        return (
            f"Nothing was checked: {count} reference mixtures were trained and {FEWEST_REFERENCES} are the least, "
            "so take the ranking below as a guess."
        )
    if choice.believed:
        return (
            f"The proxies beat every cheap baseline on the references (in {choice.probability:.0%} of resamples; "
            f"the best baseline is '{choice.best_baseline}')."
        )
    return (
        f"No proxy clearly beats the cheap baselines on the references (only in {choice.probability:.0%} of "
        f"resamples; the best baseline is '{choice.best_baseline}'): do not rely on this ranking, train more references."
    )


def _mixture(
    findings: Findings, judge: _Judge, target_tokens: int, capped: bool, lab: Laboratory
) -> tuple[d.SourceShare, ...]:
    low, high = judge.share_bounds()
    pick, region = judge.pick, findings.region
    cap = lab.plan.config.target_run.max_epochs if capped else float("nan")
    rows = []
    for position, name in enumerate(pick.names):
        available, share = findings.available[name], pick.share(name)
        epochs = share * target_tokens / available if available else 0.0
        at_cap = capped and share >= region.upper[position] - 1e-6 and region.upper[position] < 1
        rows.append(
            d.SourceShare(
                name, share, float(low[position]), float(high[position]), available, epochs, cap, bool(at_cap)
            )
        )
    return tuple(rows)


def _predictions(
    findings: Findings,
    judge: _Judge,
    row: int,
    uniform: Mixture,
    proportional: Mixture,
    reference: FloatArray | None,
    factors: FloatArray,
) -> tuple[d.Prediction, ...]:
    names = [*judge.weights, d.TARGET]
    picks = judge.loss(row, factors)
    even = judge.loss(judge.scored.row(uniform), factors)
    given = judge.loss(judge.scored.row(proportional), factors)
    measured = [d.Loss()] * len(names)
    if reference is not None:
        values = np.append(reference, reference @ judge.target)
        bits = np.append(reference * factors, (reference * factors) @ judge.target)
        measured = [d.Loss(mean=float(v), bits_per_byte=float(b)) for v, b in zip(values, bits, strict=True)]
    own = findings.evidence.own if findings.evidence is not None else np.full(len(names) - 1, -1)
    return tuple(
        d.Prediction(name, picks[i], even[i], given[i], measured[i], bool(i < len(own) and own[i] >= 0))
        for i, name in enumerate(names)
    )


def _best_reference(findings: Findings) -> tuple[FloatArray | None, str]:
    evidence = findings.evidence
    if evidence is None:
        return None, ""
    row = int(np.argmin(evidence.truth @ evidence.target))
    return evidence.truth[row], _label(Mixture(evidence.sources, evidence.shares[row]))


def _tied(judge: _Judge) -> tuple[d.TiedMixture, ...]:
    found = []
    for row in judge.order[1:]:
        value, error = judge.difference(row, judge.order[0])
        low, high = value[-1] - _Z * error[-1], value[-1] + _Z * error[-1]
        if not low <= 0:  # also where nothing is known of the error
            break
        mixture = judge.scored.mixtures[row]
        found.append(d.TiedMixture(_label(mixture), _tuple(mixture), float(value[-1]), float(low), float(high)))
        if len(found) == TIED_TOLD:
            break
    return tuple(found)


def _honesty(report: HonestyReport | None) -> tuple[d.HonestyRow, ...]:
    return tuple(
        d.HonestyRow(
            proxy=one.proxy,
            is_baseline=one.is_baseline,
            scope=one.scope,
            subset=one.subset,
            n=one.n,
            pearson=one.pearson.value,
            pearson_low=one.pearson.low,
            pearson_high=one.pearson.high,
            spearman=one.spearman.value,
            pairwise=one.pairs.value,
            partial=one.partial.value,
            slope=one.slope,
            slope_error=one.slope_error,
            regret=one.regret.value,
            relative_regret=one.relative_regret,
            beats_baselines=one.beats_baselines,
            ceiling=one.ceiling,
            noise=one.noise.deviation,
        )
        for one in (report.rows if report else ())
    )


def _ablation(judge: _Judge, uniform: Mixture) -> tuple[d.AblationEffect, ...]:
    """Drop and double from equal shares; add a tenth to the picked mixture."""
    names = uniform.names
    if len(names) < 2:
        return ()
    pick = judge.pick
    changes: list[tuple[str, d.Action, Mixture, Mixture]] = []
    for name in names:
        changes.append((name, "add", pick.blend(Mixture.vertex(names, name), _ADDED), pick))
        changes.append((name, "drop", uniform.scaled(name, 0.0), uniform))
        changes.append((name, "double", uniform.scaled(name, 2.0), uniform))
    known = {mixture.key: row for row, mixture in enumerate(judge.scored.mixtures)}
    effects = []
    for name, action, mixture, base in changes:
        if mixture.key not in known or base.key not in known:
            continue
        value, error = judge.difference(known[mixture.key], known[base.key])
        for evaluation, v, e in zip([*judge.weights, d.TARGET], value, error, strict=True):
            effects.append(
                d.AblationEffect(name, action, evaluation, float(v), float(v - _Z * e), float(v + _Z * e))
            )
    return tuple(effects)


def _best_subset(judge: _Judge) -> tuple[str, ...]:
    for row in judge.order:
        shares = judge.scored.mixtures[row].shares
        positive = shares[shares > 0]
        if np.allclose(positive, positive[0]):
            return judge.scored.mixtures[row].support
    return ()


def _interactions(judge: _Judge, uniform: Mixture) -> tuple[tuple[float, ...], ...]:
    """Effect on the target of dropping two sources, beyond the two single effects [S, S]."""
    names = uniform.names
    known = {mixture.key: row for row, mixture in enumerate(judge.scored.mixtures)}
    losses = judge.mean @ judge.target

    def loss(*dropped: str) -> float:
        mixture = uniform
        for name in dropped:
            mixture = mixture.scaled(name, 0.0)
        return float(losses[known[mixture.key]]) if mixture.key in known else float("nan")

    if len(names) < 3 or np.isnan(loss(names[0], names[1])):
        return ()
    base = loss()
    return tuple(
        tuple(0.0 if a == b else loss(a, b) - loss(a) - loss(b) + base for b in names) for a in names
    )


def _next_runs(findings: Findings, judge: _Judge) -> tuple[d.NextRun, ...]:
    runs = [d.NextRun(_label(judge.pick), _tuple(judge.pick), "the pick itself: what it really does")]
    shares = judge.scored.shares
    trained = findings.evidence.shares if findings.evidence is not None else shares[judge.order[:1]]
    rivals = np.array(judge.order[: max(2, len(judge.order) // 10)])
    distance = 0.5 * np.abs(shares[rivals][:, None] - trained[None]).sum(axis=-1).min(axis=1)
    far = judge.scored.mixtures[int(rivals[np.argmax(distance)])]
    runs.append(
        d.NextRun(_label(far), _tuple(far), "among the best candidates the farthest from all trained mixtures")
    )
    disputed = (judge.half_samples[:, rivals] @ judge.target).std(axis=0)
    if disputed.max() > 0:
        unsure = judge.scored.mixtures[int(rivals[np.argmax(disputed)])]
        runs.append(
            d.NextRun(_label(unsure), _tuple(unsure), "among the best candidates the one the references disagree on")
        )
    for name in _unseen(findings):
        alone = judge.pick.blend(Mixture.vertex(judge.pick.names, name), 1 / len(judge.pick.names))
        runs.append(d.NextRun(_label(alone), _tuple(alone), f"no trained mixture contains {name}"))
    return tuple({run.shares: run for run in reversed(runs)}.values())[::-1]


def _unseen(findings: Findings) -> list[str]:
    if findings.evidence is None:
        return []
    touched = findings.evidence.shares.max(axis=0) > 0
    return [name for name, seen in zip(findings.evidence.sources, touched, strict=True) if not seen]


def _references(findings: Findings, choice: Choice | None) -> tuple[d.Reference, ...]:
    evidence = findings.evidence
    if evidence is None:
        return ()
    truth = evidence.truth @ evidence.target
    tables = {name: losses @ evidence.target for name, losses in (evidence.proxies | evidence.baselines).items()}
    return tuple(
        d.Reference(
            _label(mixture := Mixture(evidence.sources, evidence.shares[row])),
            _tuple(mixture),
            float(truth[row]),
            {name: float(column[row]) for name, column in tables.items()},
        )
        for row in range(evidence.references)
    )


def _warnings(findings: Findings, judge: _Judge, geometry: Geometry) -> tuple[str, ...]:
    found = list(geometry.warnings())
    roster, names = findings.pool.roster, judge.pick.names
    weights = judge.scored.shares @ roster.spread(names)
    members = findings.ensemble.members().nats_per_token
    if "merge" in judge.scored.proxies:
        heights = barrier(judge.scored.proxies["merge"], members, weights)
        found += barrier_warnings(list(judge.weights), heights)
    if unseen := _unseen(findings):
        found.append(f"No trained mixture contains {', '.join(unseen)}: what is said of it rests on proxies alone.")
    if findings.evidence is not None:
        nearest = 0.5 * np.abs(findings.evidence.shares - judge.pick.shares).sum(axis=1).min()
        if nearest > 0.5:
            found.append(
                f"The picked mixture is far from every trained one (at least {nearest:.0%} of the tokens differ): "
                "this is an extrapolation; train it before relying on it."
            )
    return tuple(dict.fromkeys(found))


def _provenance(lab: Laboratory) -> d.Provenance:
    plan = lab.plan
    settings = {k: v for k, v in plan.config.as_json().items() if k not in ("sources", "evaluations", "workers")}
    packages = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pyarrow")
    versions = {"cuvee": cuvee.__version__, "python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a development tree without metadata
            continue
    return d.Provenance(
        config=digest(settings),
        sources=plan.material.content,
        recipe=plan.reference(Mixture.uniform(plan.config.pool_sources)).recipe.hash,
        versions=versions,
        command="cuvee run study.yaml",
    )


def _label(mixture: Mixture) -> str:
    parts = mixture.support
    shares = [mixture.share(name) for name in parts]
    if np.allclose(shares, shares[0]):
        return " + ".join(parts)
    return ", ".join(f"{share:.0%} {name}" for name, share in zip(parts, shares, strict=True) if share >= 0.005)


def _tuple(mixture: Mixture) -> tuple[float, ...]:
    return tuple(float(share) for share in mixture.shares)

