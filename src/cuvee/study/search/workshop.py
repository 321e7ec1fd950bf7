"""Where the experiments of a search are made and looked up."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cuvee.execution.local import InProcess
from cuvee.progress import Within
from cuvee.runs.run import Run
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.study.proxies import Proxies, planned_branches
from cuvee.study.search.menu import ROLE, Menu
from cuvee.types import FloatArray


@dataclass(frozen=True, eq=False)
class Workshop:
    """Makes what is on the menu. All results go into the store, so nothing is made twice."""

    menu: Menu

    @property
    def _lab(self) -> Laboratory:
        return self.menu.lab

    def prepare(self) -> None:
        """Train the pool, and measure what its proxies need, where the menu has any."""
        lab = self._lab
        if all(training is not None for training in self.menu.trainings):
            return
        if lab.plan.seed is not None:
            lab.train([Planned(lab.plan.seed, "seed", lab.plan.seed.mixture)], "training the seed model")
        lab.train(planned_branches(lab.plan), "training the pool")
        Proxies.of(lab).ready()

    def make(self, experiments: Sequence[Experiment]) -> FloatArray:
        """Nats per token [n, E]; NaN where an experiment failed.

        Trainings are made side by side; proxies one kind after the other, in this process.
        """
        planned = [one for one in map(self.menu.planned, experiments) if one is not None]
        replace(self._lab, progress=Within(self._lab.progress)).attempt(planned)
        by_level: dict[int, list[int]] = defaultdict(list)
        for place, one in enumerate(experiments):
            by_level[one.level].append(place)
        losses = np.full((len(experiments), len(self._lab.plan.material.evaluations)), np.nan)
        for level, places in by_level.items():
            losses[places] = self.measured([experiments[place] for place in places], level)
        return losses

    def measured(self, experiments: Sequence[Experiment], level: int) -> FloatArray:
        """Losses [n, E] of experiments at one level: trainings from the store, proxies scored."""
        if self.menu.trainings[level] is None:
            mixtures = [self.menu.mixture(one) for one in experiments]
            if self.menu.space.levels[level].kind == "merged":
                return self._proxies.merges(mixtures, ROLE)
            return self._proxies.ensembles(mixtures, ROLE)
        losses = np.full((len(experiments), len(self._lab.plan.material.evaluations)), np.nan)
        for place, run in enumerate(map(self._training, experiments)):
            if run is not None and run.status == "done":
                losses[place] = self._lab.losses_of(run)
        return losses

    def told(self, experiment: Experiment, history: History) -> list[Experiment]:
        """What an experiment tells: parts of its training that were not known yet, then itself."""
        on_the_way = self.menu.space.on_the_way(experiment.level)[:-1]
        parts = [Experiment(experiment.shares, level) for level in on_the_way]
        return [*(one for one in parts if not history.trials.has(one.row, one.level)), experiment]

    def error(self, experiment: Experiment) -> str:
        """Why it failed; empty where it did not."""
        run = self._training(experiment)
        return (run.error or "") if run is not None else ""

    def _training(self, experiment: Experiment) -> Run | None:
        """What the store knows of it; None for proxies, and where it was not begun."""
        planned = self.menu.planned(experiment)
        return None if planned is None else self._lab.store.get(self._lab.planned_key(planned))

    @cached_property
    def _proxies(self) -> Proxies:
        # One merge takes less time than starting a worker does.
        return Proxies.of(replace(self._lab, executor=InProcess(), progress=Within(self._lab.progress)))
