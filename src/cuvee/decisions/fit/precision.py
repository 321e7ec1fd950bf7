"""How many digits the metrics of a decision by laws are written with. See ``precision.py``."""

from cuvee.decisions.fit.result import LawResult, Metric
from cuvee.precision import Precision


def target_precision(decision: LawResult) -> Precision:
    """Of the target, of its changes and of the errors of laws."""
    targets = [one.target for one in decision.candidates]
    measured = [one.measured for one in decision.candidates]
    return Precision.of(
        [*(one.mean for one in targets), *measured], [one.high - one.low for one in targets], decision.spread
    )


def metric_precision(metric: "Metric") -> Precision:
    """Of one metric under all candidates."""
    predicted = metric.predicted.values()
    return Precision.of([one.mean for one in predicted], [one.high - one.low for one in predicted])


def front_precisions(decision: LawResult) -> tuple[Precision, ...]:
    """Of the metrics of the front, in their order."""
    columns = zip(*(one.values for one in decision.front), strict=True)
    return tuple(Precision.of(column) for column in columns)
