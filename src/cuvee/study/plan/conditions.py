"""Conditions: references trained again at another learning rate, length or size, one change at a time.

What is best at one condition need not be at another: ranks of data sets flip with the learning rate (arXiv
2512.24503). All mixtures of a condition have one seed, that of no reference and no replicate: with the data
in the same order, runs would agree by more than what the mixtures do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cuvee.runs.roles import OTHER_RATE, OTHER_SEED_MODEL, OTHER_SIZE, OTHER_TOKENS
from cuvee.study.plan.mixtures import ReferenceMixture
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned

REPLICA = 2
"""Of all runs here; references are replica 0, and replicates 1."""

_FACTORS = {OTHER_RATE: "learning_rate", OTHER_TOKENS: "tokens", OTHER_SIZE: "parameters"}
"""Role -> factor of ``Plan.varied``."""


@dataclass(frozen=True, eq=False)
class Condition:
    """One thing that is otherwise."""

    role: str
    """One of ``OTHER_CONDITIONS``."""
    plan: Plan
    """The study's, with references as they are trained here."""

    def runs(self, mixtures: Sequence[ReferenceMixture]) -> list[Planned]:
        """A training of every mixture."""
        return [
            Planned(self.plan.reference(one.trained, REPLICA), self.role, one.mixture) for one in mixtures
        ]

    @property
    def seed_model(self) -> list[Planned]:
        """What they start from, where that is another than all others start from."""
        seed = self.plan.seed
        if self.role != OTHER_SIZE or seed is None:
            return []
        return [Planned(seed, OTHER_SEED_MODEL, seed.mixture)]


def conditions_of(plan: Plan) -> list[Condition]:
    """The other conditions of a study, in the order in which they are reported.

    Raises:
        ConfigError: there is no model of the other size.
    """
    asked = plan.config.other_conditions
    return [Condition(role, plan.varied(**{_FACTORS[role]: factor})) for role, factor in asked.items()]
