"""From small scales to the mixture of a large training: the flow of ``cuvee scale``.

config = StudyConfig.load(path)
print(outlook(config, folder).statement)
decision = run(config, StudyFolder.of(path))
"""

from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.flows.scale.flow import outlook, run
from cuvee.study.outlook import Outlook

__all__ = ["Outlook", "ScaleDecision", "outlook", "run"]
