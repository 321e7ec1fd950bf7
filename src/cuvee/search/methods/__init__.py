"""Methods of search, one file each; ``registry.py`` has the table."""

from cuvee.search.methods.registry import SEARCH_METHODS, method_named

__all__ = ["SEARCH_METHODS", "method_named"]
