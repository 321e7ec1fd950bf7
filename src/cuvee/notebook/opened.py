"""Opened: what a notebook asks of a study or a fit, whichever it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from cuvee.decisions.concluded import Concluded
from cuvee.errors import ConfigError, CuveeError
from cuvee.excerpt import excerpt
from cuvee.notebook.law import FittedToRuns
from cuvee.notebook.score_sheet import ScoreSheet
from cuvee.notebook.shares import Shares
from cuvee.question.question import Question
from cuvee.runs.observations import Observations
from cuvee.study.file.config import StudyConfig

By = Literal["merge", "ensemble"]


class Opened(ABC):
    """Everything is read from the folder when it is asked for: it is the state of that moment."""

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder."""

    @property
    @abstractmethod
    def config(self) -> StudyConfig | Question:
        """What was asked: the study file with its defaults, or the question of a fit."""

    @property
    @abstractmethod
    def decisions(self) -> Mapping[str, Concluded]:
        """Every answer that is there, by its flow: ``run``, ``search``, ``scale`` or ``fit``.

        Raises:
            ConfigError: one cannot be read.
        """

    @property
    @abstractmethod
    def decision(self) -> Concluded:
        """The answer to take, of those that are there.

        Raises:
            ConfigError: there is none yet, or it cannot be read.
        """

    @property
    @abstractmethod
    def observations(self) -> Observations:
        """All that was measured, one row a run.

        Raises:
            ConfigError: nothing was measured yet.
        """

    @abstractmethod
    def score(
        self, mixtures: Shares | Sequence[Shares], by: By | Sequence[By] = ("merge", "ensemble")
    ) -> ScoreSheet:
        """What the proxies of the trained pool say of mixtures. Nothing is trained for it.

        Args:
            mixtures: one or several.
            by: which proxies. An ensemble is arithmetic; a merge takes a forward pass over all evaluations.

        Raises:
            ConfigError: there is no pool, or it is not trained.
            MixtureError: shares that are no mixture of its sources.
        """

    @abstractmethod
    def fit(self, law: str | None = None, runs: Observations | None = None) -> FittedToRuns:
        """Fit a law to runs and judge it on runs that it did not see.

        Args:
            law: a name of `docs/registries.md`; default that of the decision of a fit, else effective_data.
            runs: some of ``observations``, of one kind and size. By default those that a decision rests on;
                ``FittedToRuns.on`` says which.

        Raises:
            ConfigError: no such law, runs that may not be mixed, or too few of them.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def _repr_html_(self) -> str:
        try:
            return self.decision._repr_html_()
        except CuveeError as error:
            return excerpt(repr(self), (str(error),))


def nothing_there(what: str, command: str) -> ConfigError:
    """Of what a command has not made yet."""
    return ConfigError(f"{what}; `{command}` makes it")
