"""The check of a search or a ladder, in the size of the largest trainings that it rests on.

Neither trains for it by itself. Fresh trainings that `cuvee check` made of a mixture go on to count where the
same question gives the same mixture again.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from cuvee.decisions.check import STAGE
from cuvee.mixture.mixture import Mixture
from cuvee.study.checking import Checking
from cuvee.study.plan.plan import Plan
from cuvee.study.runner import Runner
from cuvee.training.run import TrainingRun

if TYPE_CHECKING:
    from cuvee.decisions.scale.decision import ScaleDecision
    from cuvee.decisions.search.decision import SearchDecision

AnswerT = TypeVar("AnswerT", "SearchDecision", "ScaleDecision")


def rechecked(runner: Runner, answer: AnswerT) -> AnswerT:
    """An answer that was just given, with what fresh trainings of its mixture say that are there already."""
    found = checking_of(runner, answer).check(0)
    return answer if found is None else answer.with_check(found)


def checking_of(runner: Runner, answer: "SearchDecision | ScaleDecision", unseen: bool = True) -> Checking:
    """How its mixture is checked; ``unseen`` as in ``Checking``."""
    run = _Trainings(runner.plan, *answer.largest).run
    checking = Checking.of(runner, answer.mixture, run)
    return replace(checking, stage=f"{STAGE} ({answer.by})", unseen=unseen)


@dataclass(frozen=True, eq=False)
class _Trainings:
    """Of one size and length."""

    plan: Plan
    parameters: int
    tokens: int

    def run(self, mixture: Mixture, replica: int) -> TrainingRun:
        model = self.plan.built(self.parameters)
        return self.plan.alone(mixture, model, self.tokens, self.tokens, replica)
