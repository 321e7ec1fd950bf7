"""In-Run Data Shapley: what each document did for the target while a model was trained on it.

    value_i = sum over steps t of the Shapley value of i in the game of step t, to first or second order

Wang, Mittal, Song & Jia 2025 (ICLR), "Data Shapley in One Training Run", https://arxiv.org/abs/2406.11011.
The equations and Adam's metric stand in ``valuation/in_run.py``.
"""

from dataclasses import dataclass, field

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.in_run import Accounting, gains
from cuvee.valuation.substrates import Substrates


@dataclass(frozen=True)
class InRunShapley:
    """The method; a row for each way of accounting."""

    accounting: Accounting = field(default_factory=Accounting)
    temperature: float = 0.0
    name: str = "in_run"
    paper: str = "https://arxiv.org/abs/2406.11011"
    unit: str = "nats of target loss per million tokens"
    needs: str = "a training of the study's proxy"
    cost: str = "an epoch over the pool; each step with a gradient of the target and two forward passes"
    deviations: str = (
        "Adam's metric instead of SGD as its proxy; gains in units of their step, so that it does not matter "
        "when a document was read; one epoch over the whole pool; a value is a mean over the tokens of a "
        "document."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        training = substrates.needed_training(self.name)
        return gains(training, pool, target, self.accounting, seed, substrates.kept, substrates.progress)


IN_RUN = (
    InRunShapley(),
    InRunShapley(
        Accounting(order=2, metric="sgd", levelled=False),
        name="in_run_second_order",
        cost="the same and a product with the target's Hessian a step",
        deviations=(
            "One epoch over the whole pool; a value is a mean over the tokens of a document. The metric is "
            "the paper's: the second order of Adam's first steps is larger than the first."
        ),
    ),
    InRunShapley(
        Accounting(metric="sgd", levelled=False),
        name="in_run_sgd",
        deviations="One epoch over the whole pool; a value is a mean over the tokens of a document.",
    ),
)
