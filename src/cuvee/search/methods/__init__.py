"""Methods of search, one file each; ``registry.py`` has the table."""

from cuvee.search.methods.registry import PROPOSERS, method_named

__all__ = ["PROPOSERS", "method_named"]
