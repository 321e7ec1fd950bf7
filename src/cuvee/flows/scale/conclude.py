"""From what a ladder has measured to the mixture at the target run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.decisions.scale import result as d
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.scale.verdict import law_missed
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED
from cuvee.errors import ConfigError
from cuvee.flows.scale.checks import checked_rows, law_checks, noise_above
from cuvee.flows.scale.findings import ScaleFindings, by_rung
from cuvee.flows.scale.law import LEVEL, ScaleLaw, law_data, scale_of
from cuvee.flows.scale.warnings import warnings
from cuvee.laws.interface import Scale
from cuvee.mixture.mixture import Mixture
from cuvee.runs.mixture_names import AUTOSCALE, PROPORTIONAL, TOP_RUNG, UNIFORM
from cuvee.runs.observations import Observations
from cuvee.study.evaluation_rows import fewest_documents
from cuvee.study.plan.planned import Planned
from cuvee.study.plan.seed_words import seed_in_words
from cuvee.study.producers.trained import trained_key
from cuvee.study.provenance import provenance
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

RESAMPLES = 24


def conclude(findings: ScaleFindings, runner: Runner) -> ScaleDecision:
    """Follow what did best above the rungs to the target run; AutoScale where nothing was trained there."""
    checks = checked_rows(findings, runner)
    every, observed, law = _every(findings), findings.observed, findings.law
    if findings.checks is not None:
        observed = observed + findings.checks.observed
        law = ScaleLaw.of(law_data(runner.plan, every, observed), runner.plan.config.target_weights)
    end = _LadderEnd(findings, runner, law)
    method = checks[0].name if checks else AUTOSCALE
    mixture, shares = end.mixture(method), end.shares(method, checks)
    predicted, even = law.target([mixture, findings.region.project(end.uniform.shares)], end.scale)
    check = findings.ladder.check
    decision = ScaleDecision(
        study=runner.plan.config.name,
        seed_model=seed_in_words(runner.plan),
        created_from=provenance(runner, every[0].run.recipe.hash, "cuvee scale study.yaml"),
        headline=(),
        verdict=UNJUDGED,
        method=method,
        parameters=round(float(end.scale.params)),
        target_tokens=end.tokens,
        mixture=_mixture(findings, runner, mixture, shares),
        target=runner.plan.config.target_weights,
        predicted=predicted,
        predicted_uniform=even,
        factors=runner.plan.config.scale.factors,
        noise=noise_above(findings),
        rungs=tuple(_rung(findings, runner, index) for index in range(len(findings.rungs))),
        path=tuple(_path(end)),
        checks=tuple(checks),
        check_parameters=runner.plan.sized(check.parameters).build().layout.size if check else 0,
        check_tokens=check.tokens if check else 0,
        laws=tuple(law_checks(findings, runner)),
        flops=_flops(observed),
        budget_flops=runner.plan.config.scale.budget_flops,
        simulated_epoching=runner.plan.config.target_run.simulated_epoching,
        warnings=tuple(warnings(findings, runner, law, method)),
        confidence=LEVEL,
        documents=fewest_documents(runner.documents, runner.plan.config.target_weights),
    )
    return decision.judged()


def _every(findings: ScaleFindings) -> list[Planned]:
    """All trainings, those of the rungs first."""
    found = [one for rung in findings.planned for one in rung]
    return found if findings.checks is None else [*found, *findings.checks.planned]


def _flops(observed: Observations) -> float:
    """Spent on all rows, as far as that is known."""
    return float(sum(np.nan_to_num(observed.flops).tolist()))


@dataclass(frozen=True, eq=False)
class _LadderEnd:
    """The target run, and what every method says of it."""

    findings: ScaleFindings
    runner: Runner
    law: ScaleLaw

    @property
    def tokens(self) -> int:
        return self.findings.ladder.target.tokens

    @property
    def scale(self) -> Scale:
        target = self.findings.ladder.target
        return scale_of(self.runner.plan, self.findings.available, target.parameters, target.tokens)

    @property
    def uniform(self) -> Mixture:
        return Mixture.uniform(self.findings.region.names)

    def mixture(self, method: str) -> Mixture:
        """Inside the limits."""
        optima, names = self.findings.optima, self.findings.region.names
        found: dict[str, Callable[[], Mixture]] = {
            AUTOSCALE: lambda: optima.at(self.tokens),
            TOP_RUNG: lambda: optima.at_rung(-1),
            self.law.name: lambda: self.law.optimum(self.findings.region, self.scale),
            UNIFORM: lambda: self.uniform,
            PROPORTIONAL: lambda: Mixture.proportional({n: self.findings.available[n] for n in names}),
        }
        return self.findings.region.project(found[method]().shares)

    def shares(self, method: str, checks: Sequence[d.Checked]) -> FloatArray:
        """Other draws of the same [K, S]; none where nothing was fitted, or where the law was wrong by far:
        its optima then agree with each other, not with the truth."""
        if method == AUTOSCALE:
            return self.findings.optima.drawn_at(self.tokens)
        if method == TOP_RUNG:
            return self.findings.optima.drawn_at_rung(-1)
        if method == self.law.name and not law_missed(checks):
            return self.resampled
        return np.zeros((0, len(self.findings.region.names)))

    @cached_property
    def resampled(self) -> FloatArray:
        """Optima of the law under runs drawn again [K, S]."""
        seed = self.runner.plan.config.seed
        return self.law.resampled(self.findings.region, self.scale, RESAMPLES, seed)


def _mixture(
    findings: ScaleFindings, runner: Runner, mixture: Mixture, drawn: FloatArray
) -> tuple[SourceShare, ...]:
    region, target = findings.region, findings.ladder.target.tokens
    bounds = _intervals(mixture.shares, drawn)
    return tuple(
        SourceShare.of(
            name,
            mixture.share(name),
            (bounds[place].low, bounds[place].high),
            unique_tokens=findings.available[name],
            target_tokens=target,
            epoch_cap=runner.plan.config.target_run.max_epochs,
            largest=region.upper[place],
        )
        for place, name in enumerate(mixture.names)
    )


def _rung(findings: ScaleFindings, runner: Runner, index: int) -> d.RungRow:
    one, planned, optima = findings.rungs[index], findings.planned[index], findings.optima
    runs = one.by_source()
    rows = []
    for name, law in optima.laws[index].items():
        changes = tuple(loss - 1.0 for loss in runs[name].losses[1:])
        if law is None:
            rows.append(d.SourceLaw(name, changes))
            continue
        errors = [float(error) for error in np.sqrt(np.diag(law.covariance))]
        rows.append(d.SourceLaw(name, changes, law.a, law.b, law.c, errors[0], errors[1], errors[2]))
    seconds = runner.store.seconds()
    spent = [seconds.get((trained_key(runner.plan, p.run), p.role), float("nan")) for p in planned]
    return d.RungRow(
        parameters=planned[0].run.model.build().layout.size,
        tokens=one.rung.tokens,
        runs=len(planned),
        flops=_flops(by_rung(findings.observed, findings.planned)[index]),
        seconds=float(np.sum(spent)),
        noise=optima.noise[index],
        base=float(one.bases.mean()),
        optimum=_intervals(optima.at_rung(index).shares, optima.drawn_at_rung(index)),
        laws=tuple(rows),
    )


def _path(end: _LadderEnd) -> list[d.PathPoint]:
    """The optima of AutoScale and of the law from the lowest rung to the target, with intervals there."""
    findings, runner, law, points = end.findings, end.runner, end.law, []
    scales = findings.ladder.scales
    for rung in scales:
        scale = scale_of(runner.plan, findings.available, rung.parameters, rung.tokens)
        size = round(float(scale.params))
        try:
            there = findings.optima.at(rung.tokens).shares
            shares = _intervals(there, findings.optima.drawn_at(rung.tokens))
            points.append(d.PathPoint(AUTOSCALE, size, rung.tokens, shares))
        except ConfigError:  # beyond the reach of the progression
            pass
        best = law.optimum(findings.region, scale).shares
        drawn = end.resampled if rung is scales[-1] else end.resampled[:0]
        points.append(d.PathPoint(law.name, size, rung.tokens, _intervals(best, drawn)))
    return sorted(points, key=lambda point: point.method)


def _intervals(shares: FloatArray, drawn: FloatArray) -> tuple[Interval, ...]:
    low = high = np.full(len(shares), np.nan)
    if len(drawn) > 1:
        low, high = np.quantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    return tuple(Interval(*map(float, row)) for row in zip(shares, low, high, strict=True))
