"""Many merges: scores in memory, paired differences with their errors, and races."""

from dataclasses import replace

import numpy as np
import pytest

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.paired import compare, standard_errors
from cuvee.evaluation.race import PART, completed, part_windows, survivors
from cuvee.evaluation.scores import Documents, Scores
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.linear import LinearMerge
from cuvee.types import FloatArray, IntArray
from tests.evaluation.tiny_language import SOURCES, Bigram, evaluation_set, evaluator, pool

TARGET = np.array([0.5, 0.3, 0.2])


def draws(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(6), count)


def scores_of(one: Evaluator, weights: FloatArray) -> Scores:
    """Of linear merges."""
    return score_merges(one, pool(), LinearMerge(), weights)


def test_scores_of_merges_are_those_of_the_merged_models() -> None:
    one, weights, done = evaluator(), np.concatenate([draws(2), np.eye(6)[3:4]]), []
    scores = score_merges(one, pool(), LinearMerge(), weights, lambda: done.append(1))
    for row, nats in zip(weights, scores.nats, strict=True):
        np.testing.assert_array_equal(nats, one.score(LinearMerge().merge(pool(), row)).nats)
    assert len(done) == 3


def test_resuming_repeats_the_same_bits() -> None:
    one, weights = evaluator(), draws(5)
    np.testing.assert_array_equal(scores_of(one, weights[3:]).nats, scores_of(one, weights).nats[3:])


def test_each_member_is_best_at_its_own_source() -> None:
    losses = scores_of(evaluator(), np.eye(6)).nats_per_token
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


def test_few_documents_that_weigh_most_give_few_degrees_of_freedom() -> None:
    """Not those of all documents: of 5 with nearly all of the error there are 4."""
    rng = np.random.default_rng(4)
    owner, tokens = np.repeat([0, 1], [5, 500]), np.full(505, 10)
    found = compare(synthetic(rng.normal(10, 1, 505), tokens, owner), synthetic(np.zeros(505), tokens, owner))
    assert found.freedom(np.array([1.0, 0.0])) == pytest.approx(4)
    assert found.freedom(np.array([0.0, 1.0])) == pytest.approx(499)
    parts = np.square(found.standard_error * [0.9, 0.1])
    assert found.freedom(np.array([0.9, 0.1])) == pytest.approx(
        parts.sum() ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 499)
    )
    assert found.freedom(np.array([0.9, 0.1])) < 4.1


def test_evaluations_of_one_text_have_one_error() -> None:
    """Halves of the weight on the same documents twice are all of it on them once."""
    rng = np.random.default_rng(5)
    one = rng.normal(10, 1, 20)
    nats, tokens, owner = np.concatenate([one, one]), np.full(40, 10), np.repeat([0, 1], 20)
    scores = synthetic(nats, tokens, owner)
    twice = Scores(replace(scores.documents, keys=("same", "same")), scores.nats)
    found = compare(twice, Scores(twice.documents, np.zeros(40)))
    assert found.weighted(np.array([0.5, 0.5]))[1] == pytest.approx(found.standard_error[0])
    assert found.freedom(np.array([0.5, 0.5])) == pytest.approx(19)


def test_one_document_tells_no_error() -> None:
    scores = synthetic(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]), np.array([0, 1, 1]))
    errors = standard_errors(scores)
    assert np.isinf(errors[0])
    assert np.isfinite(errors[1])
    found = compare(scores, scores)
    assert np.isfinite(found.weighted(np.array([0.0, 1.0]))[1])


def test_equal_seeds_give_equal_errors() -> None:
    scores = scores_of(evaluator(), np.eye(6))
    np.testing.assert_array_equal(standard_errors(scores, seed=4), standard_errors(scores, seed=4))


# Races: a part of the windows, and what it lacks from the ensemble


def equal_windows(windows: tuple[int, ...] = (16, 24)) -> Evaluator:
    """Evaluations of full windows alone, each of documents that do not end with one."""
    sets = []
    for place, count in enumerate(windows):
        lengths = np.diff([0, *range(5 + place, 16 * count, 11), 16 * count])
        sets.append(evaluation_set(SOURCES[place], [np.ones(length, dtype=np.int64) for length in lengths]))
    return Evaluator.of(Bigram(), sets)


