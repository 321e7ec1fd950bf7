"""What a search can ask for, at which price in FLOPs and time."""

from dataclasses import dataclass

from cuvee.flows.search.menu import Menu
from cuvee.quantities import flops
from cuvee.study.outlook import HOUR, Stopwatch, in_words, known
from cuvee.types import Json


@dataclass(frozen=True)
class OfferedRow:
    """One fidelity."""

    kind: str
    parameters: int
    tokens: int
    flops: float
    """Of one experiment, by formula."""
    seconds: float
    """Of one worker, from a few steps timed on this machine; NaN for merges and ensembles."""
    affordable: int
    """How many the budget would pay for, nothing else bought."""


@dataclass(frozen=True)
class SearchOutlook:
    """Fidelities with prices."""

    rows: tuple[OfferedRow, ...]
    """The target fidelity last."""
    pool_flops: float
    """Of the pool, as far as it is not trained yet."""
    budget_flops: float
    hours: float
    """Wall time in which all workers spend the budget."""

    @property
    def statement(self) -> str:
        """In a sentence."""
        longest = self.rows[-1]
        pool = f", {flops(self.pool_flops)} of them for the pool" if self.pool_flops else ""
        return (
            f"at most {flops(self.budget_flops)} FLOPs{pool}; a training of {longest.tokens:,} tokens takes "
            f"{flops(longest.flops)}; about {in_words(self.hours)} on this machine"
        )

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        rows = [{**vars(row), "seconds": known(row.seconds)} for row in self.rows]
        return {
            "rows": rows,
            "pool_flops": self.pool_flops,
            "budget_flops": self.budget_flops,
            "hours": self.hours,
        }


def outlook_of(menu: Menu) -> SearchOutlook:
    """Count, and time a few steps of every size of model."""
    config, watch = menu.runner.plan.config, Stopwatch(menu.runner)
    budget = config.search.budget_flops
    rows = []
    for place, fidelity in enumerate(menu.space.fidelities):
        training = menu.trainings.get(place)
        rate = watch.flops_a_second(menu.example(training)) if training else float("nan")
        rows.append(
            OfferedRow(
                fidelity.kind,
                round(fidelity.params),
                round(fidelity.tokens),
                fidelity.flops,
                fidelity.flops / rate,
                int((budget - menu.pool_flops) // fidelity.flops),
            )
        )
    rate = config.workers * watch.flops_a_second(menu.example(menu.target))
    return SearchOutlook(tuple(rows), menu.pool_flops, budget, budget / rate / HOUR)
