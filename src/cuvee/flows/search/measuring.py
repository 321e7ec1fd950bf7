"""The experiments of a search, made by the runner and looked up in the store."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cuvee.execution.devices import PROCESSOR
from cuvee.execution.local import InProcess
from cuvee.flows.search.menu import Menu
from cuvee.flows.search.trainings import losses_of
from cuvee.progress import Within
from cuvee.runs.roles import SEARCH
from cuvee.runs.run import Run
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.trials import Trials
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.trained import Trainings
from cuvee.study.proxies import Proxies
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

_PROXIES = {"merged": Proxies.merges, "ensembled": Proxies.ensembles}
"""By the kind of fidelity."""


@dataclass(frozen=True, eq=False)
class Measuring:
    """Measures what is on the menu (an ``Oracle``). All results go into the store: nothing is made twice."""

    menu: Menu

    @property
    def space(self) -> Space:
        """See ``Oracle.space``."""
        return self.menu.space

    @property
    def metrics(self) -> tuple[str, ...]:
        """The evaluations [E]; costs are nats per token."""
        return self.menu.trainings.metrics

    def prepare(self) -> None:
        """Make what trainings need; where there are proxies, train the pool and measure what they need."""
        runner = self.menu.runner
        self.menu.trainings.prepare()
        if not self.menu.proxies:
            return
        runner.make(Trainings(runner.plan, "training the seed model"), planned_seed(runner.plan))
        runner.make(Trainings(runner.plan, "training the pool"), planned_branches(runner.plan))
        Proxies.of(runner).ready()

    def price(self, experiment: Experiment, history: History) -> float:
        """FLOPs; a training that was frozen on its way goes on at the price of the rest."""
        return history.price(experiment.row, experiment.fidelity)

    def measure(self, experiments: Sequence[Experiment]) -> FloatArray:
        """Nats per token [n, E], a row of NaN for a training that failed.

        Trainings are made side by side; proxies one kind after the other, in this process.
        """
        places: dict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(experiments):
            kind = self.space.fidelities[one.fidelity].kind
            places["" if self.menu.trains(one.fidelity) else kind].append(place)
        losses = np.full((len(experiments), len(self.metrics)), np.nan)
        for kind in sorted(places):
            asked = [experiments[place] for place in places[kind]]
            losses[places[kind]] = self._scored(asked, kind) if kind else self._trained(asked)
        return losses

    def along(self, experiment: Experiment, trials: Trials) -> tuple[list[Experiment], FloatArray]:
        """Parts of a training that are no trials yet, with what was measured on its way; NaN where nothing
        was."""
        fidelities = self.space.on_the_way(experiment.fidelity)[:-1]
        parts = [Experiment(experiment.shares, fidelity) for fidelity in fidelities]
        parts = [one for one in parts if not trials.has(one.row, one.fidelity)]
        losses = np.full((len(parts), len(self.metrics)), np.nan)
        for row, run in zip(losses, self._known(parts), strict=True):
            if run is not None:
                row[:] = losses_of([run], self.metrics)[0]
        return parts, losses

    def error(self, experiment: Experiment) -> str:
        """Why it failed; empty where it did not."""
        if not self.menu.trains(experiment.fidelity):
            return ""
        [run] = self._known([experiment])
        return "" if run is None else run.error or self.menu.trainings.lacks(run)

    def _trained(self, experiments: Sequence[Experiment]) -> FloatArray:
        asked = [self.menu.request(one) for one in experiments]
        return losses_of(self.menu.trainings.made(self._runner, asked), self.metrics)

    def _scored(self, experiments: Sequence[Experiment], kind: str) -> FloatArray:
        losses = _PROXIES[kind](self._proxies, [self.menu.mixture(one) for one in experiments], SEARCH)
        evaluations = self._runner.documents.evaluations
        return losses[:, [evaluations.index(name) for name in self.metrics]]

    def _known(self, experiments: Sequence[Experiment]) -> list[Run | None]:
        asked = [self.menu.request(one) for one in experiments]
        return self._runner.known(self.menu.trainings.producer, asked)

    @property
    def _runner(self) -> Runner:
        return replace(self.menu.runner, progress=Within(self.menu.runner.progress))

    @cached_property
    def _proxies(self) -> Proxies:
        if self.menu.runner.plan.model.device != PROCESSOR:
            return Proxies.of(self._runner)
        # One merge takes less time than starting a worker does.
        return Proxies.of(replace(self._runner, executor=InProcess()))
