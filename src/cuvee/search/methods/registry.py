"""The search methods. A new one is a file beside this one, a row here, and its name in `cli/names.py`."""

from cuvee.lookup import row_named
from cuvee.search.methods.cost_aware import CostAware
from cuvee.search.methods.duet import Duet
from cuvee.search.methods.expected_improvement import ExpectedImprovement
from cuvee.search.methods.law_optimum import LAW_OPTIMA
from cuvee.search.methods.mfms import MultiFidelityMultiScale
from cuvee.search.methods.random_draws import RANDOM_DRAWS
from cuvee.search.methods.sobol import Sobol
from cuvee.search.methods.successive_halving import SUCCESSIVE_HALVING
from cuvee.search.methods.transfer import Transfer
from cuvee.search.proposer import Method

SEARCH_METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        CostAware(),
        Transfer(),
        *LAW_OPTIMA,
        ExpectedImprovement(),
        Duet(),
        MultiFidelityMultiScale(),
        *SUCCESSIVE_HALVING,
        Sobol(),
        *RANDOM_DRAWS,
    )
}


def method_named(name: str) -> Method:
    """A row of ``SEARCH_METHODS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(SEARCH_METHODS, name, "search method")