def scored_on(one: Evaluator, windows: IntArray, log_probs: FloatArray) -> Scores:
    """Scores by the log-probabilities of all scored tokens, in some of the windows."""
    inside = np.isin(one.scored // one.inputs.shape[1], windows)
    return one.select(windows).scores_of(log_probs[inside].astype(np.float32))


def tokens_of(one: Evaluator, seed: int) -> tuple[FloatArray, FloatArray]:
    """Log-probabilities of all tokens under a control, and how a model differs; dyadic, for exact sums."""
    rng = np.random.default_rng(seed)
    control = -rng.integers(1, 2**10, one.tokens) / 2**7
    return control, -rng.integers(1, 2**10, one.tokens) / 2**9


def test_the_part_is_every_eighth_window_of_each_evaluation() -> None:
    one = evaluator(count=20)
    owner = one.window_evaluation
    chosen = part_windows(one)
    assert PART == 8
    assert chosen.tolist() == sorted(chosen.tolist())
    for position in range(len(SOURCES)):
        first = int(np.flatnonzero(owner == position)[0])
        inside = chosen[owner[chosen] == position]
        assert inside.tolist() == list(range(first, first + int((owner == position).sum()), 8))
    short = evaluator(count=1)
    assert set(short.window_evaluation[part_windows(short)].tolist()) == {0, 1, 2}


def test_what_a_part_lacks_is_known_where_the_difference_to_the_ensemble_is_one_number() -> None:
    one = evaluator(count=20)
    control, _ = tokens_of(one, seed=0)
    gap = np.array([0.5, -0.25, 0.125])[one.documents.evaluation[one.token_document]]
    windows = part_windows(one)
    found = completed(
        scored_on(one, windows, control + gap),
        scored_on(one, windows, control),
        scored_on(one, np.arange(len(one.inputs)), control),
    )
    truth = scored_on(one, np.arange(len(one.inputs)), control + gap)
    np.testing.assert_allclose(found.nats_per_token, truth.nats_per_token, rtol=1e-12)
    part = scored_on(one, windows, control + gap)
    assert np.abs(part.nats_per_token - truth.nats_per_token).max() > 0.01, "the part alone is another loss"


def test_nothing_is_estimated_where_the_part_is_everything() -> None:
    one = evaluator()
    control, gap = tokens_of(one, seed=1)
    whole = np.arange(len(one.inputs))
    truth = scored_on(one, whole, control + gap)
    found = completed(truth, scored_on(one, whole, control), scored_on(one, whole, control))
    np.testing.assert_array_equal(found.nats, truth.nats)


def test_the_estimate_is_unbiased_over_the_parts_that_might_have_been() -> None:
    """The eight parts that begin with another window each: their estimates have the truth as their mean."""
    one = equal_windows()
    control, gap = tokens_of(one, seed=2)
    whole = np.arange(len(one.inputs))
    truth = scored_on(one, whole, control + gap).nats_per_token
    found = []
    for start in range(PART):
        windows = part_windows(one) + start
        found.append(
            completed(
                scored_on(one, windows, control + gap),
                scored_on(one, windows, control),
                scored_on(one, whole, control),
            ).nats_per_token
        )
    np.testing.assert_allclose(np.mean(found, axis=0), truth, rtol=1e-12)
    assert np.std(found, axis=0).min() > 1e-3


def test_many_models_are_completed_as_each_alone() -> None:
    one, weights = evaluator(count=20), draws(3)
    windows = part_windows(one)
    ensemble = Ensemble.of(one, pool())
    part = scores_of(one.select(windows), weights)
    control_part, control = ensemble.select(one, windows).score(weights), ensemble.score(weights)
    together = completed(part, control_part, control)
    for row in range(3):
        alone = completed(part[row], control_part[row], control[row])
        np.testing.assert_array_equal(together.nats[row], alone.nats)


def test_a_part_with_the_ensemble_comes_nearer_to_all_windows_than_the_part_alone() -> None:
    one, weights = evaluator(count=60), draws(40)
    windows = part_windows(one)
    ensemble = Ensemble.of(one, pool())
    part = scores_of(one.select(windows), weights)
    truth = scores_of(one, weights).nats_per_token
    found = completed(part, ensemble.select(one, windows).score(weights), ensemble.score(weights))
    errors = [np.sqrt(np.square(scores.nats_per_token - truth).mean()) for scores in (found, part)]
    assert errors[0] < 0.3 * errors[1]
    best = (truth @ TARGET).argmin()
    assert best in survivors(found.nats_per_token @ TARGET)


def test_an_ensemble_on_some_windows_is_that_of_the_evaluator_on_them() -> None:
    one = evaluator(count=20)
    windows = part_windows(one)
    selected, made = Ensemble.of(one, pool()).select(one, windows), Ensemble.of(one.select(windows), pool())
    np.testing.assert_array_equal(selected.documents.tokens, made.documents.tokens)
    np.testing.assert_allclose(selected.log_probs, made.log_probs, atol=1e-6)


def test_the_best_eighth_survives_the_best_first() -> None:
    assert survivors(np.array([3.0, 1.0, 2.0])).tolist() == [1]
    losses = np.random.default_rng(0).permutation(20) / 7
    assert survivors(losses).tolist() == np.argsort(losses)[:3].tolist()
    assert survivors(np.zeros(17)).tolist() == [0, 1, 2], "of equals the first"
