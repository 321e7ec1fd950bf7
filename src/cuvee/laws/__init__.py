"""Laws: from observations to the metrics of any mixture, with their spread."""

from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.ensemble import LawEnsemble
from cuvee.laws.extrapolation import Extrapolation
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import FittedLaw, Law, LawData, Scale
from cuvee.laws.resampling import Resamples
from cuvee.laws.spread import Spread, coverage
from cuvee.laws.surrogate import CalibratedLaw, PredictedMetrics
from cuvee.laws.validation import HeldOut, Validated, validate

__all__ = [
    "CalibratedLaw",
    "EffectiveData",
    "EffectiveDataScaling",
    "Extrapolation",
    "FittedLaw",
    "GaussianProcess",
    "HeldOut",
    "Law",
    "LawData",
    "LawEnsemble",
    "PredictedMetrics",
    "Resamples",
    "Scale",
    "Spread",
    "Validated",
    "coverage",
    "validate",
]
