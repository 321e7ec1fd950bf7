"""The table of laws (floor 4). A new law is a file beside this one and a row here."""

import difflib

from cuvee.errors import ConfigError
from cuvee.laws.bimix import BiMix
from cuvee.laws.data_mixing_laws import DATA_MIXING_LAWS
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.ensemble import Ensemble
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import Law
from cuvee.laws.linear import Linear
from cuvee.laws.log_linear import LOG_LINEAR
from cuvee.laws.regmix import RegMix
from cuvee.laws.scaling_laws import SCALING_LAWS

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        Linear(),
        *DATA_MIXING_LAWS,
        LOG_LINEAR,
        BiMix(),
        RegMix(),
        EffectiveData(),
        GaussianProcess("sqrt"),
        GaussianProcess("log"),
        Ensemble(),
        *SCALING_LAWS,
        EffectiveDataScaling(),
    )
}


def law_named(name: str) -> Law:
    """A row of ``LAWS``.

    Raises:
        ConfigError: there is none of that name; the names are told.
    """
    if name in LAWS:
        return LAWS[name]
    near = difflib.get_close_matches(name, LAWS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(f"no law {name!r}{hint}; there are: {', '.join(LAWS)}")
