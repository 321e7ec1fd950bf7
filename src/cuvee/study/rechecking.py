"""The check of a search or a ladder, in the size of the largest trainings that it rests on.

Neither trains for it by itself. Fresh trainings that `cuvee check` made of a mixture go on to count where the
same question gives the same mixture again.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from cuvee.decisions.check import STAGE
from cuvee.decisions.search.decision import SearchDecision
from cuvee.mixture.mixture import Mixture
from cuvee.study.checking import Checking
from cuvee.study.chosen_documents import ChosenDocuments
from cuvee.study.plan.plan import Plan
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun

if TYPE_CHECKING:
    from cuvee.decisions.scale.decision import ScaleDecision

AnswerT = TypeVar("AnswerT", SearchDecision, "ScaleDecision")


def rechecked(runner: Runner, answer: AnswerT) -> AnswerT:
    """An answer that was just given, with what fresh trainings of its mixture say that are there already."""
    if isinstance(answer, SearchDecision) and answer.trainer:
        return answer  # trainings by cuvee would check another recipe
    found = checking_of(runner, answer).check(0)
    return answer if found is None else answer.with_check(found)


def checking_of(runner: Runner, answer: "SearchDecision | ScaleDecision", unseen: bool = True) -> Checking:
    """How its mixture is checked; ``unseen`` as in ``Checking``."""
    trainings = _Trainings(runner.plan, *answer.largest)
    if isinstance(answer, SearchDecision) and answer.document_values:
        pick = Mixture.of({one.source: one.share for one in answer.mixture})
        chosen = ChosenDocuments.of(runner, answer.document_values)
        trainings = replace(trainings, pick=pick.reindexed(runner.plan.config.pool_sources), chosen=chosen)
    checking = Checking.of(runner, answer.mixture, trainings.run)
    return replace(checking, stage=f"{STAGE} ({answer.by})", unseen=unseen)


@dataclass(frozen=True, eq=False)
class _Trainings:
    """Of one size and length; those of the pick on chosen documents, where a search chose them."""

    plan: Plan
    parameters: int
    tokens: int
    pick: Mixture | None = None
    chosen: ChosenDocuments | None = None

    def run(self, mixture: Mixture, replica: int) -> TrainingRun:
        model = self.plan.built(self.parameters)
        run = self.plan.alone(mixture, model, self.tokens, self.tokens, replica)
        if self.chosen is None or self.pick is None or mixture.key != self.pick.key:
            return run
        return self.chosen.applied(run)
