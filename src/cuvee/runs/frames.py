"""Observations as a frame of a library that the user has; cuvee itself needs none of them."""

from importlib import import_module
from typing import Any

from cuvee.errors import ConfigError
from cuvee.runs.observations import Observations
from cuvee.runs.tables import to_table


def to_pandas(observations: Observations) -> Any:
    """A ``pandas.DataFrame`` with the columns of ``to_table``."""
    _imported("pandas")
    return to_table(observations).to_pandas()


def to_polars(observations: Observations) -> Any:
    """A ``polars.DataFrame`` with the columns of ``to_table``."""
    return _imported("polars").from_arrow(to_table(observations))


def _imported(library: str) -> Any:
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ConfigError(
            f"{library} is not installed here; install it (`pip install {library}`), or use to_table() "
            "for an Arrow table"
        ) from error
