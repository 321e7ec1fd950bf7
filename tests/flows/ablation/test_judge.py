"""Which mixture to take, how sure that is, and by how much a choice flatters itself: without training."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cuvee.flows.ablation.judge import Judge
from cuvee.honesty.proxy_choice import choose_proxy
from cuvee.mixture.region import Region
from cuvee.types import FloatArray
from tests.flows.ablation.judge_cases import (
    SOURCES,
    TARGET,
    WEIGHTS,
    NatsPerToken,
    documents,
    findings,
    mixtures,
    scored,
    trained,
)

BEST = np.array([0.6, 0.3, 0.1])


def bowl(shares: FloatArray, depth: float = 1.0) -> FloatArray:
    """Losses [M, 1], lowest at ``BEST``: the same of all documents."""
    return 3.0 + depth * np.square(shares - BEST).sum(axis=1, keepdims=True)


def rough_bowl(rough: NatsPerToken) -> NatsPerToken:
    """The bowl with what differs between documents."""
    return lambda shares: bowl(shares) + rough(shares)


def on_all(losses: NatsPerToken, count: int) -> NatsPerToken:
    """The same for so many documents."""
    return lambda shares: np.broadcast_to(losses(shares), (len(shares), count))


def noisy(count: int, noise: float, seed: int) -> NatsPerToken:
    """Documents that differ in which source they gain from; on the mean of all documents no source gains."""
    rng = np.random.default_rng([seed, 7])
    effects, level = noise * rng.standard_normal((len(SOURCES), count)), rng.standard_normal(count)
    return lambda shares: 3.0 + level + shares @ effects


def judge_of(losses: NatsPerToken, each: int = 20, count: int = 40, **changes: Any) -> Judge:
    on = documents(each)
    return Judge(findings(mixtures(count), on, losses, **changes), None, None, WEIGHTS, 0, pairs=10)


def taught(references: int, candidates: int = 10, pairs: int = 10) -> Judge:
    """It has learnt from so many references whose trainings are noisy."""
    on, losses = documents(20), on_all(bowl, 40)
    made = trained(mixtures(references, seed=3), on, losses, noise=0.05)
    evidence = made.evidence()
    of = findings(mixtures(candidates), on, losses, references=made)
    return Judge(of, evidence, choose_proxy(evidence, 0), WEIGHTS, 0, pairs=pairs)


def with_pick(judge: Judge, losses: NatsPerToken) -> Judge:
    """The pick scored too, as the flow does it."""
    return judge.with_more(scored((judge.pick,), judge.findings.scored.documents, losses))


def gain(judge: Judge) -> float:
    """Predicted target loss of the pick less that of equal shares, as it is, uncorrected."""
    value, _ = judge.difference(judge.scored.row(judge.pick), 0)
    return float(value[-1])


# Without noise


def test_without_noise_the_pick_is_the_best_candidate_and_nothing_flatters_itself() -> None:
    losses = on_all(bowl, 40)
    judge = judge_of(losses)
    lowest = np.argmin(judge.scored.losses("ensemble") @ TARGET)
    assert judge.order[0] == lowest
    np.testing.assert_allclose(judge.pick.shares, judge.scored.shares[lowest], atol=1e-12)
    assert 0.0 <= judge.optimism < 1e-12
    whole = with_pick(judge, losses)
    value, error = whole.difference(int(lowest), 0)
    expected = bowl(judge.scored.shares[[int(lowest), 0]])[:, 0]
    np.testing.assert_allclose(value, expected[0] - expected[1])
    assert np.isnan(error).all(), "without references nothing is known of what the proxy misses"


def test_where_no_mean_of_mixtures_can_be_trained_the_pick_is_a_candidate() -> None:
    judge = replace(judge_of(noisy(40, 0.5, seed=3)), averaged=False)
    assert judge.pick == judge.scored.mixtures[judge.order[0]]
    assert replace(judge, averaged=True).pick != judge.pick


def test_references_correct_the_proxy_and_say_how_far_it_is_off() -> None:
    """The merge is a tenth too high and the ensemble right: both calibrate to the truth."""
    on = documents(20)
    losses = on_all(bowl, 40)
    references = trained(mixtures(10, seed=3), on, losses)
    evidence = references.evidence()
    choice = choose_proxy(evidence, 0)
    of = mixtures(40)
    judge = Judge(findings(of, on, losses, references=references), evidence, choice, WEIGHTS, 0, pairs=2)
    truth = bowl(judge.scored.shares)
    np.testing.assert_allclose(judge.mean, np.broadcast_to(truth, judge.mean.shape), atol=0.01)
    assert judge.halves.shape == (4, 40, 2)
    best = int(np.argmin(truth))
    assert 0.5 * np.abs(judge.pick.shares - judge.scored.shares[best]).sum() < 0.1
    assert np.isfinite(judge.missed).all() and judge.missed[-1] < 0.01
    value, error = judge.difference(best, 0)
    assert value[-1] == pytest.approx(float(truth[best, 0] - truth[0, 0]), abs=4 * error[-1] + 1e-6)
    # What is missed counts by how far two mixtures lie apart, as against how far references do.
    between = np.abs(evidence.shares[:, None] - evidence.shares[None]).sum(axis=-1)
    apart = np.abs(judge.scored.shares[best] - judge.scored.shares[0]).sum() / between[between > 0].mean()
    assert (error >= np.sqrt(2 * apart) * judge.missed).all()
    assert 0.0 <= judge.optimism < 0.003


def test_halves_that_say_otherwise_than_the_whole_widen_the_error() -> None:
    """The error counts from what all evidence says, not from the mean of the halves."""
    judge = taught(8, candidates=40)
    row = judge.order[0]
    value, error = judge.difference(row, 0)
    halves = (judge.halves[:, row] - judge.halves[:, 0]) @ TARGET
    assert error[-1] > abs(value[-1] - halves.mean())
    moved = replace(judge, known=judge.learnt)
    moved.__dict__["halves"] = judge.halves.copy()
    moved.halves[:, row] += 0.3
    _, wider = moved.difference(row, 0)
    assert wider[-1] == pytest.approx(np.sqrt(error[-1] ** 2 + 0.09 + 0.6 * (halves.mean() - value[-1])))


def test_what_is_missed_is_never_nothing_because_noise_is_large() -> None:
    """Left-out errors no larger than the noise of trainings do not prove that the proxy misses nothing."""
    judge = taught(12)
    choice = judge.choice
    assert choice is not None
    assert ((judge.missed > 0.2 * choice.error) & (judge.missed <= 1.1 * choice.error)).all()
    # Of errors far above the noise all but the noise is left.
    loud = replace(judge, choice=replace(choice, error=choice.error + 100.0))
    assert loud.choice is not None
    np.testing.assert_allclose(loud.missed, loud.choice.error, rtol=0.05)


@pytest.mark.parametrize(("references", "reach"), [(5, 2.776), (11, 2.228), (30, 2.045)])
def test_intervals_reach_as_far_as_so_many_errors_tell(references: int, reach: float) -> None:
    assert taught(references).reach == pytest.approx(reach, abs=1e-3)


def test_few_references_count_for_how_much_their_halves_share() -> None:
    judge = taught(4)
    assert judge.drawn.overlap == pytest.approx(np.sqrt(3))
    np.testing.assert_allclose(
        judge.others - judge.mean, np.sqrt(3) * (judge.halves - judge.mean), atol=1e-12
    )


def test_some_references_are_evidence_with_their_own_replicates() -> None:
    on = documents(20)
    whole = trained(mixtures(6, seed=3), on, on_all(bowl, 40), noise=0.1)
    part, all_ = whole.select([4, 1], np.array([1.0, 0.0])).evidence(), whole.evidence()
    np.testing.assert_array_equal(part.shares, all_.shares[[4, 1]])
    np.testing.assert_array_equal(part.truth, all_.truth[[4, 1]])
    ((row, losses),) = part.replicates
    assert row == 1
    np.testing.assert_array_equal(losses, all_.replicates[1][1])
    np.testing.assert_array_equal(part.proxies["merge"], all_.proxies["merge"][[4, 1]])
    assert part.target.tolist() == [1.0, 0.0]


# Limits


@pytest.mark.parametrize("seed", range(5))
def test_the_pick_lies_in_the_region_whatever_the_halves_say(seed: int) -> None:
    kept = Region.bounded(SOURCES, minimum={"c": 0.2}, maximum={"a": 0.4})
    judge = judge_of(noisy(40, 0.3, seed), region=kept, count=100)
    assert 5 < len(judge.allowed) < 100
    assert kept.contains(judge.pick, 1e-9)
    assert all(kept.contains(judge.scored.mixtures[row], 1e-6) for row in judge.order)


def test_bounds_of_shares_hold_the_pick_and_widen_with_noise() -> None:
    widths = []
    for noise in (0.0, 0.5, 3.0):
        rough = noisy(40, noise, 1)
        judge = judge_of(rough_bowl(rough))
        low, high = judge.share_bounds()
        assert ((low <= judge.pick.shares) & (judge.pick.shares <= high)).all()
        assert (low >= 0).all() and (high <= 1).all()
        widths.append((high - low).sum())
    assert widths[0] < 1e-9 < widths[1] < widths[2]


# How much a choice flatters itself


def test_optimism_is_that_of_choosing_on_one_half_and_judging_on_the_other() -> None:
    judge = judge_of(noisy(40, 0.3, 0))
    losses = judge.halves @ TARGET
    relative = losses - losses.mean(axis=1, keepdims=True)
    flattery = []
    for one, other in zip(relative[0::2], relative[1::2], strict=True):
        flattery += [other[one.argmin()] - one.min(), one[other.argmin()] - other.min()]
    assert judge.optimism == pytest.approx(np.mean(flattery) / 2)
    assert judge.optimism > 0


@pytest.mark.parametrize("seed", range(10))
def test_optimism_is_never_negative(seed: int) -> None:
    rough = noisy(8, 0.1, seed)
    judge = judge_of(lambda shares: bowl(shares, 5.0) + rough(shares), each=4, count=3)
    assert judge.optimism >= 0


def test_of_mixtures_that_are_all_alike_no_gain_is_predicted_once_optimism_is_taken_off() -> None:
    """Mean over worlds of nothing but document noise: as predicted clearly a gain, corrected none."""
    raw, corrected = [], []
    for seed in range(250):
        losses = noisy(40, 0.3, seed)
        judge = judge_of(losses, count=60)
        raw.append(gain(with_pick(judge, losses)))
        corrected.append(raw[-1] + judge.optimism)
    error = np.std(corrected, ddof=1) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 2.5 * error
    assert np.mean(raw) < -10 * error
