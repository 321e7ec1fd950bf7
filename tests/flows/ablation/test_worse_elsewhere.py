"""Evaluations without a weight are compared with the equal shares of the tables, which the limits allow."""

import numpy as np
import pytest

from cuvee.flows.ablation.judge import Judge
from cuvee.flows.ablation.warnings import worse_elsewhere
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray
from tests.flows.ablation.judge_cases import SOURCES, documents, findings, scored

EACH = 10
PICK = (0.75, 0.15, 0.10)
NEAREST = (0.60, 0.20, 0.20)


def losses(shares: FloatArray) -> FloatArray:
    """The first evaluation is lowest at the pick; the second at the least that is allowed of a source,
    and highest at equal shares."""
    share = shares[:, :1]
    first, second = 3.0 + np.square(share - PICK[0]), 3.0 + np.square(share - NEAREST[0])
    return np.repeat(np.concatenate([first, second], axis=1), EACH, axis=1)


@pytest.mark.parametrize(("least", "said"), [(0.6, True), (0.0, False)])
def test_what_gets_worse_gets_worse_in_the_table(least: float, said: bool) -> None:
    region = Region.bounded(SOURCES, minimum={SOURCES[0]: least})
    of = (Mixture.uniform(SOURCES), Mixture(SOURCES, np.array(NEAREST)), Mixture(SOURCES, np.array(PICK)))
    found = findings((*of, region.project(of[0].shares)), documents(EACH), losses, region)
    judge = Judge(found, None, None, {"first": 1.0, "second": 0.0}, 0, pairs=10)
    judge = judge.with_more(scored((judge.pick,), documents(EACH), losses))
    assert judge.pick.shares == pytest.approx(PICK)
    sentences = list(worse_elsewhere(judge))
    assert bool(sentences) is said
    assert all("1 of 1 evaluation without a weight is" in one and "(second)" in one for one in sentences)
