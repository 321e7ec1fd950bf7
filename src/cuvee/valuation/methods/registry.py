"""The methods of valuation. A new one is a file in ``methods/``, a row here, a name in ``cli/names.py``."""

from cuvee.lookup import row_named
from cuvee.valuation.methods.ask_llm import AskLLM
from cuvee.valuation.methods.d4 import D4
from cuvee.valuation.methods.density import Density
from cuvee.valuation.methods.disf import Disf
from cuvee.valuation.methods.dsir import Dsir
from cuvee.valuation.methods.forward_inf import FORWARD_INF
from cuvee.valuation.methods.gotd import GotD
from cuvee.valuation.methods.in_run_shapley import IN_RUN
from cuvee.valuation.methods.knn_shapley import KnnShapley
from cuvee.valuation.methods.lava import Lava
from cuvee.valuation.methods.medu import Medu
from cuvee.valuation.methods.projektor import Projektor
from cuvee.valuation.methods.random_values import RandomValues
from cuvee.valuation.methods.rho import Rho
from cuvee.valuation.valuer import Valuer

VALUERS: dict[str, Valuer] = {
    method.name: method
    for method in (
        *IN_RUN,
        *FORWARD_INF,
        Rho(),
        GotD(),
        Lava(),
        Projektor(),
        Dsir(),
        Density(),
        D4(),
        Disf(),
        KnnShapley(),
        AskLLM(),
        Medu(),
        RandomValues(),
    )
}


def valuer_named(name: str) -> Valuer:
    """A row of ``VALUERS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(VALUERS, name, "method of valuation")
