"""The log-linear law of Olmix.

    L(w) = c + exp(sum_i t_i w_i)

(Chen et al. 2026, https://arxiv.org/abs/2602.12237: one law a metric, Huber's function at 0.02 nats; here at
0.06 spreads of the metric, which is that where the spread is a third of a nat, and the same in every unit.)
It is M4 of the data mixing laws without the factor that is redundant on the simplex, and shares its formula.
"""

from cuvee.laws.data_mixing_laws import DataMixingLaw, ExponentialOfSum

LOG_LINEAR = DataMixingLaw(
    ExponentialOfSum("log_linear", "c + exp(sum_i t[i] * w[i])", factor=False),
    huber=0.06,
    paper="https://arxiv.org/abs/2602.12237",
    deviations=(
        "c may be negative; Huber's function at a part of the spread; a small ridge on t; six starts that "
        "follow the data, instead of 300 at random."
    ),
)
