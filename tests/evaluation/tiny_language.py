"""A language of Markov chains, a small functional model of it, and a pool that learnt it (for tests)."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.layout import Layout
from cuvee.models.linear_inputs import LinearInput
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.types import IntArray

VOCABULARY, WIDTH, CONTEXT = 12, 6, 16
SOURCES = ("web", "code", "books")


class Bigram:
    """p(next | token) = softmax(tanh(embedding) @ head): no state, one flat vector, not linear in it."""

    layout = Layout.of([("embedding", (VOCABULARY, WIDTH)), ("head", (WIDTH, VOCABULARY))], [])
    vocabulary_size = VOCABULARY
    context_length = CONTEXT
    flops_per_token = 4.0 * WIDTH * VOCABULARY
    model_hash = "bigram"

    def __init__(self) -> None:
        self.shapes: set[tuple[int, ...]] = set()
        """Of all batches seen."""

    def initial(self, seed: int) -> Tensor:
        return 0.5 * torch.randn(self.layout.size, generator=torch.Generator().manual_seed(seed))

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        self.shapes.add(tuple(inputs.shape))
        views = self.layout.views(flat)
        log_probs = (torch.tanh(views["embedding"]) @ views["head"]).log_softmax(-1)
        return log_probs[inputs, targets]

    def hidden_states(self, flat: Tensor, inputs: Tensor) -> Tensor:
        return torch.tanh(self.layout.views(flat)["embedding"])[inputs]

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        states = self.hidden_states(flat, inputs)[torch.arange(len(inputs)), last]
        return (states @ self.layout.views(flat)["head"]).log_softmax(-1)

    @property
    def linear_inputs(self) -> tuple[LinearInput, ...]:
        return (LinearInput(WIDTH, (self.layout.entries[1],), transposed=True),)

    def read_linear_inputs(self, flat: Tensor, inputs: Tensor, seen: Callable[[int, Tensor], None]) -> None:
        seen(0, self.hidden_states(flat, inputs))

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return -self.token_log_probs(flat, inputs, targets).mean()


def documents(source: int, count: int, seed: int, length: int = 30) -> list[IntArray]:
    """Documents of a Markov chain that belongs to the source; token 0 ends each."""
    chain = np.random.default_rng(100 + source).dirichlet(np.full(VOCABULARY - 1, 0.2), VOCABULARY)
    rng = np.random.default_rng([seed, source])
    found = []
    for _ in range(count):
        tokens = [0]
        for _ in range(int(rng.integers(length // 2, 2 * length))):
            tokens.append(1 + int(rng.choice(VOCABULARY - 1, p=chain[tokens[-1]])))
        found.append(np.array([*tokens[1:], 0], dtype=np.int64))
    return found


def evaluation_set(name: str, texts: list[IntArray], context: int = CONTEXT) -> EvaluationSet:
    """Windows over the documents, every token predicted once, the last window padded."""
    stream = np.concatenate([[0], *texts])
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    windows = -(-len(owner) // context)
    padded = np.zeros(windows * context + 1, dtype=np.int64)
    padded[: len(stream)] = stream
    document = np.full(windows * context, -1, dtype=np.int32)
    document[: len(owner)] = owner
    return EvaluationSet(
        name,
        "words",
        f"key of {name}",
        padded[:-1].reshape(-1, context).copy(),
        padded[1:].reshape(-1, context).copy(),
        document.reshape(-1, context),
        np.array([3 * len(text) for text in texts], dtype=np.int64),
    )


def evaluator(count: int = 12, batch_windows: int = 7) -> Evaluator:
    """One evaluation a source."""
    sets = [evaluation_set(name, documents(i, count + 3 * i, seed=7)) for i, name in enumerate(SOURCES)]
    return Evaluator.of(Bigram(), sets, batch_windows)


@cache
def pool() -> FlatPool:
    """A seed model that knows a little of all sources, and two branches of each source."""
    model = Bigram()
    texts = [documents(source, 40, seed=1) for source in range(len(SOURCES))]
    seed = learnt(
        model, model.initial(0), np.concatenate([text for part in texts for text in part[:10]]), 150
    )
    rows, members = [seed], []
    for source, name in enumerate(SOURCES):
        for unit in range(2):
            text = np.concatenate(texts[source][10 + 15 * unit : 25 + 15 * unit])
            rows.append(learnt(model, seed, text, 60))
            members.append(Member(f"{name}/{unit}", name, 100 + 50 * unit, f"{name}-{unit}"))
    return FlatPool(Roster("seed", tuple(members)), torch.stack(rows))


def learnt(model: Bigram, start: Tensor, tokens: IntArray, steps: int) -> Tensor:
    """Adam on one long text."""
    flat = start.clone().requires_grad_()
    stream = torch.from_numpy(tokens)
    optimizer = torch.optim.Adam([flat], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        model.mean_loss(flat, stream[None, :-1], stream[None, 1:]).backward()
        optimizer.step()
    return flat.detach()
