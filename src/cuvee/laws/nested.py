"""Nested laws: steps, then sizes, then mixtures.

    1.  L(D) = E + B D^-beta                 each mixture, size and metric; beta for a mixture and size
    2.  L(N) = E + A N^-alpha                each mixture and metric, on 1. at the tokens asked for
    3.  L(w) = c + k exp(sum_i t_i w_i)      each metric, on 2. at the parameters asked for

(Ye et al. 2025, https://arxiv.org/abs/2403.16952, section 4; 3. is the law M4 of ``data_mixing_laws.py``.)
Mixtures are trained at several small sizes for a part of the tokens; every curve is extended to the tokens
asked for, every mixture to the parameters, and only then are mixtures compared. The mixing law is fitted anew
for each scale that is asked for, so that it holds there and nowhere else.

The exponents are shared, beta by the metrics of one mixture and size, alpha by all, as in the paper; squares
are taken in units of each metric's spread, so that a metric in other units changes nothing for the others.
Rows of the first third of a curve are left out, as there, as far as three others remain: losses early in a
training lie off the power law.

A curve of fewer than three lengths is left out; it says nothing of its exponent. A mixture at one size only
borrows its A from the mean of the others of its metric. Where no mixture has three sizes, alpha is 0.34
(Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556).
"""

from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.curves import LEAST, Curves
from cuvee.laws.data_mixing_laws import DATA_MIXING_LAWS
from cuvee.laws.formula import FittedFormula, Standardised
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.tied_powers import TiedPowers
from cuvee.types import FloatArray, IntArray, Json

ALPHA = 0.34
"""Where no mixture was trained at three sizes."""

_MIXING = next(law for law in DATA_MIXING_LAWS if law.name == "data_mixing_m4")


