"""What repeating data does: losses from parameters, tokens and unique tokens.

    data-constrained      E + A N'^-alpha + B D'^-beta
                          D' = U + U R (1 - exp(-r / R)),  r = D / U - 1   epochs beyond the first
                          N' = V + V S (1 - exp(-s / S)),  s = N / V - 1,  V = min(N, N_opt(U))
    overfitting penalty   E + A N^-alpha + B D^-beta + P r^delta (N / U)^kappa

(Muennighoff et al. 2023, https://arxiv.org/abs/2305.16264, equations 5 and 6, with their N_opt of the law
without repetition; Lovelace et al. 2026, https://arxiv.org/abs/2605.01640.) In the first, repeated tokens are
worth less and less and never harm; in the second they can. Fitted by Huber's function on logarithms of losses
from several starts, as Hoffmann et al. (2022) fit theirs. For one source, or a mixture that does not change.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, Json

HUBER = 0.01
"""Of logarithms of losses, beyond which an error counts linearly."""

_STARTS = 16
_REACH = 8.0  # in logarithms, around the first start
_SPREAD = 0.7
_LARGEST = 1e6
_TINY = 1e-9
_STEPS = 600


@dataclass(frozen=True, eq=False)
class RepeatedRuns:
    """Runs whose tokens may be repeated.

    Raises:
        ConfigError: a number is not positive, or arrays differ in length.
    """

    params: FloatArray
    """[R]."""
    tokens: FloatArray
    """Read in all [R]."""
    unique: FloatArray
    """Different ones [R]; more than were read count as read once."""

    def __post_init__(self) -> None:
        lengths = {len(self.params), len(self.tokens), len(self.unique)}
        for name in ("params", "tokens", "unique"):
            values = getattr(self, name)
            if len(lengths) > 1 or not (np.isfinite(values).all() and (values > 0).all()):
                raise ConfigError(f"{name} of repeated runs must be positive, one number a run")
        object.__setattr__(self, "unique", np.minimum(self.unique, self.tokens))

    def __len__(self) -> int:
        return len(self.params)

    @property
    def beyond_first(self) -> FloatArray:
        """Epochs beyond the first [R]."""
        result: FloatArray = self.tokens / self.unique - 1.0
        return result


def effective_tokens(tokens: FloatArray, unique: FloatArray, decay: float) -> FloatArray:
    """D': what repeated tokens are worth in fresh ones; after ``decay`` epochs (R) little is left."""
    unique = np.minimum(unique, tokens)
    result: FloatArray = unique + unique * decay * -np.expm1(-(tokens / unique - 1.0) / decay)
    return result


@dataclass(frozen=True)
class RepetitionLaw:
    """One of the laws, ready to be fitted."""

    name: str
    paper: str
    text: str
    names: tuple[str, ...]
    """Parameters, all positive; searched for as logarithms."""
    first: tuple[float, ...]
    """Where the search begins, with N in units of the runs' middle and D likewise."""
    value: Callable[[dict[str, float], RepeatedRuns], FloatArray]

    def fit(self, runs: RepeatedRuns, losses: FloatArray, seed: int = 0) -> "FittedRepetition":
        """Fit to losses [R] of runs; ``seed`` draws the starts.

        Raises:
            ConfigError: fewer runs than parameters, or a loss that is not positive.

        Cost: some seconds for 300 runs.
        """
        if len(runs) < len(self.names) or len(losses) != len(runs):
            raise ConfigError(
                f"{self.name}: {len(losses)} losses of {len(runs)} runs for {len(self.names)} parameters"
            )
        if not (np.isfinite(losses).all() and (losses > 0).all()):
            raise ConfigError(f"{self.name}: losses must be finite and positive")
        units = (float(np.exp(np.log(runs.params).mean())), float(np.exp(np.log(runs.tokens).mean())))
        scaled = RepeatedRuns(runs.params / units[0], runs.tokens / units[1], runs.unique / units[1])
        logs, rng = np.log(losses), np.random.default_rng(seed)

        def missed(theta: FloatArray) -> FloatArray:
            with np.errstate(over="ignore", invalid="ignore"):  # what is too large is cut off
                predicted = self.value(dict(zip(self.names, np.exp(theta).tolist(), strict=True)), scaled)
            result: FloatArray = (
                np.log(np.clip(np.nan_to_num(predicted, nan=_LARGEST), 1.0 / _LARGEST, _LARGEST)) - logs
            )
            return result

        begin = np.array(self.first)
        found = [
            least_squares(
                missed,
                begin + (_SPREAD * rng.normal(size=len(begin)) if start else 0.0),
                loss="huber",
                f_scale=HUBER,
                bounds=(begin - _REACH, begin + _REACH),
                max_nfev=_STEPS,
            )
            for start in range(_STARTS)
        ]
        best = min(found, key=lambda one: float(one.cost))
        parameters = dict(zip(self.names, np.exp(best.x).tolist(), strict=True))
        return FittedRepetition(self, parameters, units)


