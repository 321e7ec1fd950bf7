"""The benchmark of verdicts: its studies, and its tables on rows whose truth is known."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import trust, trust_rows
from benchmarks.trust_study import DEMOS, NOISE, TrustStudy
from cuvee.decisions.check import EQUAL, PICK, PROPORTIONAL
from cuvee.evaluation.scores import Documents, Scores
from cuvee.study.file.config import StudyConfig
from cuvee.types import Json


def row(
    number: int, verdict: str, true: tuple[float, float], measured: float = -0.1, half: float = 0.02
) -> Json:
    """A study whose pick truly differs by so much from equal and proportional shares."""
    losses = {PICK: [3.0, 3.0, 3.0]}
    losses |= {name: [3.0 - d] * 3 for name, d in zip((EQUAL, PROPORTIONAL), true, strict=True)}
    said = [measured, measured - half, measured + half]
    return {
        "study": number,
        "settings": TrustStudy(number).settings(),
        "verdict": verdict,
        "predicted": {EQUAL: said, PROPORTIONAL: said},
        "measured": {EQUAL: said, PROPORTIONAL: said},
        "truth": {
            "losses": losses,
            "error": {EQUAL: 0.001, PROPORTIONAL: 0.001},
            "regret": 0.004 * number,
            "worst_less_best": 0.3,
        },
        "earlier": None,
        "seconds": 100.0,
    }


ROWS = [
    row(0, "confirmed", (-0.1, -0.1)),  # right, both gains held
    row(1, "confirmed", (-0.1, 0.01)),  # wrong: worse than proportional shares by ten errors; one gain held
    row(2, "refuted", (0.1, -0.05)),  # right; no gain held
    row(3, "not confirmed", (-0.12, -0.0805)),  # both held, the first by its edge
]


def test_intervals_of_a_share_are_those_of_clopper_and_pearson() -> None:
    assert trust.binomial_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert trust.binomial_interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert trust.binomial_interval(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_coverage_counts_gains_that_lie_in_their_interval() -> None:
    measured, predicted = trust.coverage(ROWS).rows
    assert measured[1:3] == predicted[1:3] == (8, 5)
    assert measured[4] == pytest.approx(5.0), "the gain of +.1 lies five widths off"
    assert measured[5] == pytest.approx(0.04)


def test_verdicts_are_counted_by_what_is_true() -> None:
    rows = {line[0]: line[1:] for line in trust.verdicts(ROWS).rows}
    assert rows["confirmed"] == (2, 0.5, 1, 1)
    assert rows["refuted"] == (1, 0.25, 0, 0)
    assert rows["not confirmed"] == (1, 0.25, 1, 1)
    assert rows["not checked"] == (0, 0.0, 0, 0)


def test_regret_is_measured_on_other_documents_than_the_best_was_chosen_on() -> None:
    documents = Documents(("e",), ("e",), np.zeros(4, dtype=np.int64), np.full(4, 10), np.full(4, 10.0))
    nats = np.array(
        [[30.0, 30, 30, 30], [35, 10, 35, 10], [31, 31, 31, 31]]
    )  # the second is lucky on one half
    best, regret, apart = trust_rows._regret(Scores(documents, nats), np.ones(1))
    assert best == 1
    assert regret == pytest.approx(3.0 - 3.5)
    assert apart == pytest.approx(3.1 - 3.5)
    (line,) = trust.regrets(ROWS).rows
    assert line[:2] == (4, 4), "the limit is a tenth of worst less best"


def test_every_study_stands_in_the_last_table_and_none_was_developed_on() -> None:
    assert [line[0] for line in trust.every(ROWS).rows] == [0, 1, 2, 3]
    used = {*trust.REPORTED, *NOISE, *DEMOS}
    assert len(used) == len(trust.REPORTED) + len(NOISE) + len(DEMOS)
    assert used.isdisjoint(trust.DEVELOPED_ON)
    assert len(trust.REPORTED) >= 40


@pytest.mark.parametrize("number", [0, 1, 5, 17, 41, NOISE[0], DEMOS[0], trust.DEVELOPED_ON[0]])
def test_a_study_is_a_function_of_its_number(number: int, tmp_path: Path) -> None:
    settings = TrustStudy(number).settings()
    assert settings == TrustStudy(number).settings()
    sizes = settings.pop("megabytes")
    config = StudyConfig.parse(settings, tmp_path)
    assert set(sizes) == set(config.sources)
    assert config.check.seeds >= 3 and config.references.count >= 10
    assert sum(config.target_weights.values()) == pytest.approx(1.0)


def test_equal_numbers_of_a_kind_are_spread_over_targets() -> None:
    kinds = [trust._kind(TrustStudy(number).settings()) for number in trust.REPORTED]
    assert set(kinds) == {"all alike", "weighted", "one inside", "outside"}
    assert max(kinds.count(kind) for kind in set(kinds)) <= 0.6 * len(kinds)
