"""Ridge regression for many evaluations at once, with coefficients partly shared.

For evaluation e and row r, with features x_re of length p,

    y_re = a_e + x_re . (s + d_e) + c_r + noise,   noise ~ N(0, sigma_e^2),   c_r ~ N(0, t^2),
    s_i ~ N(0, v_g(i)),  d_ei ~ N(0, u_g(i)),  a_e free,

where g(i) is the *group* of feature i (all columns of one idea, such as the shares). The shared
part s is learnt from all evaluations together, the deviation d_e from one. The row effect c_r is
what one training did to all its evaluations alike; without it E evaluations of one run would
pass for E independent witnesses. How much each part may move is learnt too: variances are set
by expectation-maximisation on the marginal likelihood, with scaled inverse chi-squared priors of
few degrees of freedom (empirical Bayes; Gelman et al., Bayesian Data Analysis, 3rd ed., ch. 15).
With two rows all coefficients stay near zero, with many they are free; no penalty is set by hand.

Several training sets (the folds of a cross-validation) are fitted at once as 0/1 masks over rows.

Shapes: F folds, R rows, E evaluations, p features, P = 1 + p with the intercept first,
q = p + R shared unknowns (s, then c). Cost: O(F (E P^3 + E P q^2 + q^3)) a step, ``STEPS`` at most.
"""

from dataclasses import dataclass, replace

import numpy as np

from cuvee.types import FloatArray, IntArray

STEPS = 100

_TOLERANCE = 3e-3  # largest change of a log variance at which the steps end
_FREEDOM = 1.0  # of the prior of coefficient variances: heavy tails, so that clear effects are kept
_NOISE_POOLING = 5.0  # degrees of freedom with which the noise of one evaluation is drawn to the others'
_NOISE_FREEDOM = 2.0  # of the prior of noise and row variances
_NOISE_SHARE = 0.1  # plausible noise variance as a share of the response's variance


@dataclass(frozen=True)
class Design:
    """Features in groups, each with the size of coefficient that is plausible beforehand."""

    features: FloatArray
    """[R, E, p]."""
    group: IntArray
    """[p] group of each feature, 0 to G - 1."""
    shared_scale: FloatArray
    """[F, G] prior standard deviation of shared coefficients."""
    deviation_scale: FloatArray
    """[F, G] prior standard deviation of deviations."""


@dataclass(frozen=True)
class Variances:
    """The scales that the steps learn, all as variances."""

    shared: FloatArray
    """[F, G] of shared coefficients."""
    deviation: FloatArray
    """[F, G] of deviations."""
    row: FloatArray
    """[F] of row effects."""
    noise: FloatArray
    """[F, E] of the noise."""

    def logarithm(self) -> FloatArray:
        """[F, 2 G + 1 + E] all of them, to watch convergence."""
        scales = [self.shared, self.deviation, self.row[:, None], self.noise]
        return np.asarray(np.log(np.concatenate(scales, axis=1)))


@dataclass(frozen=True)
class RidgePosterior:
    """What is known after the fit, one for every fold."""

    mean: FloatArray
    """[F, E, P] intercept and coefficients s + d_e."""
    shared_mean: FloatArray
    """[F, q] shared coefficients s, then row effects c."""
    shared_covariance: FloatArray
    """[F, q, q] their covariance."""
    own_covariance: FloatArray
    """[F, E, P, P] covariance of (a_e, d_e) given the shared unknowns."""
    pull: FloatArray
    """[F, E, P, q] derivative of (a_e, s + d_e) by the shared unknowns."""
    variances: Variances
    """The learnt scales."""

    def covariance(self) -> FloatArray:
        """[F, E, P, P] covariance of the intercept and coefficients of each evaluation."""
        pulled = self.pull @ self.shared_covariance[:, None] @ np.swapaxes(self.pull, -1, -2)
        return np.asarray(self.own_covariance + pulled)


@dataclass(frozen=True)
class _Moments:
    z: FloatArray  # [R, E, P] intercept column and features
    rows: FloatArray  # [F, R]
    response: FloatArray  # [R, E]
    gram: FloatArray  # [F, E, P, P]
    moment: FloatArray  # [F, E, P]
    typical: FloatArray  # [F] mean variance of the response in the training rows


