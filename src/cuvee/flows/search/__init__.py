"""One experiment after another, whichever is most informative for its price: the flow of ``cuvee search``.

config = StudyConfig.load(path)
print(outlook(config, folder).statement)
decision = run(config, StudyFolder.of(path))
"""

from cuvee.decisions.search.decision import SearchDecision
from cuvee.flows.search.flow import outlook, run
from cuvee.flows.search.outlook import SearchOutlook

__all__ = ["SearchDecision", "SearchOutlook", "outlook", "run"]
