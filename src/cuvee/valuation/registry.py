"""The methods of valuation. A new one is a file in ``methods/``, a row here, a name in ``cli/names.py``."""

from cuvee.lookup import row_named
from cuvee.valuation.methods.ask_llm import AskLLM
from cuvee.valuation.methods.medu import Medu
from cuvee.valuation.methods.random_values import RandomValues
from cuvee.valuation.valuer import Valuer

VALUERS: dict[str, Valuer] = {method.name: method for method in (RandomValues(), AskLLM(), Medu())}


def valuer_named(name: str) -> Valuer:
    """A row of ``VALUERS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(VALUERS, name, "method of valuation")
