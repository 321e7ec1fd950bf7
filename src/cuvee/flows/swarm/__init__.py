"""Mixtures trained by a trainer of the user's: the flow of ``cuvee swarm``.

config = StudyConfig.load(path)
swarm = run(config, StudyFolder.of(path))
print(swarm.observations)

What the runs speak for is asked of the laws, as of any table of runs.
"""

from cuvee.flows.swarm.flow import Swarm, run
from cuvee.flows.swarm.question import question_of

__all__ = ["Swarm", "question_of", "run"]
