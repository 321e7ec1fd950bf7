"""The folder of a study, opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cuvee.decisions.answers.answers import Answers
from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.mixture.region import Region
from cuvee.notebook.law import FittedToRuns
from cuvee.notebook.law_runs import over
from cuvee.notebook.opened import By, Opened, nothing_there
from cuvee.notebook.score_sheet import ScoreSheet, scored
from cuvee.notebook.shares import Shares
from cuvee.question.question import LAW
from cuvee.runs.metric_names import NATS
from cuvee.runs.observations import Observations
from cuvee.runs.roles import REFERENCE, REPLICATE
from cuvee.runs.store import RunStore
from cuvee.search.objective import Objective
from cuvee.study.answers import AnyDecision, KeptAnswers, read_answers
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.mixtures import region_of


@dataclass(frozen=True, eq=False, repr=False)
class OpenedStudy(Opened):
    """A study as its folder holds it."""

    folder: StudyFolder
    file: Path
    """The study file; in the folder."""

    @property
    def root(self) -> Path:
        """See ``Opened``."""
        return self.folder.root

    @property
    def config(self) -> StudyConfig:
        """See ``Opened``."""
        return StudyConfig.load(self.file)

    @property
    def decisions(self) -> Mapping[str, AnyDecision]:
        """See ``Opened``."""
        kept = KeptAnswers.read(self.root)
        return {flow: kept.decision(flow) for flow in kept.flows}

    @property
    def answers(self) -> Answers:
        """The same as far as they can be set beside each other: where they disagree, which to believe, which
        belong to another state of the study."""
        return read_answers(self.root)

    @property
    def decision(self) -> AnyDecision:
        """See ``Opened``; which one, as pages and `cuvee run` say it (``decisions/answers/choice.py``)."""
        kept = KeptAnswers.read(self.root)
        decisions = {
            flow: kept.decision(flow) for flow in kept.flows
        }  # a damaged one might be the one to take
        preferred = kept.beside().preferred
        if preferred is None:
            raise nothing_there(f"{self.root} holds no answer yet", f"cuvee run {self.root}")
        return decisions[preferred.flow]

    @property
    def observations(self) -> Observations:
        """See ``Opened``."""
        if not self.folder.store.is_file():
            raise nothing_there(f"{self.root}: nothing was measured yet", f"cuvee run {self.root}")
        with RunStore(self.folder.store) as store:
            return store.observations()

    def score(
        self, mixtures: Shares | Sequence[Shares], by: By | Sequence[By] = ("merge", "ensemble")
    ) -> ScoreSheet:
        """See ``Opened``. What was scored is kept in the store and not scored again."""
        return scored(self.config, self.folder, mixtures, by)

    def fit(self, law: str | None = None, runs: Observations | None = None) -> FittedToRuns:
        """See ``Opened``; default all really trained references, repeated ones too. The optimum keeps the
        limits of the study and the weights of its target.

        Raises:
            ConfigError: see ``Opened``; or the references are of several recipes.
            MixtureError: a run reads a source that the pool does not have.
        """
        config = self.config
        runs = over(self._references() if runs is None else runs, config.pool_sources)
        weights = {NATS + name: weight for name, weight in config.target_weights.items()}
        data = LawData.of(runs, tuple(weights), own=config.own_columns)
        return FittedToRuns.of(law or LAW, runs, data, lambda: Objective(weights), self._region)

    def _references(self) -> Observations:
        references = self.observations.where(kind="trained", role=(REFERENCE, REPLICATE))
        with RunStore(self.folder.store) as store:
            found = store.runs(key=list(references.keys))
        if (recipes := len({run.details.get("recipe") for run in found})) > 1:
            raise ConfigError(
                f"{self.root}: the references were trained by {recipes} recipes, as the study file changed; "
                "choose those of one by runs=observations.where(key=[...])"
            )
        return references

    def _region(self) -> Region:
        """What the study allows; unique tokens that its file does not say are those of its answer."""
        config = self.config
        needed = config.pool_sources if config.target_run.tokens is not None else ()
        tokens = {name: config.sources[name].tokens or self._unique(name) for name in needed}
        return region_of(config, tokens)

    def _unique(self, source: str) -> int:
        for entry in self.decision.mixture:
            if entry.source == source and entry.unique_tokens:
                return entry.unique_tokens
        raise nothing_there(f"{self.root}: no answer says how many tokens {source!r} has", "cuvee run")
