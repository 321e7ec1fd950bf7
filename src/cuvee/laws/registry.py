"""The table of laws. A new law is a file beside this one, a row here, and its name in `cli/names.py`."""

from cuvee.laws.bimix import BiMix
from cuvee.laws.capacity_allocation import CapacityAllocation
from cuvee.laws.data_mixing_laws import DATA_MIXING_LAWS
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.ensemble import LawEnsemble
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import Law
from cuvee.laws.linear import LinearLaw
from cuvee.laws.log_linear import LOG_LINEAR
from cuvee.laws.nested import Nested
from cuvee.laws.projektor import ProjektorLaw
from cuvee.laws.regmix import RegMix
from cuvee.laws.scaling_laws import SCALING_LAWS
from cuvee.lookup import row_named

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        LinearLaw(),
        *DATA_MIXING_LAWS,
        LOG_LINEAR,
        BiMix(),
        RegMix(),
        ProjektorLaw(),
        EffectiveData(),
        GaussianProcess("sqrt"),
        GaussianProcess("log"),
        LawEnsemble(),
        *SCALING_LAWS,
        Nested(),
        CapacityAllocation(),
        EffectiveDataScaling(),
    )
}


def law_named(name: str) -> Law:
    """A row of ``LAWS``.

    Raises:
        ConfigError: there is none of that name; the message lists all names.
    """
    return row_named(LAWS, name, "law")
