"""The table of laws (floor 4). A new law is a file beside this one and a row here."""

import difflib

from cuvee.errors import ConfigError
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.ensemble import Ensemble
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import Law

LAWS: dict[str, Law] = {
    law.name: law for law in (EffectiveData(), GaussianProcess("sqrt"), GaussianProcess("log"), Ensemble())
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
