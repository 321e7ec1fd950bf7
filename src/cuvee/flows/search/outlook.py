"""What a search can ask for, at which price in FLOPs and time."""

import math
from dataclasses import dataclass

from cuvee.execution.tariff import HOUR, Tariff
from cuvee.flows.search.menu import Menu
from cuvee.quantities import flops
from cuvee.study.outlook import Stopwatch, in_words, known
from cuvee.study.trainer_pace import NOT_MEASURED
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
    """Wall time in which all workers spend the budget; NaN where nobody knows the time of a training."""
    work_hours: float
    """The same summed over the cores or GPUs that work: what is paid for; NaN where it is not known."""
    tariff: Tariff
    """What computes, and its price."""

    @property
    def statement(self) -> str:
        """In a sentence."""
        longest = self.rows[-1]
        paid = "" if math.isnan(self.work_hours) else self.tariff.words(self.work_hours)
        priced = f" ({paid})" if paid else ""
        time = (
            f"time {NOT_MEASURED}"
            if math.isnan(self.hours)
            else f"about {in_words(self.hours)} on this machine{priced}"
        )
        pool = f", {flops(self.pool_flops)} of them for the pool" if self.pool_flops else ""
        return (
            f"at most {flops(self.budget_flops)} FLOPs{pool}; a training of {longest.tokens:,} tokens takes "
            f"{flops(longest.flops)}; {time}"
        )

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        rows = [{**vars(row), "seconds": known(row.seconds)} for row in self.rows]
        return {
            "rows": rows,
            "pool_flops": self.pool_flops,
            "budget_flops": self.budget_flops,
            "hours": known(self.hours),
            "work": None if math.isnan(self.work_hours) else self.tariff.as_json(self.work_hours),
        }


def outlook_of(menu: Menu) -> SearchOutlook:
    """Count, and time a few steps of every size of model, as far as the trainings are cuvee's own."""
    watch, trainings = Stopwatch(menu.runner), menu.trainings
    budget = menu.runner.plan.config.search.budget_flops
    each = [trainings.seconds(place, watch) for place in range(len(trainings.fidelities))]
    rows = [
        OfferedRow(
            one.kind,
            round(one.params),
            round(one.tokens),
            one.flops,
            seconds,
            int((budget - menu.pool_flops) // one.flops),
        )
        for one, seconds in zip(menu.space.fidelities, [math.nan] * menu.proxies + each, strict=True)
    ]
    hours = budget / menu.space.fidelities[menu.space.target].flops * each[-1] / HOUR
    tariff, number = trainings.tariff(watch)
    return SearchOutlook(
        tuple(rows), menu.pool_flops, budget, hours / trainings.lanes, hours * number, tariff
    )
