"""Weighted: members of a pool averaged by weights, as merges and ensembles are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from cuvee.evaluation.race import PART
from cuvee.evaluation.scores import Scores
from cuvee.merging.registry import NEEDS
from cuvee.merging.roster import Roster
from cuvee.mixture.mixture import Mixture
from cuvee.runs.key import RunKey
from cuvee.runs.run import Run
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.statistics_job import MADE_FROM
from cuvee.study.producers.rows import documents_of, metrics_of
from cuvee.types import FloatArray, Json


@dataclass(frozen=True, eq=False)
class Weighted:
    """One weight for each member, and what they stand for."""

    weights: FloatArray
    """[K]"""
    mixture: Mixture
    role: str
    """One of ``runs/roles.py``."""

    @classmethod
    def of(cls, weights: FloatArray, mixtures: Sequence[Mixture], roles: Sequence[str]) -> list["Weighted"]:
        """Requests of weights [M, K]."""
        return [cls(*one) for one in zip(weights, mixtures, roles, strict=True)]


def merging_key(plan: Plan) -> Json:
    """What the method of merging adds to the keys of what it makes."""
    method = plan.config.merging
    return method.key | ({"statistics": MADE_FROM} if method.method in NEEDS else {})


def weighted_key(kind: str, plan: Plan, roster: Roster, weights: FloatArray, partly: bool = False) -> str:
    """The key of an average of a pool; ``partly`` is measured on a part of the evaluations."""
    inputs = {"pool": roster.key, "weights": weights.tolist(), "evaluations": plan.evaluations}
    method = merging_key(plan) if kind == "merged" else {}
    return RunKey(kind, inputs | method | ({"part": PART} if partly else {})).digest


def weighted_run(
    kind: str, name: str, plan: Plan, key: str, request: Weighted, scores: Scores, flops: float
) -> Run:
    """An average that was scored [D]; those whose documents are quicker scored than kept have none."""
    return Run(
        key=key,
        kind=kind,
        role=request.role,
        estimand=plan.config.estimand,
        mixture=request.mixture,
        params=plan.parameters,
        tokens=plan.branch_tokens,
        seed=plan.config.seed,
        metrics=metrics_of(scores, plan.shapes),
        documents={} if kind == "ensembled" else documents_of(scores),
        flops=flops,
        details={"proxy": name} | (plan.config.merging.key if kind == "merged" else {}),
    )
