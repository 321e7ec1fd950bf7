"""Does the order of mixtures survive, and which proxies keep it? (``make bench-order``)

Sixteen mixtures of six real domains are trained at two sizes, two learning rates and two seeds: eight cells.
A user decides at one of them; the table says how far the order there is that of every other. Beside them
stand merges and ensembles of pools whose branches were trained at the usual rate, at a quarter of it, and at
tiny rates, which are published to rank recipes of larger models best (arXiv 2512.24503). Everything lies
under ``.bench/order``: a stopped benchmark goes on where it was. Estimated: 20 to 25 minutes on two free
cores that multiply bfloat16, 40 on others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import harness
from benchmarks.harness import Table
from benchmarks.order_study import WORK, OrderCell, OrderStudy, float32_file
from cuvee.cli.progress_display import progress_display
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.scoring import score_merges
from cuvee.execution.interface import Executor
from cuvee.files import write_json
from cuvee.honesty.statistics import rank_correlation
from cuvee.honesty.trainings import pooled_noise
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.progress import Progress
from cuvee.quantities import quantity
from cuvee.runs.roles import OTHER_RECIPE, OTHER_SEED_MODEL
from cuvee.study.opening import opened
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import ensemble_of, planned_branches, planned_seed, pool_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.trained import Trainings
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

QUESTION = (
    "Does the order of sixteen mixtures survive another size, learning rate and seed, and which proxies keep "
    "it? Spearman's rank correlation of the mean loss on six domains."
)


def main() -> None:
    """Run everything and write the table."""
    WORK.mkdir(parents=True, exist_ok=True)
    with progress_display() as progress:
        harness.write("order", QUESTION, [order_table(OrderStudy.whole(), progress)])


def order_table(study: OrderStudy, progress: Progress, executor: Executor | None = None) -> Table:
    """Every cell and every proxy against every cell."""
    with opened(study.config, study.folder, progress, executor) as runner:
        return _Bench(study, runner).table()


@dataclass(frozen=True, eq=False)
class _Bench:
    study: OrderStudy
    runner: Runner

    def table(self) -> Table:
        self._train()
        cells = {self._name(cell): self._cell_losses(cell) for cell in self.study.cells}
        rows = cells | {
            name: losses for rate in self.study.branch_rates for name, losses in self._pool(rate).items()
        }
        return Table(
            f"Rank correlations of {len(self.study.mixtures)} mixtures",
            ("trained, or what a proxy says", *cells, "mean of the others"),
            tuple((name, *correlations_with(losses, cells, name)) for name, losses in rows.items()),
            self._notes(list(cells.values())),
        )

    def _train(self) -> None:
        """Seed models, then everything that starts from them."""
        plan, runner = self.runner.plan, self.runner
        others = [cell.plan(plan).seed for cell in self.study.cells if cell.parameters != 1.0]
        seeds = [Planned(run, OTHER_SEED_MODEL, run.mixture) for run in others if run is not None]
        distinct = {one.run.key: one for one in (*planned_seed(plan), *seeds)}
        runner.make(Trainings(plan, "training seed models"), list(distinct.values()))
        runs = [run for cell in self.study.cells for run in self._runs(cell)]
        branches = [one for rate in self.study.branch_rates for one in planned_branches(self._at(rate))]
        runner.make(Trainings(plan, "training mixtures and branches"), [*runs, *branches])

    def _runs(self, cell: OrderCell) -> list[Planned]:
        plan = cell.plan(self.runner.plan)
        return [Planned(plan.reference(one, cell.replica), OTHER_RECIPE, one) for one in self.study.mixtures]

    def _cell_losses(self, cell: OrderCell) -> FloatArray:
        """[M] of the target."""
        trainings = Trainings(self.runner.plan, "training mixtures and branches")
        return self._target(self.runner.scores(trainings, self._runs(cell)).nats_per_token)

    def _target(self, losses: FloatArray) -> FloatArray:
        weights = self.runner.documents.target(self.study.config.target_weights)
        return np.asarray(losses @ weights)

    def _name(self, cell: OrderCell) -> str:
        size = quantity(cell.plan(self.runner.plan).parameters)
        return f"{size}, {cell.learning_rate:g}, seed {1 + cell.replica % self.study.seeds}"

    def _at(self, rate: float) -> Plan:
        """The study with branches at another learning rate."""
        plan = self.runner.plan
        training = plan.config.branch_training.model_copy(update={"learning_rate": rate})
        return replace(plan, config=plan.config.model_copy(update={"branch_training": training}))

    def _pool(self, rate: float) -> dict[str, FloatArray]:
        """What a pool says of the mixtures [M], as the study computes and in float32."""
        plan = self._at(rate)
        runner, pool = replace(self.runner, plan=plan), pool_of(plan, 1)
        ensemble = ensemble_of(plan, pool, runner.executor, runner.progress)
        weights = self._weights(pool)
        requests = Weighted.of(weights, self.study.mixtures, [OTHER_RECIPE] * len(weights))
        merged = runner.scores(Merges(plan, f"merge at {rate:g}", pool), requests)
        found = {"merge": merged, "ensemble": runner.scores(Ensembles(plan, ensemble), requests)}
        said = {name: scores.nats_per_token for name, scores in found.items()}
        shares = np.stack([one.shares for one in self.study.mixtures])
        said["mean of the branches' losses"] = shares @ ensemble.members().nats_per_token
        if plan.model.dtype != "float32":
            said |= {f"{name}, float32": losses for name, losses in self._in_float32(plan, pool).items()}
        return {f"{name}, pool at {rate:g}": self._target(losses) for name, losses in said.items()}

    def _weights(self, pool: FlatPool) -> FloatArray:
        shares = np.stack([one.shares for one in self.study.mixtures])
        return np.asarray(shares @ pool.roster.spread(self.study.config.pool_sources))

    def _in_float32(self, plan: Plan, pool: FlatPool) -> dict[str, FloatArray]:
        """Losses [M, E] without what bfloat16 rounds away; in this process, kept in a file."""
        file = float32_file(self.study.folder, pool.roster.key)
        if not file.is_file():
            self.runner.progress.stage("scoring in float32", len(self.study.mixtures), "mixtures")
            model = replace(plan.model, dtype="float32", compiled=False)
            evaluator = replace(plan.bench, model=model).evaluator()
            weights, merger = self._weights(pool), MERGERS[plan.config.merging.method]
            merges = score_merges(evaluator, pool, merger, weights, lambda: self.runner.progress.advance(1))
            ensembles = Ensemble.of(evaluator, pool).score(weights)
            found = {"merge": merges, "ensemble": ensembles}
            write_json(file, {name: scores.nats_per_token.tolist() for name, scores in found.items()})
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {name: np.array(losses) for name, losses in kept.items()}

    def _notes(self, losses: Sequence[FloatArray]) -> tuple[str, ...]:
        """How far mixtures differ, and trainings of one."""
        seeds, words = self.study.seeds, []
        for first in range(0, len(losses), seeds):
            layout = np.stack(losses[first : first + seeds], axis=1)
            name = self._name(self.study.cells[first]).rsplit(",", 1)[0]
            spread = layout.mean(axis=1).std(ddof=1)
            words.append(f"{name}: {spread:.4f} and {np.sqrt(pooled_noise([layout]).variance):.4f}")
        return (
            "Two seeds of one size and rate give the ceiling of their rows and columns. Standard deviation "
            f"of the mixtures, and of one training about its mixture, in nats: {'; '.join(words)}.",
            f"Each mixture is {self.study.sources_each} of {len(self.study.config.pool_sources)} domains in "
            "equal shares, so that their number explains nothing. With sixteen mixtures, an unrelated order "
            "has a correlation within ±0.50 in 95 of 100 cases.",
        )


def correlations_with(losses: FloatArray, cells: dict[str, FloatArray], name: str) -> list[str | None]:
    """Of one row with all cells but itself, and their mean."""
    values = [_spearman(losses, other) if one != name else None for one, other in cells.items()]
    known = [value for value in values if value is not None]
    return [None if value is None else f"{value:+.2f}" for value in (*values, float(np.mean(known)))]


def _spearman(left: FloatArray, right: FloatArray) -> float:
    return float(rank_correlation(left, right, np.zeros(len(left), dtype=np.int64), np.ones(len(left))))


if __name__ == "__main__":
    main()
