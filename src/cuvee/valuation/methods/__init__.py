"""Methods of valuation, one file each; ``registry.py`` has the table."""

from cuvee.valuation.methods.registry import VALUERS, valuer_named

__all__ = ["VALUERS", "valuer_named"]
