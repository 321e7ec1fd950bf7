"""Many merges: scores in memory, paired differences with their errors, and racing."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.evaluation.paired import compare, standard_errors
from cuvee.evaluation.race import race
from cuvee.evaluation.scores import Documents, Scores
from cuvee.evaluation.scoring import iterate_scores, score_members, score_merges, weights_of
from cuvee.merging.linear import Linear
from cuvee.merging.merge import Merge
from tests.evaluation.tiny_language import evaluator, pool

TARGET = np.array([0.5, 0.3, 0.2])


def draws(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(6), count)


class Listener:
    def __init__(self) -> None:
        self.stages: list[float] = []
        self.done = 0.0

    def stage(self, title: str, total: float, unit: str) -> None:
        self.stages.append(total)

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount

    def message(self, text: str) -> None: ...


def test_scores_of_merges_are_those_of_the_merged_models() -> None:
    one, listener = evaluator(), Listener()
    merges = [Merge.macro(pool().roster), Merge.micro(pool().roster), Merge.one(pool().roster, "code/1")]
    scores = score_merges(one, pool(), weights_of(merges), progress=listener)
    for merge, nats in zip(merges, scores.nats, strict=True):
        np.testing.assert_array_equal(nats, one.score(Linear().merge(pool(), merge.weights)).nats)
    assert (listener.stages, listener.done) == ([3], 3)


def test_resuming_repeats_the_same_bits() -> None:
    one, weights = evaluator(), draws(5)
    whole = score_merges(one, pool(), weights)
    for position, scores in iterate_scores(one, pool(), weights, start=3):
        np.testing.assert_array_equal(scores.nats, whole.nats[position])


def test_each_member_is_best_at_its_own_source() -> None:
    losses = score_members(evaluator(), pool()).nats_per_token
    assert losses.argmin(axis=0).tolist() == pytest.approx([0.5, 2.5, 4.5], abs=0.5)


def synthetic(nats: np.ndarray, tokens: np.ndarray, evaluation: np.ndarray | None = None) -> Scores:
    owner = np.zeros(len(tokens), dtype=np.int64) if evaluation is None else evaluation
    names = tuple(f"e{i}" for i in range(int(owner.max()) + 1))
    return Scores(Documents(names, names, owner, tokens, tokens.astype(float)), nats)


def test_the_error_of_a_mean_over_equal_documents_is_the_textbook_one() -> None:
    rng = np.random.default_rng(0)
    nats = rng.normal(300, 20, 200)
    scores = synthetic(nats, np.full(200, 100))
    expected = nats.std(ddof=1) / np.sqrt(200) / 100
    assert standard_errors(scores, 4000)[0] == pytest.approx(expected, rel=0.04)


def test_the_error_is_that_of_a_ratio_of_sums() -> None:
    """Documents of one loss per token have no error, however their lengths differ."""
    tokens = np.random.default_rng(0).integers(10, 1000, 50)
    assert standard_errors(synthetic(2.5 * tokens, tokens))[0] < 1e-12


def test_the_error_covers_what_new_documents_would_change() -> None:
    rng = np.random.default_rng(1)
    tokens = rng.integers(20, 400, (300, 40))
    nats = tokens * rng.normal(3.0, 0.5, tokens.shape)
    true_spread = (nats.sum(1) / tokens.sum(1)).std()
    told = np.mean([standard_errors(synthetic(n, t), 200)[0] for n, t in zip(nats, tokens, strict=True)])
    assert told == pytest.approx(true_spread, rel=0.1)


def test_differences_are_paired() -> None:
    """What all models share cancels: the error is that of the difference."""
    rng = np.random.default_rng(2)
    shared, tokens = rng.normal(300, 100, 100), np.full(100, 100)
    base = synthetic(shared, tokens)
    models = synthetic(shared + np.array([[5.0], [0.0]]) + rng.normal(0, 1, (2, 100)), tokens)
    found = compare(models, base)
    np.testing.assert_allclose(found.difference[:, 0], [0.05, 0.0], atol=0.005)
    assert (found.standard_error < 0.002).all()
    assert standard_errors(base)[0] > 0.05


def test_weighted_differences_add_errors_in_quadrature() -> None:
    rng = np.random.default_rng(3)
    owner = np.repeat([0, 1], 100)
    scores = synthetic(rng.normal(10, 1, 200), np.full(200, 10), owner)
    found = compare(scores, synthetic(np.zeros(200), np.full(200, 10), owner))
    difference, error = found.weighted(np.array([0.5, 2.0]))
    assert difference == pytest.approx(0.5 * found.difference[0] + 2 * found.difference[1])
    assert error == pytest.approx(np.hypot(0.5 * found.standard_error[0], 2 * found.standard_error[1]))


def test_one_document_tells_no_error() -> None:
    scores = synthetic(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]), np.array([0, 1, 1]))
    errors = standard_errors(scores)
    assert np.isinf(errors[0])
    assert np.isfinite(errors[1])
    found = compare(scores, scores)
    assert np.isfinite(found.weighted(np.array([0.0, 1.0]))[1])


def test_equal_seeds_give_equal_errors() -> None:
    scores = score_members(evaluator(), pool())
    np.testing.assert_array_equal(standard_errors(scores, seed=4), standard_errors(scores, seed=4))


def test_a_race_finds_the_best_for_less() -> None:
    one, weights = evaluator(count=60), draws(40)
    losses = score_merges(one, pool(), weights).nats_per_token @ TARGET
    found = race(one, pool(), weights, TARGET, seed=0)
    assert found.survivors[0] == losses.argmin()
    np.testing.assert_allclose(found.losses[found.survivors], losses[found.survivors], rtol=1e-6)
    np.testing.assert_allclose(found.scores.nats_per_token @ TARGET, losses[found.survivors], rtol=1e-6)
    assert found.spent_tokens < 0.75 * found.full_tokens == 0.75 * 40 * one.tokens
    assert set(found.tied) <= set(found.survivors)
    assert np.isfinite(found.losses).all()
    assert (found.rungs[found.survivors] == found.rungs.max()).all()


def test_a_race_drops_nothing_that_is_within_noise() -> None:
    twins = np.tile(draws(1), (10, 1))
    found = race(evaluator(), pool(), twins, TARGET, seed=0)
    assert sorted(found.survivors) == list(range(10)) == sorted(found.tied)
    assert found.spent_tokens == found.full_tokens


def test_a_race_with_one_document_drops_nothing() -> None:
    found = race(evaluator(count=1), pool(), draws(8), np.array([1.0, 0, 0]), seed=0)
    assert len(found.survivors) == 8


def test_races_of_one_seed_are_equal() -> None:
    one, weights = evaluator(count=30), draws(12)
    runs = [race(one, pool(), weights, TARGET, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)


@pytest.mark.parametrize("rungs", [(0.5,), (0.5, 0.25, 1.0), (0.0, 1.0)])
def test_rungs_must_grow_to_one(rungs: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="rungs"):
        race(evaluator(), pool(), draws(2), TARGET, seed=0, rungs=rungs)
