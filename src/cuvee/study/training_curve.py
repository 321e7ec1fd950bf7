"""The target loss of a training on its way, from what the store knows of it.

On its way a training is measured on a part of the evaluations, at its end on all. The curve is moved so that
it ends where the training ends on all of them: else a loss on the part would be set against one on the whole.
"""

import numpy as np

from cuvee.runs.metric_names import NATS
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.study.speedup import Curve
from cuvee.types import FloatArray


def measured_along(runner: Runner, planned: Planned) -> bool:
    """Not where its checkpoint was there already, and was measured on other evaluations then."""
    run = runner.store.get(trained_key(runner.plan, planned.run))
    return run is not None and len(run.details.get("along", ())) > 1


def curve_of(runner: Runner, planned: Planned, target: FloatArray) -> Curve:
    """Tokens and target losses of a training that was ``measured_along``, its end last.

    Args:
        target: coefficients [E] on the nats per token of ``runner.documents.evaluations``.
    """
    run = runner.store.get(trained_key(runner.plan, planned.run))
    assert run is not None  # it was trained, or the flow would have ended
    names = runner.documents.evaluations
    tokens = [step * planned.run.recipe.batch_tokens for step, _ in run.details["along"]]
    along = np.array([[values[name] for name in names] for _, values in run.details["along"]]) @ target
    end = float(runner.rows([run]).values_of(NATS)[0] @ target)
    return np.array(tokens, dtype=np.float64), along + (end - along[-1])
