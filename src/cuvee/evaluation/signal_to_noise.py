"""Signal to noise of a metric: how far models lie apart in it, over how far other questions would move them.

Models answer the same questions, so what is hard for all of them is no noise: only what is left of the
answers after the means of models and of questions is (two-way analysis of variance without replication;
Scheffé 1959, ch. 4). The signal is the standard deviation of the models' true means, the noise that of the
measured ones about them. At a ratio below one, two models that differ as models do are ranked by the
questions more than by what they can. Heineman et al. (2025, https://arxiv.org/abs/2508.13144) take the last
checkpoints of a training for the noise; replicates stand for that here where there are any.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray

FEWEST_MODELS = 3
DECIDES_FROM = 1.0


@dataclass(frozen=True)
class SignalToNoise:
    """Of one metric among some models; NaN where there are too few to say."""

    signal: float
    """Standard deviation between models, noise taken out."""
    noise: float
    """Standard deviation of a model's value by the choice of questions, or by the seed of its training."""

    @classmethod
    def of(cls, answers: FloatArray, twice: FloatArray | None = None) -> "SignalToNoise":
        """Of answers whose mean is the metric.

        Args:
            answers: [M, Q] of models that differ in their mixture.
            twice: differences of the metric between two trainings of one mixture [A].
        """
        models, questions = answers.shape
        if models < FEWEST_MODELS or questions < 2:
            return cls(float("nan"), float("nan"))
        means = answers.mean(axis=1)
        left = answers - means[:, None] - answers.mean(axis=0) + answers.mean()
        square = float(np.square(left).sum()) / ((models - 1) * (questions - 1)) / questions
        if twice is not None and len(twice):
            square = max(square, float(np.square(twice).mean()) / 2)
        between = float(means.var(ddof=1))
        return cls(float(np.sqrt(max(0.0, between - square))), float(np.sqrt(square)))

    @property
    def ratio(self) -> float:
        """Signal over noise; NaN where unknown, and infinite without noise."""
        if self.noise == 0.0:
            return float("inf") if self.signal else 0.0
        return self.signal / self.noise

    @property
    def decides(self) -> bool:
        """Whether models are ranked by what they can."""
        return self.ratio >= DECIDES_FROM
