"""Mixtures of sources, the regions they may lie in, and designs of mixtures to try.

``mixture.py`` the value, ``region.py`` what is allowed, ``designs.py`` what to try;
``capped_simplex.py`` and ``capped_draws.py`` hold the geometry and the sampling behind a region.
"""

from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region

__all__ = ["Mixture", "Region", "designs"]
