"""The methods of valuation. A new one is a file in ``methods/``, a row here, a name in ``cli/names.py``."""

from cuvee.lookup import row_named
from cuvee.valuation.methods.gotd import GotD
from cuvee.valuation.methods.lava import Lava
from cuvee.valuation.methods.projektor import Projektor
from cuvee.valuation.methods.random_values import RandomValues
from cuvee.valuation.valuer import Valuer

VALUERS: dict[str, Valuer] = {method.name: method for method in (RandomValues(), Lava(), GotD(), Projektor())}


def valuer_named(name: str) -> Valuer:
    """A row of ``VALUERS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(VALUERS, name, "method of valuation")
