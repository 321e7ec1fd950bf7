"""What a search has found when it stops."""

from dataclasses import dataclass

from cuvee.decisions.search.result import Why
from cuvee.flows.search.menu import Menu
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.types import FloatArray


@dataclass(frozen=True, eq=False)
class Made:
    """An experiment that was made."""

    experiment: Experiment
    why: Why
    losses: FloatArray
    """Nats per token [E]; NaN where it failed."""
    flops: float
    """Charged."""
    gain: float
    """What was expected before of knowing everything; see ``Asked.gain``."""
    error: str
    """Why it failed; empty where it did not."""
    observed: int = 1
    """Trials it gave: itself, and parts of its training that were not known."""


@dataclass(frozen=True, eq=False)
class SearchFindings:
    """Everything an answer is made from."""

    menu: Menu
    history: History
    made: tuple[Made, ...]
    """In order, without what earlier searches had made."""
    spent: float
    """FLOPs, the pool included."""
    stopped: str
    """Why it ended."""
