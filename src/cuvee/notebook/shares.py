"""Shares as a notebook gives them: dictionaries or mixtures, one or several."""

from collections.abc import Mapping, Sequence

from cuvee.errors import MixtureError
from cuvee.mixture.mixture import Mixture

Shares = Mapping[str, float] | Mixture
"""A mixture: token shares by name, one together. A source that is not named has none."""


def mixtures_of(given: Shares | Sequence[Shares], sources: Sequence[str]) -> tuple[Mixture, ...]:
    """Mixtures over exactly these sources.

    Raises:
        MixtureError: none is given, a source is unknown, or shares are no mixture.
    """
    several = (given,) if isinstance(given, Mapping | Mixture) else tuple(given)
    if not several:
        raise MixtureError('no mixture is given; give one as in {"web": 0.7, "code": 0.3}')
    return tuple(_mixture(one, sources) for one in several)


def _mixture(one: object, sources: Sequence[str]) -> Mixture:
    if not isinstance(one, Mapping | Mixture):
        raise MixtureError(f"{one!r} is no mixture; give shares by name, as in {{'web': 0.7, 'code': 0.3}}")
    names = one.names if isinstance(one, Mixture) else tuple(one)
    if unknown := [name for name in names if name not in sources]:
        raise MixtureError(f"no source {unknown[0]!r}; there are: {', '.join(sources)}")
    mixture = one if isinstance(one, Mixture) else Mixture.of(one)
    return mixture.reindexed(sources)
