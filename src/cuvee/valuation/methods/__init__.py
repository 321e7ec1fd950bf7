"""Methods of valuation, one file each; ``valuation/registry.py`` has the table."""

from cuvee.valuation.methods.random_values import RandomValues

__all__ = ["RandomValues"]
