"""Laws: from observations to the metrics of any mixture, with their spread."""

from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.ensemble import Ensemble
from cuvee.laws.extrapolation import Extrapolation
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import FittedLaw, Law, LawData, Scale
from cuvee.laws.resampling import Resamples
from cuvee.laws.spread import Spread, coverage
from cuvee.laws.surrogate import Prediction, Surrogate
from cuvee.laws.validation import HeldOut, Validated, validate

__all__ = [
    "EffectiveData",
    "EffectiveDataScaling",
    "Ensemble",
    "Extrapolation",
    "FittedLaw",
    "GaussianProcess",
    "HeldOut",
    "Law",
    "LawData",
    "Prediction",
    "Resamples",
    "Scale",
    "Spread",
    "Surrogate",
    "Validated",
    "coverage",
    "validate",
]
