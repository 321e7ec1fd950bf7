"""Flows: one folder a question that cuvee answers. None knows another.

ablation   which mixture the proxies of a pool choose (``cuvee run``)
scale      which mixture a larger run should have (``cuvee scale``)
search     which experiment to make next, until a rule ends it (``cuvee search``)
swarm      what a trainer of the user's measures on a design of mixtures (``cuvee swarm``)
fit        which mixture a table of runs speaks for (``cuvee fit``, ``cuvee optimise``)
simulate   which method of search finds the best mixture of a table (``cuvee simulate``)
check      whether fresh trainings bear an answer out (``cuvee check``)
value      what documents and sources are worth for a target (``cuvee value``, ``cuvee select``)
change     what runs are worth after sources changed (``cuvee change``)

A new flow is a folder here, a decision in ``decisions/``, a view and a row of ``REPORTS`` in ``report/``, and
a command in ``cli/``; an answer to a study has its row in ``FLOWS`` of ``study/answers.py``, too.
``tests/house/smallest_flow`` is a whole flow; CONTRIBUTING.md says how to add one.
"""

from importlib import import_module
from types import ModuleType

__all__ = ["ablation", "change", "check", "fit", "scale", "search", "simulate", "swarm", "value"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:  # each loads what it needs when it is first used
        return import_module(f"cuvee.flows.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
