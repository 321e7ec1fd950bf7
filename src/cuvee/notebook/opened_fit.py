"""The folder of a `cuvee fit`, opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cuvee.decisions.fit.decision import LawDecision
from cuvee.errors import ConfigError
from cuvee.flows.fit.comparisons import baselines_of, objective_of
from cuvee.flows.fit.folder import load_decision
from cuvee.laws.interface import LawData
from cuvee.notebook.law import FittedToRuns
from cuvee.notebook.opened import By, Opened
from cuvee.notebook.score_sheet import ScoreSheet
from cuvee.notebook.shares import Shares
from cuvee.question.asked_runs import load
from cuvee.question.question import LAW, Question
from cuvee.question.runs import Runs
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective


@dataclass(frozen=True, eq=False, repr=False)
class OpenedFit(Opened):
    """Runs, question and answer of a fit."""

    folder: Path
    runs: Runs
    question: Question

    @classmethod
    def of(cls, folder: Path) -> "OpenedFit":
        """Read the runs and the question.

        Raises:
            ConfigError: they are not there, or damaged.
        """
        return cls(folder, *load(folder))

    @property
    def root(self) -> Path:
        """See ``Opened``."""
        return self.folder

    @property
    def config(self) -> Question:
        """See ``Opened``."""
        return self.question

    @property
    def decisions(self) -> Mapping[str, LawDecision]:
        """See ``Opened``."""
        return {"fit": self.decision}

    @property
    def decision(self) -> LawDecision:
        """See ``Opened``."""
        return load_decision(self.folder)

    @property
    def observations(self) -> Observations:
        """See ``Opened``."""
        return self.runs.observations

    def score(
        self, mixtures: Shares | Sequence[Shares], by: By | Sequence[By] = ("merge", "ensemble")
    ) -> ScoreSheet:
        """A table of runs has no pool.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{self.folder}: a fit has no pool to score mixtures by; ask a law (`fit().predict(...)`), or "
            "open a study"
        )

    def fit(self, law: str = LAW, runs: Observations | None = None) -> FittedToRuns:
        """See ``Opened``; default all runs. The optimum keeps what the question asks."""
        runs = self.observations if runs is None else runs
        data = LawData.of(runs, directions=self.question.directions)
        region, objective = partial(self.question.region, runs.sources), partial(self._objective, runs, data)
        return FittedToRuns.of(law, runs, data, objective, region, self.question.directions)

    def _objective(self, runs: Observations, data: LawData) -> Objective:
        """With the baseline that guards and the worst case compare with."""
        target = self.question.target(runs.metrics)
        weights, region = np.array(list(target.values())), self.question.region(runs.sources)
        return objective_of(target, self.question, runs, baselines_of(data, weights, region, self.question))