@dataclass(frozen=True, eq=False)
class FittedRepetition:
    """A repetition law with its parameters."""

    law: RepetitionLaw
    parameters: dict[str, float]
    units: tuple[float, float]
    """The units of N and D."""

    def predict(self, runs: RepeatedRuns) -> FloatArray:
        """Losses [R]."""
        return self.law.value(
            self.parameters,
            RepeatedRuns(
                runs.params / self.units[0], runs.tokens / self.units[1], runs.unique / self.units[1]
            ),
        )

    def as_json(self) -> Json:
        """Formula, parameters, and the units of N and of D and U."""
        return {
            "law": self.law.name,
            "formula": self.law.text,
            "parameters": dict(self.parameters),
            "units": {"N": self.units[0], "D": self.units[1]},
        }


def _data_constrained(p: dict[str, float], runs: RepeatedRuns) -> FloatArray:
    tokens = effective_tokens(runs.tokens, runs.unique, p["R"])
    alpha, beta = p["alpha"], p["beta"]
    balance = (alpha * p["A"] / (beta * p["B"])) ** (1.0 / (alpha + beta))
    # The parameters for which U tokens are the compute-optimal number.
    optimal = balance * (balance * runs.unique) ** (beta / alpha)
    enough = np.clip(optimal, _TINY * runs.params, runs.params)
    params = enough + enough * p["S"] * -np.expm1(-(runs.params / enough - 1.0) / p["S"])
    result: FloatArray = p["E"] + p["A"] * params**-alpha + p["B"] * tokens**-beta
    return result


def _overfitting_penalty(p: dict[str, float], runs: RepeatedRuns) -> FloatArray:
    losses = p["E"] + p["A"] * runs.params ** -p["alpha"] + p["B"] * runs.tokens ** -p["beta"]
    harm = p["P"] * runs.beyond_first ** p["delta"] * (runs.params / runs.unique) ** p["kappa"]
    result: FloatArray = losses + harm
    return result


REPETITION_LAWS: dict[str, RepetitionLaw] = {
    law.name: law
    for law in (
        RepetitionLaw(
            "data_constrained",
            "https://arxiv.org/abs/2305.16264",
            "E + A * N'**-alpha + B * D'**-beta; D' = U + U * R * (1 - exp(-(D / U - 1) / R)); "
            "N' = V + V * S * (1 - exp(-(N / V - 1) / S)); V = min(N, G * (G * U)**(beta / alpha)); "
            "G = (alpha * A / (beta * B))**(1 / (alpha + beta))",
            ("E", "A", "B", "alpha", "beta", "R", "S"),
            (0.6, -0.7, -0.7, -1.0, -1.0, 2.7, 1.7),
            _data_constrained,
        ),
        RepetitionLaw(
            "overfitting_penalty",
            "https://arxiv.org/abs/2605.01640",
            "E + A * N**-alpha + B * D**-beta + P * (D / U - 1)**delta * (N / U)**kappa",
            ("E", "A", "B", "alpha", "beta", "P", "delta", "kappa"),
            (0.6, -0.7, -0.7, -1.0, -1.0, -5.0, -0.7, -0.3),
            _overfitting_penalty,
        ),
    )
}
