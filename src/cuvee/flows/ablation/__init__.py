"""From a study file to a decision by proxies: the flow of ``cuvee run``.

config = StudyConfig.load(path)
print(outlook(config, folder).statement)
decision = run(config, StudyFolder.of(path))
"""

from cuvee.decisions.ablation.decision import Decision
from cuvee.flows.ablation.flow import outlook, run

__all__ = ["Decision", "outlook", "run"]
