"""What valuation costs: accounting on a training step, and a million documents."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablation_study import SHARED
from benchmarks.harness import Cell, Contender, Table, measure
from benchmarks.valuation_sources import DOMAINS
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.document import Document
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.sources.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from cuvee.types import IntArray
from cuvee.valuation.derivatives import BACK_ENDS, ParameterUses
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.hashed_ngrams import HashedNgrams
from cuvee.valuation.in_run import TARGET_PART
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.substrates import Substrates

PARAMETERS = (200_000, 1_000_000, 4_000_000)
SEQUENCES, LENGTH, VOCABULARY = 16, 128, 2048
REPEATS = 7
MILLION = 1_000_000
TOKENS = 200
"""Of a recombined document, in the mean."""


@dataclass(frozen=True, eq=False)
class Step:
    """One batch of one model."""

    model: Llama
    flat: Tensor
    direction: Tensor
    inputs: Tensor
    targets: Tensor

    @classmethod
    def of(cls, parameters: int) -> "Step":
        generator = torch.Generator().manual_seed(0)
        model = Llama(ModelConfig.for_parameters(parameters, VOCABULARY, LENGTH))
        tokens = torch.randint(0, VOCABULARY, (2, SEQUENCES, LENGTH), generator=generator)
        flat = model.initial(0)
        return cls(model, flat, torch.randn(flat.shape, generator=generator), tokens[0], tokens[1])

    def plain(self) -> None:
        """Forward and backward, as a training does."""
        leaf = self.flat.clone().requires_grad_()
        self.model.mean_loss(leaf, self.inputs, self.targets).backward()

    def target(self) -> None:
        """The gradient of the target, a quarter of a batch."""
        leaf = self.flat.clone().requires_grad_()
        part = SEQUENCES // TARGET_PART
        self.model.mean_loss(leaf, self.inputs[:part], self.targets[:part]).backward()

    def watched(self, back: str) -> Callable[[], None]:
        """A step whose values are read by a back-end of its own passes."""

        def run() -> None:
            self.plain()
            self.target()
            BACK_ENDS[back](self.model, self.flat, self.direction, self.inputs, self.targets)

        return run

    def hooked(self) -> None:
        """A step whose values are read off its own backward pass."""
        self.target()
        leaf = self.flat.clone().requires_grad_()
        uses = ParameterUses(leaf, self.direction, self.inputs.numel())
        with uses:
            loss = -self.model.token_log_probs(leaf, self.inputs, self.targets).mean()
        loss.backward()
        uses.found()


def overhead_table() -> Table:
    """A training step with its values read, over one without."""
    rows: list[tuple[Cell, ...]] = []
    for parameters in PARAMETERS:
        step = Step.of(parameters)
        timings = measure(
            [
                Contender("plain", step.plain),
                Contender("finite", step.watched("finite")),
                Contender("forward", step.watched("forward")),
                Contender("hooks", step.hooked),
            ],
            REPEATS,
            clock=time.process_time,
        )
        base = timings[0].median
        for one in timings:
            rows.append((parameters, one.name, round(1000 * one.median, 1), round(1000 * one.spread, 1),
                         round(one.median / base, 2)))  # fmt: skip
    return Table(
        "In-run accounting on a training step (CPU)",
        ("parameters", "back-end", "ms of CPU", "±", "over plain"),
        tuple(rows),
        (
            f"{SEQUENCES} sequences of {LENGTH} tokens, float32, not compiled. Each watched step takes the "
            f"gradient of the target on a part of the batch's tokens (one in {TARGET_PART}), too. Goal: 1.15 "
            "(with hooks on a GPU).",
        ),
    )


def recombined(count: int, tokenizer: Tokenizer, seed: int = 0) -> DocumentTable:
    """Documents made of pieces of the corpus: as many as asked for, no two alike.

    A document is two to four stretches of real text of one domain, some tens of tokens each.
    """
    rng = np.random.default_rng(seed)
    pools = [_tokens(name, tokenizer) for name in DOMAINS]
    source = rng.integers(len(DOMAINS), size=count)
    parts = rng.integers(2, 5, size=count)
    lengths = rng.integers(TOKENS // 5, TOKENS // 2, size=int(parts.sum()))
    owner = np.repeat(np.arange(count), parts)
    total = np.bincount(owner, weights=lengths, minlength=count).astype(np.int64)
    tokens = np.empty(int(total.sum()), dtype=np.uint16)
    begins = np.floor(
        rng.random(len(lengths)) * (np.array([len(one) for one in pools])[source[owner]] - TOKENS)
    )
    place = 0
    for one, begin, length in zip(owner, begins.astype(np.int64), lengths, strict=True):
        tokens[place : place + length] = pools[source[one]][begin : begin + length]
        place += int(length)
    return DocumentTable(
        tokenizer, DOMAINS, source.astype(np.int64), np.zeros(count, dtype=np.int64),
        np.cumsum(total) - total, total, (tokens,), ("recombined",),
    )  # fmt: skip


def _tokens(domain: str, tokenizer: Tokenizer) -> IntArray:
    texts = [one.text for one in _documents(domain, "train")]
    flat = [token for row in tokenizer.encode_batch(texts) for token in row]
    return np.array(flat, dtype=np.int64)


def _documents(domain: str, part: str) -> Sequence[Document]:
    spec = SourceSpec(domain, (str(SHARED / "corpus" / domain / f"{part}.jsonl.zst"),))
    return list(read_source(spec))


def million_table(folder: Path) -> Table:
    """DSIR and density sampling over a million documents, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    rows: list[tuple[Cell, ...]] = []
    for name in ("dsir", "density"):
        with ProcessPoolExecutor(1, context) as process:
            rows.append(process.submit(_million, name, folder).result())
    return Table(
        "A million documents",
        ("method", "documents", "tokens", "seconds", "CPU seconds", "peak GiB of the process"),
        tuple(rows),
        (
            "Documents recombined from the corpus by a seed, their tokens in memory. Density embeds by "
            "hashed n-grams. Goal: 30 minutes, 4 GiB, two cores.",
        ),
    )


def _million(name: str, folder: Path) -> tuple[Cell, ...]:
    tokenizer = tokenizer_in(folder)
    pool = recombined(MILLION, tokenizer)
    target = DocumentTable.of_texts([one.text for one in _documents("medical", "val")], tokenizer)
    began, spent = time.perf_counter(), time.process_time()
    substrates = Substrates() if name == "dsir" else Substrates(encoder=HashedNgrams.fitted(pool))
    values = valuer_named(name).value(pool, target, substrates, 0)
    assert np.isfinite(values).all()
    seconds, work = time.perf_counter() - began, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return name, len(pool), pool.size, round(seconds, 1), round(work, 1), round(peak, 2)


def tokenizer_in(folder: Path) -> Tokenizer:
    """Of some text of all domains; made where it is not there."""
    if folder.is_dir():
        return load_tokenizer(folder)
    texts = (one.text for name in DOMAINS for one in _documents(name, "val"))
    return train_tokenizer(texts, VOCABULARY, folder)
