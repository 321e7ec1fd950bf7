"""Asked: the mixtures that a law is asked about, checked where they come in.

Whoever asks a fitted law goes through ``CheckedQuestions``, which takes mixtures by name or shares by
position and refuses what is no mixture: powers of a negative share or of shares that sum to two are numbers,
too. What optimises over shares calls ``costs``, ``slopes`` and ``uncertainty`` of the law, which check
nothing.
"""

import numpy as np

from cuvee.errors import ConfigError, MixtureError
from cuvee.laws.interface import UNKNOWN_SCALE, Asked, FittedLaw, Scale
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.types import FloatArray


class CheckedQuestions:
    """The public questions of a fitted law, answered by its unchecked ones."""

    def predict(self: FittedLaw, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.predict``."""
        return self.costs(*checked(mixtures, scale, self.sources))

    def gradient(self: FittedLaw, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.gradient``."""
        return self.slopes(*checked(mixtures, scale, self.sources))

    def deviation(self: FittedLaw, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.deviation``."""
        return self.uncertainty(*checked(mixtures, scale, self.sources))


def checked(mixtures: Asked, scale: Scale, sources: tuple[str, ...]) -> tuple[FloatArray, Scale]:
    """Shares [M, S] and their scale.

    Raises:
        MixtureError: see ``shares_of``.
        ConfigError: a scale for another number of mixtures.
    """
    shares = shares_of(mixtures, sources)
    for name, size in (("parameters", scale.params), ("tokens", scale.tokens)):
        if np.ndim(size) and np.shape(size) != (len(shares),):
            raise ConfigError(
                f"the scale has {name} of shape {np.shape(size)} for {len(shares)} mixtures; give one "
                "number, or one a mixture"
            )
    return shares, scale


def shares_of(mixtures: Asked, sources: tuple[str, ...]) -> FloatArray:
    """Shares [M, S] in the order of ``sources``; arrays are passed on as they are.

    Raises:
        MixtureError: a mixture has a source that the law does not know; or shares are too many or too few,
            negative, not finite, or do not sum to one within 1e-6 (the message names the row).
    """
    if isinstance(mixtures, Mixture):
        return _by_name(mixtures, sources)[None]
    if isinstance(mixtures, list | tuple) and any(isinstance(one, Mixture) for one in mixtures):
        return np.stack([_by_name(one, sources) for one in mixtures])
    try:
        shares = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise MixtureError(
            f"a law is asked about Mixture objects or an array of shares, not {type(mixtures).__name__}"
        ) from error
    _check(shares, sources)
    return shares


def _by_name(mixture: object, sources: tuple[str, ...]) -> FloatArray:
    if not isinstance(mixture, Mixture):
        raise MixtureError(f"among mixtures there is a {type(mixture).__name__}; give only Mixture objects")
    if unknown := [name for name in mixture.support if name not in sources]:
        raise MixtureError(f"the law knows no source {unknown[0]!r}; it knows: {', '.join(sources)}")
    return mixture.reindexed(sources).shares


def _check(shares: FloatArray, sources: tuple[str, ...]) -> None:
    if shares.ndim != 2 or shares.shape[1] != len(sources):
        raise MixtureError(
            f"shares of shape {shares.shape} for a law of {len(sources)} sources ({', '.join(sources)}); "
            "give one share a source, or a row of them a mixture"
        )
    if not (wrong := ~(shares >= 0.0) | ~np.isfinite(shares)).any():
        if not (off := np.abs(shares.sum(axis=1) - 1.0) > SUM_TOLERANCE).any():
            return
        row = int(off.argmax())
        raise MixtureError(f"row {row} of the shares sums to {shares[row].sum():.10g}, not to 1")
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    raise MixtureError(
        f"row {row} of the shares has {shares[row, column]} of {sources[column]!r}; shares are finite and "
        "not negative"
    )
