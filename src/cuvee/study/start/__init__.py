"""How a study begins: a folder of data looked at, or the demonstration."""

from cuvee.study.start.inspection import inspect

__all__ = ["inspect"]
