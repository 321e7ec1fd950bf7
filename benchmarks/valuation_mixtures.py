"""Do distances of mixtures say what shares do not? The law projektor on really trained references.

The references are those of ``make bench-ablation``: six domains in the pool, two outside. For every
evaluation: how OT alone orders references, with nothing fitted, and the error of laws on left-out references.
"""

from scipy.stats import spearmanr

from benchmarks.ablation_study import WORK, config
from benchmarks.harness import Cell, Table
from cuvee.flows.ablation.flow import investigate
from cuvee.laws.interface import LawData
from cuvee.laws.registry import law_named
from cuvee.laws.validation import validate
from cuvee.notebook.law_runs import over
from cuvee.progress import Progress
from cuvee.runs.roles import REFERENCE, REPLICATE
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import pool_documents, target_documents
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.valuation.mixture_transport import transport_planes

LAWS = ("linear", "effective_data", "projektor")


def mixtures_table(progress: Progress) -> Table:
    """One row an evaluation."""
    study = config()
    rows: list[tuple[Cell, ...]] = []
    with opened(study, StudyFolder(WORK), progress) as runner:
        investigate(runner)
        runs = over(
            runner.store.observations().where(kind="trained", role=(REFERENCE, REPLICATE)),
            study.pool_sources,
        )
        pool = pool_documents(runner.plan)
        substrates = at_hand(runner, pool)
        for evaluation in runner.plan.material.evaluations:
            target = target_documents(runner.plan.material, evaluation.name)
            planes = transport_planes(pool, target, evaluation.name, substrates, study.seed)
            data = LawData.of(runs, (f"nats_per_token/{evaluation.name}",), transport=planes)
            order = spearmanr(planes.over(data.sources).distances(data.shares), data.costs[:, 0]).statistic
            errors = [float(validate(law_named(name), data).held_out.r_squared()[0]) for name in LAWS]
            inside = "in the pool" if evaluation.name in study.pool_sources else "outside"
            rows.append(
                (evaluation.name, inside, len(target), round(float(order), 2), *(round(e, 2) for e in errors))
            )
    return Table(
        "Distances of mixtures against trained references",
        ("evaluation", "", "documents", "rank correlation of OT alone", *(f"R2 of {name}" for name in LAWS)),
        tuple(rows),
        (
            f"{len(runs)} trainings of {len(study.pool_sources)} sources; R2 on left-out runs. OT alone sees "
            "no training.",
        ),
    )
