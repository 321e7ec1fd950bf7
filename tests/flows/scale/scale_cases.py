"""Decisions across scales written by hand, for rules that a real climb would meet by luck."""

from cuvee.decisions.interval import Interval
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.scale.result import Checked, PathPoint, RungRow
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import UNJUDGED

SOURCES = ("code", "law", "web", "wiki")
EVEN = (0.25, 0.25, 0.25, 0.25)
PROPORTIONAL = (0.1, 0.2, 0.3, 0.4)
FOUND = (0.6, 0.2, 0.1, 0.1)
AUTOSCALE, LAW = "AutoScale", "law effective_data_scaling"
PROVENANCE = Provenance("c0nf1g", "50urce5", "rec1pe", {"cuvee": "1"}, "cuvee scale study.yaml")

Shares = tuple[float, ...]


def checked(
    name: str,
    shares: Shares,
    loss: float,
    predicted: Interval,
    trainings: int = 2,
    document_error: float = 0.0,
) -> Checked:
    """A mixture whose trainings all ended alike."""
    faster = {} if name == "uniform" else {"uniform": Interval(1.25, 1.2, 1.3)}
    errors = {other: document_error for other in ("uniform", "proportional") if other != name}
    return Checked(
        name,
        shares,
        (loss,) * trainings,
        Interval(loss, loss, loss),
        predicted,
        faster,
        document_error=errors,
    )


def ladder(
    mixture: Shares = FOUND,
    trained: Shares = FOUND,
    losses: tuple[float, float, float] = (3.9, 4.0, 4.0),
    *,
    missed: float = 0.0,
    sure: float = 0.1,
    noise: float = 0.001,
    trainings: int = 2,
    replicates: int = 2,
    method: str = AUTOSCALE,
    law: Shares | None = None,
    width: float = 0.05,
    documents: int = 0,
    document_error: float = 0.0,
) -> ScaleDecision:
    """Trained above the rungs: a mixture found, equal and proportional shares, in the order of ``losses``.

    Args:
        mixture: what is recommended at the target run.
        trained: what AutoScale had where mixtures were trained.
        losses: of the mixture found, of equal, and of proportional shares.
        missed: by how much the law expected every loss too high.
        sure: half width of the law's intervals.
        noise: of a training, as a part of its loss.
        trainings: of each mixture; 0 where none was trained.
        replicates: of the base run of the rung.
        method: that is recommended.
        law: the shares of the law at the target run; left out, those recommended.
        width: of the intervals of shares.
        documents: of the evaluation with the fewest; 0 is not said.
        document_error: of every difference, by the choice of documents.
    """
    named = zip((AUTOSCALE, "uniform", "proportional"), (trained, EVEN, PROPORTIONAL), losses, strict=True)
    rows = [
        checked(
            name,
            shares,
            loss,
            Interval(loss + missed, loss + missed - sure, loss + missed + sure),
            trainings,
            document_error,
        )
        for name, shares, loss in named
    ]
    best = Interval(0.25, 0.2, 0.3)
    return ScaleDecision(
        study="by hand",
        created_from=PROVENANCE,
        headline=(),
        verdict=UNJUDGED,
        method=method,
        parameters=1_000_000,
        target_tokens=9_000_000,
        mixture=tuple(
            SourceShare(name, share, share - width, share + width, 10**6, 9 * share)
            for name, share in zip(SOURCES, mixture, strict=True)
        ),
        target=dict.fromkeys(SOURCES, 0.25),
        predicted=Interval(3.5),
        predicted_uniform=Interval(3.6),
        factors=(1 / 3, 3.0),
        noise=noise,
        rungs=(RungRow(100_000, 300_000, 9 + replicates, 1e12, 10.0, noise, 4.5, (best,) * 4, ()),),
        path=(
            PathPoint(AUTOSCALE, 100_000, 300_000, (best,) * 4),
            PathPoint(AUTOSCALE, 1_000_000, 9_000_000, _shares(mixture, width)),
            PathPoint(LAW, 100_000, 300_000, _shares(EVEN, width)),
            PathPoint(LAW, 1_000_000, 9_000_000, _shares(law or mixture, width)),
        ),
        checks=tuple(sorted(rows, key=lambda row: row.loss.mean)) if trainings else (),
        check_parameters=200_000 if trainings else 0,
        check_tokens=900_000 if trainings else 0,
        laws=(),
        flops=1e13,
        budget_flops=1e13,
        simulated_epoching=True,
        warnings=(),
        documents=documents,
    )


def _shares(mixture: Shares, width: float) -> tuple[Interval, ...]:
    return tuple(Interval(share, share - width, share + width) for share in mixture)
