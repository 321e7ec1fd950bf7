"""What ``cuvee value`` concludes."""

from cuvee.decisions.value.decision import Valuation

__all__ = ["Valuation"]