def fit_hierarchical(design: Design, response: FloatArray, rows: FloatArray) -> RidgePosterior:
    """Fit all folds.

    Args:
        design: features and prior scales.
        response: [R, E].
        rows: [F, R] one where a row belongs to the training set of a fold, else zero; every
            fold has a row or more.
    """
    data = _moments(design, response, rows)
    membership = np.eye(design.shared_scale.shape[1])[design.group]  # [p, G]
    half = np.repeat(0.5 * _NOISE_SHARE * data.typical[:, None], response.shape[1], axis=1)
    scales = Variances(np.square(design.shared_scale), np.square(design.deviation_scale), half[:, 0], half)
    # Each fold stops on its own, so that no fold depends on rows that only others hold.
    active = np.arange(len(rows))
    for _ in range(STEPS):
        part, before = _of_folds(data, active), _scales_of(scales, active)
        state = _solve(part, before, membership)
        shared, deviation = design.shared_scale[active], design.deviation_scale[active]
        after = _update(state, part, shared, deviation, membership)
        scales = _replaced(scales, active, after)
        moved = np.abs(after.logarithm() - before.logarithm()).max(axis=1)
        active = active[moved >= _TOLERANCE]
        if not len(active):
            break
    return _solve(data, scales, membership)


def left_out_residuals(
    posterior: RidgePosterior, design: Design, response: FloatArray, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Closed-form leave-one-row-out residuals at the fitted variances, and their model variances.

    A whole row (all evaluations of a reference) is left out at once. With N the noise covariance
    of a row (sigma_e^2 on the diagonal, t^2 everywhere), e its residual without row effect and L
    the residual covariance that the model expects, the residual becomes N L^-1 e and its
    variance N L^-1 N (the PRESS identity for correlated noise).

    Returns:
        [F, R, E] and [F, R, E]; zero and the noise for rows outside a fold.
    """
    z = _with_intercept(design.features)
    inside = rows[:, :, None]
    fitted = np.einsum("rep,fep->fre", z, posterior.mean, optimize=True)
    residual = (response[None] - fitted) * inside
    reach = np.einsum("rep,fepq->freq", z, posterior.pull, optimize=True)
    joint = reach @ posterior.shared_covariance[:, None] @ np.swapaxes(reach, -1, -2)
    alone = np.einsum("rep,fepq,req->fre", z, posterior.own_covariance, z, optimize=True)
    diagonal = np.eye(response.shape[1])
    covariance = joint + alone[..., None] * diagonal
    scales = posterior.variances
    noise = scales.noise[:, None, :, None] * diagonal + scales.row[:, None, None, None]
    # Cov(y - z b) = N - V, as y - z b is what is left of the data after the coefficients took theirs.
    left = noise - covariance * inside[..., None]
    left = left + 1e-9 * noise * diagonal  # a fold of one row explains that row wholly
    gain = noise @ np.linalg.inv(left)
    changed = (gain @ residual[..., None])[..., 0]
    variance = np.diagonal(gain @ noise, axis1=-2, axis2=-1)
    return np.asarray(changed), np.asarray(variance)


def _with_intercept(features: FloatArray) -> FloatArray:
    return np.concatenate([np.ones((*features.shape[:2], 1)), features], axis=2)


def _moments(design: Design, response: FloatArray, rows: FloatArray) -> _Moments:
    z = _with_intercept(design.features)
    count = rows.sum(axis=1)[:, None]
    mean = rows @ response / count
    spread = np.einsum("fr,fre->fe", rows, np.square(response[None] - mean[:, None])) / count
    return _Moments(
        z=z,
        rows=rows,
        response=response,
        gram=np.einsum("fr,rep,req->fepq", rows, z, z, optimize=True),
        moment=np.einsum("fr,rep,re->fep", rows, z, response, optimize=True),
        typical=np.maximum(spread.mean(axis=1), 1e-18),
    )


def _of_folds(data: _Moments, folds: IntArray) -> _Moments:
    return replace(
        data,
        rows=data.rows[folds],
        gram=data.gram[folds],
        moment=data.moment[folds],
        typical=data.typical[folds],
    )


def _scales_of(scales: Variances, folds: IntArray) -> Variances:
    return Variances(scales.shared[folds], scales.deviation[folds], scales.row[folds], scales.noise[folds])


def _replaced(scales: Variances, folds: IntArray, new: Variances) -> Variances:
    def put(old: FloatArray, values: FloatArray) -> FloatArray:
        result = old.copy()
        result[folds] = values
        return result

    return Variances(
        put(scales.shared, new.shared),
        put(scales.deviation, new.deviation),
        put(scales.row, new.row),
        put(scales.noise, new.noise),
    )


def _solve(data: _Moments, scales: Variances, membership: FloatArray) -> RidgePosterior:
    """Posterior given all variances, by eliminating what belongs to one evaluation."""
    folds, evaluations, size, _ = data.gram.shape
    references, width = data.rows.shape[1], size - 1
    shared = scales.shared @ membership.T
    deviation = scales.deviation @ membership.T
    trust = 1.0 / scales.noise  # [F, E]
    information = data.gram * trust[..., None, None]
    prior = np.zeros((folds, 1, size))
    prior[..., 1:] = 1.0 / deviation[:, None, :]
    own: FloatArray = np.asarray(np.linalg.inv(information + prior[..., None] * np.eye(size)), np.float64)
    masked = np.einsum("fr,rep,fe->fepr", data.rows, data.z, trust, optimize=True)
    border = np.concatenate([information[..., 1:], masked], axis=3)  # [F, E, P, q]
    across = own @ border
    precision = np.zeros((folds, width + references, width + references))
    precision[:, :width, :width] = information[..., 1:, 1:].sum(axis=1)
    precision[:, :width, width:] = masked[..., 1:, :].sum(axis=1)
    precision[:, width:, :width] = np.swapaxes(precision[:, :width, width:], 1, 2)
    index = np.arange(width + references)
    precision[:, index[width:], index[width:]] = data.rows * trust.sum(axis=1)[:, None]
    flat = (folds, evaluations * size, width + references)
    precision -= np.swapaxes(border.reshape(flat), 1, 2) @ across.reshape(flat)
    precision[:, index[:width], index[:width]] += 1.0 / shared
    precision[:, index[width:], index[width:]] += 1.0 / scales.row[:, None]
    covariance = np.linalg.inv(precision)
    covariance = 0.5 * (covariance + np.swapaxes(covariance, 1, 2))
    evidence = data.moment * trust[..., None]
    known = (own @ evidence[..., None])[..., 0]
    toward = np.concatenate(
        [evidence[..., 1:].sum(axis=1), data.rows * (trust @ data.response.T)], axis=1
    ) - np.einsum("fepq,fep->fq", border, known, optimize=True)
    centre = (covariance @ toward[..., None])[..., 0]
    pull = np.asarray(np.eye(size, width + references, k=-1) - across)
    mean = known + np.einsum("fepq,fq->fep", pull, centre, optimize=True)
    return RidgePosterior(mean, centre, covariance, own, pull, scales)


def _update(
    state: RidgePosterior,
    data: _Moments,
    shared_scale: FloatArray,
    deviation_scale: FloatArray,
    membership: FloatArray,
) -> Variances:
    """New variances from expected squares under the posterior (M step)."""
    evaluations, width = data.response.shape[1], membership.shape[0]
    members = membership.sum(axis=0)
    square = state.shared_mean**2 + np.diagonal(state.shared_covariance, axis1=1, axis2=2)
    shared = (square[:, :width] @ membership + _FREEDOM * shared_scale**2) / (members + _FREEDOM + 2.0)

    away = state.pull[:, :, 1:] - np.eye(width, state.shared_mean.shape[1])  # of d_e by the shared unknowns
    own = np.diagonal(state.own_covariance, axis1=2, axis2=3)[..., 1:]
    moved = ((away @ state.shared_covariance[:, None]) * away).sum(axis=-1)
    squares = (np.square(state.mean[..., 1:] - state.shared_mean[:, None, :width]) + own + moved).sum(axis=1)
    deviation = (squares @ membership + _FREEDOM * deviation_scale**2) / (
        evaluations * members + _FREEDOM + 2.0
    )

    count = data.rows.sum(axis=1)
    guess = 0.5 * _NOISE_SHARE * data.typical
    row = ((data.rows * square[:, width:]).sum(axis=1) + _NOISE_FREEDOM * guess) / (count + _NOISE_FREEDOM)

    fitted = np.einsum("rep,fep->fre", data.z, state.mean, optimize=True)
    residual = data.response[None] - fitted - state.shared_mean[:, width:, None]
    unsure = _fit_variance(state, data, width)
    common = 1.0 / np.mean(1.0 / state.variances.noise, axis=1)
    drawn = (_NOISE_POOLING * common + _NOISE_FREEDOM * guess)[:, None]
    noise = (np.einsum("fr,fre->fe", data.rows, np.square(residual)) + unsure + drawn) / (
        count[:, None] + _NOISE_POOLING + _NOISE_FREEDOM
    )
    return Variances(shared, deviation, row, noise)


def _fit_variance(state: RidgePosterior, data: _Moments, width: int) -> FloatArray:
    """[F, E] posterior variance of the fitted values, summed over the training rows."""
    alone = (data.gram * state.own_covariance).sum(axis=(2, 3))
    pulled = state.pull @ state.shared_covariance[:, None]  # [F, E, P, q]
    through = np.einsum("fepq,feoq->fepo", pulled, state.pull, optimize=True)
    masked = np.einsum("fr,rep->fepr", data.rows, data.z, optimize=True)
    cross = (masked * pulled[..., width:]).sum(axis=(2, 3))
    rows = (data.rows * np.diagonal(state.shared_covariance, axis1=1, axis2=2)[:, width:]).sum(axis=1)
    return np.asarray(alone + (data.gram * through).sum(axis=(2, 3)) + 2.0 * cross + rows[:, None])
