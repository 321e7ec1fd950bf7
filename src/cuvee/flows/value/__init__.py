"""What documents of a study are worth for a target: ``cuvee value``, ``select``, ``acquire`` and ``trace``.

question = ValueQuestion("questions", ("forward_inf",))
valuation = run(StudyConfig.load(path), StudyFolder.of(path), question)
"""

from cuvee.decisions.value.decision import Valuation
from cuvee.flows.value.flow import run
from cuvee.flows.value.question import ValueQuestion
from cuvee.flows.value.selecting import SelectionRequest, keep

__all__ = ["SelectionRequest", "Valuation", "ValueQuestion", "keep", "run"]
