"""The log-linear law of Olmix (floor 4).

    L(w) = c + exp(sum_i t_i w_i)

(Chen et al. 2026, https://arxiv.org/abs/2602.12237: one law a metric, Huber's function at 0.02.) It is M4 of
the data mixing laws without the factor that is redundant on the simplex, and shares its formula.
"""

from cuvee.laws.data_mixing_laws import DataMixingLaw, ExponentialOfSum

LOG_LINEAR = DataMixingLaw(
    ExponentialOfSum("log_linear", "c + exp(sum_i t[i] * w[i])", factor=False),
    huber=0.02,
    paper="https://arxiv.org/abs/2602.12237",
    deviations="c may be negative; six starts that follow the data, instead of 300 at random.",
)
