"""RHO, where the contract of methods (``test_valuers.py``) does not reach."""

import numpy as np
import pytest

from cuvee.valuation.methods.rho import Rho
from cuvee.valuation.substrates import NotAtHand, Substrates
from tests.valuation.conftest import Tables


def test_a_target_of_less_than_a_batch_lets_other_methods_go_on(tables: Tables, learnt: Substrates) -> None:
    few = tables.target.select(np.arange(4))
    with pytest.raises(NotAtHand, match=r"half of the target has .* less than one batch of 128; give"):
        Rho().value(tables.pool, few, learnt, 0)
