"""A score sheet: mixtures that a user names, with what the proxies of a trained pool say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.excerpt import excerpt
from cuvee.mixture.mixture import Mixture
from cuvee.notebook.shares import Shares, mixtures_of
from cuvee.quantities import number
from cuvee.runs.roles import ASKED
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.types import FloatArray

PROXIES = ("merge", "ensemble")
"""What a pool scores by."""
_WHY = "mixtures are scored by a trained pool"


@dataclass(frozen=True, eq=False)
class ScoreSheet:
    """Losses of mixtures under proxies, in nats per token, measured on the documents that choices see."""

    mixtures: tuple[Mixture, ...]
    evaluations: tuple[str, ...]
    losses: Mapping[str, FloatArray]
    """Proxy -> losses [M, E]. With *own curve* the held-out text of a source that takes part has the loss
    that its branch had after as many tokens."""
    weights: FloatArray
    """Of the evaluations in the target [E]."""

    @property
    def target(self) -> dict[str, FloatArray]:
        """Proxy -> weighted loss [M]; lower is better."""
        return {name: losses @ self.weights for name, losses in self.losses.items()}

    def _repr_html_(self) -> str:
        target, sources = self.target, self.mixtures[0].names
        rows = [
            (
                *(f"{share:.1%}" for share in mixture.shares),
                *(number(float(values[row]), 4) for values in target.values()),
            )
            for row, mixture in enumerate(self.mixtures)
        ]
        note = (
            "Weighted loss of the target in nats per token. Proxies: nothing was trained on these mixtures."
        )
        return excerpt("Scored by proxies", (note,), (*sources, *target), rows)


def scored(
    config: StudyConfig,
    folder: StudyFolder,
    mixtures: Shares | Sequence[Shares],
    by: str | Sequence[str] = PROXIES,
) -> ScoreSheet:
    """Score mixtures by the pool of a study, in its worker processes. Scores are kept in its store.

    Raises:
        ConfigError: no such proxy; the pool is not trained, or not as the study file says now.
        MixtureError: shares that are no mixture of the pool's sources.
        StoreError: another process works on the study.
    """
    asked, proxies = mixtures_of(mixtures, config.pool_sources), _proxies(by)
    from cuvee.study.opening import opened
    from cuvee.study.pooling import refuse_untrained, refuse_without_branches
    from cuvee.study.proxies import Proxies

    refuse_without_branches(folder, _WHY)
    with folder.locked(), opened(config, folder, looking=True) as runner:
        refuse_untrained(runner, _WHY)
        sheet = Proxies.of(runner).score(asked, [ASKED] * len(asked), by=proxies)
    weights = config.target_weights
    return ScoreSheet(asked, tuple(weights), sheet.proxies(), np.array(list(weights.values())))


def _proxies(by: str | Sequence[str]) -> tuple[str, ...]:
    proxies = (by,) if isinstance(by, str) else tuple(by)
    if not proxies or set(proxies) - set(PROXIES):
        raise ConfigError(f"by={by!r} names no proxy; a pool scores by {' or '.join(PROXIES)}")
    return proxies
