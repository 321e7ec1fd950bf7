"""Which source would be missed: values of sources against trainings without them.

Eight domains, 100 chunks of 512 bytes each; a small model reads them once in a fixed order. Without a source,
its tokens still stand in the batches and count nothing, so that order and length stay. The rise of the loss
on the target is what the source was worth; a method's value of a source is the sum over its chunks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.ablation_study import SHARED
from cuvee.models.config import ModelConfig
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from cuvee.progress import Silent
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.sources.tokenizer import Tokenizer
from cuvee.training.loop import WatchedStep, train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import FloatArray
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.in_run import Accounting, gains
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.proxy_model import ProxyModel
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.substrates import Substrates

DOMAINS = ("chess", "dialogue", "docs", "german", "gsm8k", "legal", "medical", "novels")
TARGETS = ("medical", "docs", "novels")
SEEDS = (0, 1, 2)
CHUNKS, CHUNK_CHARACTERS, TARGET_CHUNKS = 100, 512, 120


def chunks(domain: str, part: str, count: int, seed: int) -> list[str]:
    """Pieces of a domain's text, drawn from other documents each as far as there are any."""
    spec = SourceSpec(domain, (str(SHARED / "corpus" / domain / f"{part}.jsonl.zst"),))
    texts = [one.text for one in read_source(spec)]
    rng = np.random.default_rng([seed, *domain.encode(), *part.encode()])
    found: list[str] = []
    while len(found) < count:
        text = texts[int(rng.integers(len(texts)))]
        begin = int(rng.integers(max(1, len(text) - CHUNK_CHARACTERS)))
        if piece := text[begin : begin + CHUNK_CHARACTERS].strip():
            found.append(piece)
    return found


@dataclass(frozen=True, eq=False)
class WithoutSource:
    """A watcher under which the tokens of one source count nothing."""

    stream: DocumentStream
    left: int
    """The source; -1 leaves none."""
    step: list[int] = field(default_factory=lambda: [0])

    def begin(self, step: WatchedStep) -> None:
        self.step[0] = step.step

    def loss(self, model: CausalModel, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        source = self.stream.pool.source[self.stream.owners(self.step[0])]
        counted = torch.from_numpy(source != self.left).view(targets.shape)
        return -(model.token_log_probs(flat, inputs, targets) * counted).sum() / targets.numel()

    def end(self, step: WatchedStep) -> None:
        pass


@dataclass(frozen=True, eq=False)
class SourceCell:
    """One seed: text, a model that starts, and its trainings."""

    tokenizer: Tokenizer
    seed: int

    @cached_property
    def pool(self) -> DocumentTable:
        texts = [one for name in DOMAINS for one in chunks(name, "train", CHUNKS, self.seed)]
        return DocumentTable.of_texts(
            texts, self.tokenizer, sources=[n for n in DOMAINS for _ in range(CHUNKS)]
        )

    def target(self, name: str) -> DocumentTable:
        texts = chunks(name, "val", TARGET_CHUNKS, self.seed)
        return DocumentTable.of_texts(texts, self.tokenizer)

    @cached_property
    def model(self) -> Llama:
        return Llama(ModelConfig.for_parameters(150_000, self.tokenizer.vocabulary_size, 64))

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe(
            steps=1, batch_sequences=16, context_length=64, learning_rate=1e-3, warmup_steps=20,
            schedule="linear", weight_decay=0.0, seed=self.seed,
        )  # fmt: skip

    @cached_property
    def training(self) -> ProxyTraining:
        start = TrainingState.fresh(self.model.initial(self.seed))
        return ProxyTraining(self.model, start, f"fresh {self.seed}", self.recipe)

    @cached_property
    def missed(self) -> dict[str, FloatArray]:
        """Target -> rise of its loss without each source [S]."""
        stream = DocumentStream.of(self.pool, self.recipe, self.seed)
        recipe = self.training.recipe_of(stream.steps, self.seed)
        losses: dict[str, list[float]] = {name: [] for name in TARGETS}
        targets = {name: self.target(name) for name in TARGETS}
        for left in (-1, *range(len(DOMAINS))):
            flat = train(
                self.model,
                self.training.begun(),
                stream,
                recipe,
                key="loo",
                watcher=WithoutSource(stream, left),
            ).result
            for name in TARGETS:
                losses[name].append(ProxyModel(self.model, flat).mean_loss(targets[name]))
        return {name: np.array(rows[1:]) - rows[0] for name, rows in losses.items()}

    def in_run(self, target: str, accounting: Accounting) -> FloatArray:
        """Sums by source [S]."""
        found = gains(
            self.training, self.pool, self.target(target), accounting, self.seed, KeptRows(), Silent()
        )
        return self.summed(found * self.pool.length)

    def by_method(self, target: str, name: str) -> FloatArray:
        """Sums by source of a method that needs no training [S]."""
        values = valuer_named(name).value(self.pool, self.target(target), Substrates(), self.seed)
        return self.summed(values * self.pool.length)

    def summed(self, values: FloatArray) -> FloatArray:
        return np.bincount(self.pool.source, weights=values, minlength=len(DOMAINS)).astype(np.float64)


METHODS: dict[str, Callable[[SourceCell, str], FloatArray]] = {
    "in_run": lambda cell, target: cell.in_run(target, Accounting()),
    "in_run, hooks": lambda cell, target: cell.in_run(target, Accounting(1, "adam", "hooks")),
    "in_run_sgd": lambda cell, target: cell.in_run(target, Accounting(1, "sgd")),
    "dsir": lambda cell, target: cell.by_method(target, "dsir"),
    "n-gram cosine": lambda cell, target: _cosine(cell, target),
}


def _cosine(cell: SourceCell, target: str) -> FloatArray:
    """Between the bigram counts of each source and those of the target."""
    size = cell.tokenizer.vocabulary_size

    def counts(table: DocumentTable) -> FloatArray:
        result = np.zeros((len(table.sources), size * size))
        for row in range(len(table)):
            tokens = table.document(row).astype(np.int64)
            np.add.at(result[int(table.source[row])], tokens[:-1] * size + tokens[1:], 1.0)
        return np.sqrt(result)

    pool, wanted = counts(cell.pool), counts(cell.target(target))[0]
    result: FloatArray = pool @ wanted / (np.linalg.norm(pool, axis=1) * np.linalg.norm(wanted))
    return result


def agreement(cell: SourceCell, target: str, name: str) -> tuple[float, bool]:
    """Rank correlation with what was missed, and whether the best source is the same."""
    true, found = cell.missed[target], METHODS[name](cell, target)
    return float(spearmanr(found, true).statistic), int(np.argmax(found)) == int(np.argmax(true))
