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
from cuvee.question.question import Question
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective


@dataclass(frozen=True, eq=False, repr=False)
class OpenedFit(Opened):
    """Runs, question and answer of a fit."""

    folder: Path

    @classmethod
    def of(cls, folder: Path) -> "OpenedFit":
        """Check that runs and question can be read.

        Raises:
            ConfigError: they are not there, or damaged.
        """
        load(folder)
        return cls(folder)

    @property
    def root(self) -> Path:
        """See ``Opened``."""
        return self.folder

    @property
    def config(self) -> Question:
        """See ``Opened``."""
        return load(self.folder)[1]

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
        return load(self.folder)[0].observations

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

    def fit(self, law: str | None = None, runs: Observations | None = None) -> FittedToRuns:
        """See ``Opened``; default all runs, and the law of the decision. The optimum keeps what the question
        asks."""
        kept, question = load(self.folder)
        runs = kept.observations if runs is None else runs
        asked = question.target(kept.observations.metrics)
        if missing := [name for name in asked if name not in runs.metrics]:
            raise ConfigError(
                f"{self.folder}: these runs have no metric {missing[0]!r}, which the question names; give "
                "runs of this fit"
            )
        data = LawData.of(runs, directions=question.directions, transport=question.transport)
        region = partial(question.region, runs.sources)
        objective = partial(_objective, question, runs, data)
        law = law or question.law or self.decision.law
        return FittedToRuns.of(law, runs, data, objective, region, question.directions)


def _objective(question: Question, runs: Observations, data: LawData) -> Objective:
    """With the baseline that guards and the worst case compare with."""
    target = question.target(runs.metrics)
    weights, region = np.array(list(target.values())), question.region(runs.sources)
    return objective_of(target, question, runs, baselines_of(data, weights, region, question))
