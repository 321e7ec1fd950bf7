"""A training of the proxy that can be given any documents: where it starts, and how it goes."""

from dataclasses import dataclass, field, replace

from torch import Tensor

from cuvee.hashing import digest
from cuvee.models.interface import CausalModel
from cuvee.progress import Progress
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable


@dataclass(frozen=True, eq=False)
class ProxyTraining:
    """A model, its state to start from, and a recipe whose number of steps is that of one epoch."""

    model: CausalModel = field(repr=False)
    """Not compiled: derivatives are taken of it."""
    start: TrainingState = field(repr=False)
    """Not changed."""
    start_key: str
    """Hash of the run that left it."""
    recipe: Recipe

    @property
    def key(self) -> str:
        """Hash of all but the documents."""
        return digest([self.model.model_hash, self.start_key, self.recipe.as_json()])

    def recipe_of(self, steps: int, seed: int) -> Recipe:
        """The recipe for so many steps; a warm-up is no longer than a tenth of them."""
        warmup = min(self.recipe.warmup_steps, steps // 10)
        return replace(
            self.recipe, steps=steps, warmup_steps=warmup, seed=seed, snapshots=(), tail_average=0.0
        )

    def begun(self) -> TrainingState:
        """A state that the loop may own."""
        return self.start.branch(keep_moments=True)

    def trained_on(self, documents: DocumentTable, seed: int, progress: Progress) -> Tensor:
        """Parameters [N] after one epoch over some documents; three forward passes over their tokens.

        Raises:
            ConfigError: they are shorter than one batch.
            NonFiniteLoss: the training diverged.
        """
        stream = DocumentStream.of(documents, self.recipe, seed)
        recipe = self.recipe_of(stream.steps, seed)
        progress.stage("training on documents", recipe.tokens, "tokens")
        key = digest([self.key, documents.key, seed])
        return train(self.model, self.begun(), stream, recipe, key=key, report=progress.advance).result
