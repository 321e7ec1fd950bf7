"""The ensemble against a plain loop, its gradient, and the certificate of its optimum."""

import json
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import CheckpointError, MixtureError
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.scores import Documents
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from tests.evaluation.tiny_language import SOURCES, evaluator, pool
from tests.merging.tiny_pools import roster

TARGET = np.array([0.5, 0.3, 0.2])


def real() -> Ensemble:
    return Ensemble.of(evaluator(), pool())


def random(members: int, documents: int, seed: int = 0) -> Ensemble:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 40, documents)
    tokens[[0, -1]] = 0, 5
    evaluation = np.sort(rng.integers(0, 3, documents))
    evaluation[:3] = evaluation[-3:] = [0, 1, 2]
    found = Documents(("a", "b", "c"), ("a", "b", "c"), np.sort(evaluation), tokens, tokens.astype(float))
    log_probs = -rng.exponential(3.0, (members, int(tokens.sum()))).astype(np.float32)
    return Ensemble(roster([f"s{k}" for k in range(members)]), found, log_probs)


def naive_nats(ensemble: Ensemble, weights: np.ndarray) -> np.ndarray:
    """The definition, token by token in float64."""
    owner = np.repeat(np.arange(len(ensemble.documents.tokens)), ensemble.documents.tokens)
    nats = np.zeros(len(ensemble.documents.tokens))
    for token, document in enumerate(owner):
        nats[document] -= np.log(weights @ np.exp(ensemble.log_probs[:, token].astype(np.float64)))
    return nats