@dataclass(frozen=True, eq=False)
class FittedNested(CheckedQuestions):
    """Curves with their power laws. Mixing laws are fitted when a scale is asked for, and kept."""

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    own: IntArray
    """See ``LawData.own``."""
    curves: Curves
    steps: TiedPowers
    """Of each curve, its metrics sharing an exponent."""
    alpha: float
    law: str = "nested"
    convex: bool = True
    _mixing: dict[tuple[float, float], FittedFormula] = field(init=False, repr=False, default_factory=dict)

    def extrapolated(self, params: float, tokens: float) -> FloatArray:
        """Costs [M, E] of the fitted mixtures at a scale; NaN where a mixture has no curve of a metric."""
        values = self.curves.table(self.steps.at(tokens))
        unit = float(self.curves.sizes[-1])
        fits = _of_sizes(self.curves, values, np.ones(len(self.metrics)), np.array([self.alpha]))
        fall = fits.fall.reshape(values.shape[1:])
        measured = np.isfinite(values)
        mean = np.where(np.isfinite(fall), fall, 0.0).sum(axis=0) / np.isfinite(fall).sum(axis=0)
        fall = np.where(np.isfinite(fall), fall, mean)
        levels = values - fall * ((self.curves.sizes / unit) ** -self.alpha)[:, None, None]
        count = measured.sum(axis=0)
        floor = np.where(measured, levels, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
        result: FloatArray = floor + fall * (params / unit) ** -self.alpha
        return result

    def mixing(self, params: float, tokens: float) -> FittedFormula:
        """The law of mixtures at a scale."""
        if (params, tokens) not in self._mixing:
            costs, unknown = self.extrapolated(params, tokens), np.full(len(self.curves.mixtures), np.nan)
            data = LawData(
                self.sources, self.metrics, self.curves.mixtures, costs, Scale(unknown, unknown), self.own
            )
            self._mixing[params, tokens] = _MIXING.fit(data)
        return self._mixing[params, tokens]

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``.

        Raises:
            ConfigError: the scale is unknown; there are no mixing laws without one.
        """
        shares = np.atleast_2d(shares)
        result = np.empty((len(shares), len(self.metrics)))
        for rows, law in self._by_scale(len(shares), scale):
            result[rows] = law.costs(shares[rows])
        return result

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes`` and ``costs``."""
        shares = np.atleast_2d(shares)
        result = np.empty((len(shares), len(self.metrics), len(self.sources)))
        for rows, law in self._by_scale(len(shares), scale):
            result[rows] = law.slopes(shares[rows])
        return result

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``; nothing is known of it."""
        return np.zeros((len(np.atleast_2d(shares)), len(self.metrics)))

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``: curves and alpha, to which a mixing law is fitted at a scale."""
        unit = self.steps.unit
        curves: dict[str, list[Json]] = {name: [] for name in self.metrics}
        for place, beta in enumerate(self.steps.exponent.tolist()):
            for metric, name in enumerate(self.metrics):
                floor, fall = float(self.steps.floor[place, metric]), float(self.steps.fall[place, metric])
                if np.isfinite(floor):
                    curves[name].append(
                        {
                            "mixture": int(self.curves.mixture[place]),
                            "N": float(self.curves.sizes[self.curves.size[place]]),
                            "E": floor,
                            "B": fall * unit**beta,
                            "beta": beta,
                        }
                    )
        return {
            "law": self.law,
            "formula": (
                "y = E + B * D**-beta for each curve; over the curves of a mixture, y = F + A * N**-alpha by "
                "least squares, A >= 0, where there is one curve A is the mean over the other mixtures; over "
                "mixtures, y = c + k * exp(sum_i t[i] * w[i]) by Huber's function with its limit at huber"
            ),
            "sources": list(self.sources),
            "mixtures": self.curves.mixtures.tolist(),
            "alpha": self.alpha,
            "huber": _MIXING.huber,
            "metrics": {name: {"curves": entries} for name, entries in curves.items()},
        }

    def __getstate__(self) -> dict[str, object]:
        """Equal fits are equal files, whatever they were asked for."""
        return {**self.__dict__, "_mixing": {}}

    def _by_scale(self, count: int, scale: Scale) -> list[tuple[IntArray, FittedFormula]]:
        asked = np.stack(
            [
                np.broadcast_to(np.asarray(size, dtype=np.float64), (count,))
                for size in (scale.params, scale.tokens)
            ],
            axis=1,
        )
        if not np.isfinite(asked).all():
            raise ConfigError("nested predicts mixtures at a scale; give the parameters and tokens of each")
        scales, place = np.unique(asked, axis=0, return_inverse=True)
        return [
            (np.flatnonzero(place.ravel() == index), self.mixing(params, tokens))
            for index, (params, tokens) in enumerate(scales.tolist())
        ]


@dataclass(frozen=True)
class Nested:
    """The laws, ready to be fitted."""

    name: str = "nested"
    paper: str = "https://arxiv.org/abs/2403.16952"
    needs: str = (
        "learning curves of three lengths or more, of known parameters and tokens: more mixtures than "
        "sources, each at several sizes, three of which determine alpha; poor where shares come near zero"
    )
    cost: str = "tenths of a second, and as much as data_mixing_m4 for each scale that is asked for"
    deviations: str = (
        "Squares in units of a metric's spread instead of Huber's function for steps and sizes; alpha is "
        "found at the longest training, not at every number of tokens; floors may be negative."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``: of the mixing law; each curve has two more."""
        return _MIXING.parameters(sources)

    def fit(self, data: LawData, seed: int = 0) -> FittedNested:
        """See ``Law.fit``; nothing is random."""
        spread = Standardised.of(data).spread
        curves = Curves.of(data)
        longest = float(curves.tokens.max())
        steps = TiedPowers.fit(curves.tokens, curves.costs, spread, longest)
        values = curves.table(steps.at(longest))
        at = np.isfinite(values).sum(axis=0)  # sizes [M, E]
        wanted = self.parameters(len(data.sources))
        for index, name in enumerate(data.metrics):
            have = int((at[:, index] > 0).sum())
            if have < wanted or at[:, index].max() < 2:
                raise ConfigError(
                    f"{len(data)} runs are too few for nested: metric {name!r} has curves of {have} "
                    f"mixtures, of one mixture at {at[:, index].max()} sizes at most; {wanted} mixtures are "
                    f"needed for {len(data.sources)} sources, some of them at two sizes or more"
                )
        alpha = ALPHA
        if at.max() >= LEAST:
            alpha = float(_of_sizes(curves, values, spread).exponent[0])
        return FittedNested(data.sources, data.metrics, data.own, curves, steps, alpha)


def _of_sizes(
    curves: Curves, values: FloatArray, spread: FloatArray, exponent: FloatArray | None = None
) -> TiedPowers:
    """Power laws in the parameters, of values [Z, M, E]: one group, a curve for each mixture and metric."""
    flat = values.reshape(1, len(values), -1)
    weights = np.tile(spread, values.shape[1])
    return TiedPowers.fit(curves.sizes[None], flat, weights, float(curves.sizes[-1]), exponent)
