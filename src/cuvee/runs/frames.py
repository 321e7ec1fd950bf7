"""An Arrow table as a frame of a library that the user has; cuvee itself needs none of them."""

from importlib import import_module
from typing import Any

from cuvee.errors import ConfigError


def to_pandas(table: Any) -> Any:
    """A ``pandas.DataFrame`` with the columns of an Arrow table."""
    _imported("pandas")
    return table.to_pandas()


def to_polars(table: Any) -> Any:
    """A ``polars.DataFrame`` with the columns of an Arrow table."""
    return _imported("polars").from_arrow(table)


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