@pytest.mark.parametrize("ensemble", [real(), random(4, 300)], ids=["real", "random"])
def test_scores_agree_with_a_plain_loop(ensemble: Ensemble) -> None:
    weights = np.random.default_rng(0).dirichlet(np.full(len(ensemble.roster.members), 0.3), 4)
    scores = ensemble.score(weights)
    for row, nats in zip(weights, scores.nats, strict=True):
        np.testing.assert_allclose(nats, naive_nats(ensemble, row), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(ensemble.score(weights[1]).nats, scores.nats[1], rtol=1e-6)


def test_a_member_alone_is_the_member() -> None:
    ensemble = real()
    np.testing.assert_allclose(ensemble.score(np.eye(6)).nats, ensemble.members().nats, rtol=1e-5)
    np.testing.assert_allclose(
        ensemble.members().nats[2], evaluator().score(pool().branch("code/0")).nats, rtol=1e-6
    )


def test_tokens_that_one_member_finds_impossible_stay_finite() -> None:
    found = Documents(("a",), ("a",), np.array([0]), np.array([2]), np.array([2.0]))
    log_probs = np.array([[-1.0, -500.0], [-400.0, -2.0]], dtype=np.float32)
    ensemble = Ensemble(roster(["x", "y"]), found, log_probs)
    assert ensemble.score(np.array([0.5, 0.5])).nats_per_token[0] == pytest.approx(1.5 + np.log(2))
    assert ensemble.score(np.array([1.0, 0.0])).nats_per_token[0] == pytest.approx((1 + 2 + 80) / 2)


@pytest.mark.parametrize("members", [3, 8, 33])
def test_scores_do_not_depend_on_what_is_scored_beside(members: int) -> None:
    ensemble = random(members, 500)
    weights = np.random.default_rng(1).dirichlet(np.ones(members), 300)
    together = ensemble.score(weights).nats
    for row in (0, 7, 150, 299):
        np.testing.assert_array_equal(together[row], ensemble.score(weights[row]).nats)


def test_value_and_gradient_agree_with_differences() -> None:
    ensemble = real()
    weights = np.random.default_rng(2).dirichlet(np.ones(6))
    value, gradient = ensemble.value_and_gradient(weights, TARGET)
    assert value == pytest.approx(float(ensemble.score(weights).nats_per_token @ TARGET), rel=1e-6)
    for other in np.random.default_rng(3).dirichlet(np.ones(6), 5):
        step = 1e-5 * (other - weights)
        ahead, behind = (ensemble.value_and_gradient(weights + s, TARGET)[0] for s in (step, -step))
        assert (ahead - behind) / 2 == pytest.approx(gradient @ step, rel=1e-5)


@pytest.mark.parametrize("target", [TARGET, np.array([1.0, 0, 0])])
@pytest.mark.parametrize(
    "region",
    [
        Region.simplex(SOURCES),
        Region.bounded(SOURCES, {"books": 0.2}, {"web": 0.4}),
        Region.simplex(SOURCES).with_ratio({"web": 2.0, "code": 1.0}),
    ],
    ids=["simplex", "bounded", "ratio"],
)
def test_the_optimum_is_certified_and_no_sample_beats_it(region: Region, target: np.ndarray) -> None:
    ensemble = real()
    found = ensemble.optimum(region, target, tolerance=1e-6)
    assert found.outcome == "converged"
    assert -1e-12 <= found.gap <= 1e-6
    assert region.contains(found.mixture)
    samples = region.sample(300, np.random.default_rng(0))
    spread = ensemble.roster.spread(region.names)
    losses = (
        ensemble.score(np.array([mixture.shares @ spread for mixture in samples])).nats_per_token @ target
    )
    assert losses.min() >= found.value - 2e-6
    assert (np.diff(found.values) <= 1e-12).all()


def test_the_optimum_of_a_known_problem() -> None:
    """Two members certain of disjoint tokens: the best weights are the shares of the tokens (Kelly)."""
    found = Documents(("a",), ("a",), np.array([0]), np.array([10]), np.array([10.0]))
    log_probs = np.where(np.arange(10) < 7, [[0.0], [-60.0]], [[-60.0], [0.0]]).astype(np.float32)
    ensemble = Ensemble(roster(["x", "y"]), found, log_probs)
    best = ensemble.optimum(Region.simplex(["y", "x"]), np.array([1.0]), tolerance=1e-9)
    assert best.mixture.names == ("y", "x")
    np.testing.assert_allclose(best.mixture.shares, [0.3, 0.7], atol=1e-4)


def test_many_members_converge_at_the_border() -> None:
    ensemble = random(40, 200, seed=5)
    start = Mixture.uniform(ensemble.roster.sources)
    best = ensemble.optimum(Region.simplex(ensemble.roster.sources), np.full(3, 1 / 3), start, tolerance=1e-5)
    assert best.outcome == "converged"
    assert best.evaluations < 500


def test_an_ensemble_on_disk_is_the_one_in_memory(tmp_path: Path) -> None:
    ensemble = real()
    path = ensemble.save(tmp_path)
    again = Ensemble.open(path)
    assert path.name == again.key == ensemble.key
    assert isinstance(again.log_probs, np.memmap)
    weights = np.full(6, 1 / 6)
    np.testing.assert_array_equal(again.score(weights).nats, ensemble.score(weights).nats)
    (path / "log_probs.npy").write_bytes(b"")
    with pytest.raises(CheckpointError, match="score again"):
        Ensemble.open(path)


@pytest.mark.parametrize("name", ["log_probs.npy", "ensemble.json"])
def test_one_flipped_bit_of_an_ensemble_is_refused(tmp_path: Path, name: str) -> None:
    path = real().save(tmp_path)
    data = bytearray((path / name).read_bytes())
    digit = next(i for i in range(len(data) // 2, len(data)) if name[0] == "l" or chr(data[i]).isdigit())
    data[digit] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"not as it was written.*score again"):
        Ensemble.open(path)


def test_an_ensemble_of_an_earlier_version_opens_under_its_own_name_alone(tmp_path: Path) -> None:
    path = real().save(tmp_path)
    meta = json.loads((path / "ensemble.json").read_text())
    del meta["files"], meta["digest"]
    (path / "ensemble.json").write_text(json.dumps(meta))
    assert Ensemble.open(path).key == path.name
    path.rename(tmp_path / "other")
    with pytest.raises(CheckpointError, match="holds ensemble"):
        Ensemble.open(tmp_path / "other")


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.5] * 6, [1.5, -0.5, 0, 0, 0, 0]])
def test_weights_off_the_simplex_are_refused(weights: list[float]) -> None:
    with pytest.raises(MixtureError):
        real().score(np.array(weights))
