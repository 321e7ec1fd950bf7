"""How far cheap proxies can be believed, and what corrects them.

Everything starts from ``Evidence``: references with their real losses, and what proxies and baselines say
of the same mixtures. ``honesty_report`` compares the two; ``choose_proxy`` fits every row of the table of
calibrators, judges each on references that it has not seen, and says which to trust and whether any.

The models behind the numbers are of no concern here, so the package serves any proxy of any loss: small
models, early checkpoints, tables of somebody else's runs.
"""

from cuvee.honesty.agreement import AgreementRow, Estimate, HonestyReport, honesty_report
from cuvee.honesty.calibration import CalibratedLosses, FittedCalibrator, fit
from cuvee.honesty.calibrators import FEATURES, Calibrator, calibrators_for
from cuvee.honesty.evidence import Evidence, single_unit_baselines
from cuvee.honesty.proxy_choice import CalibratorError, ProxyChoice, choose_proxy
from cuvee.honesty.scopes import ScopeNoise, replicate_noise

__all__ = [
    "FEATURES",
    "AgreementRow",
    "CalibratedLosses",
    "Calibrator",
    "CalibratorError",
    "Estimate",
    "Evidence",
    "FittedCalibrator",
    "HonestyReport",
    "ProxyChoice",
    "ScopeNoise",
    "calibrators_for",
    "choose_proxy",
    "fit",
    "honesty_report",
    "replicate_noise",
    "single_unit_baselines",
]
