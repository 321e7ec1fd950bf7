"""Whether fresh trainings bear an answer out, whichever flow gave it: the flow of ``cuvee check``."""

from cuvee.flows.check.flow import check_answer, outlook

__all__ = ["check_answer", "outlook"]
