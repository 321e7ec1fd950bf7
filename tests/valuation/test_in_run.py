"""In-run values against the game that they stand for: all coalitions of one batch, enumerated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.progress import Silent
from cuvee.sources.tokenizer import Tokenizer
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import FloatArray
from cuvee.valuation.document_stream import DocumentStream
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.in_run import PER_TOKENS, Accounting, Metric, gains
from cuvee.valuation.kept_rows import KeptRows
from cuvee.valuation.proxy_training import ProxyTraining
from cuvee.valuation.source_game import coalitions, shapley
from tests.valuation.conftest import Tables, texts_of

LENGTH, PLAYERS = 32, 8


def cut(tokenizer: Tokenizer, topics: tuple[str, ...], count: int, seed: int) -> DocumentTable:
    """So many documents of each topic that fill one window, their end-of-text token included."""
    texts = [one for topic in topics for one in texts_of(topic, count, 60, seed)]
    table = DocumentTable.of_texts(texts, tokenizer)
    assert int(table.length.min()) >= LENGTH
    short = np.full(len(texts), LENGTH - 1)
    return DocumentTable(
        tokenizer, table.sources, table.source, table.shard, table.start, short, table.tokens, table.content
    )


@dataclass(frozen=True)
class Step:
    """A model on its way, one batch of eight documents, and a target of two."""

    model: Llama
    state: TrainingState
    pool: DocumentTable
    target: DocumentTable

    def recipe(self, rate: float) -> Recipe:
        return Recipe(
            steps=1, batch_sequences=PLAYERS, context_length=LENGTH, learning_rate=rate, schedule="constant",
            weight_decay=0.0, clip=1e9, beta2=0.999,
        )  # fmt: skip

    def valued(self, rate: float, accounting: Accounting) -> FloatArray:
        """Gains of the documents in nats of target loss."""
        training = ProxyTraining(self.model, self.state, "state", self.recipe(rate))
        found = gains(training, self.pool, self.target, accounting, 0, KeptRows(), Silent())
        result: FloatArray = found * (LENGTH - 1) / PER_TOKENS
        return result

    def gradients(self) -> Tensor:
        """Each document's share of the batch's gradient [8, N], in the order of the pool."""
        stream = DocumentStream.of(self.pool, self.recipe(1.0), 0)
        inputs, targets = (torch.from_numpy(part) for part in stream.batch(0))
        rows = []
        for row in np.argsort(stream.order):
            leaf = self.state.flat.clone().requires_grad_()
            loss = -self.model.token_log_probs(leaf, inputs[row : row + 1], targets[row : row + 1]).mean()
            (loss / PLAYERS).backward()
            assert leaf.grad is not None
            rows.append(leaf.grad.double())
        return torch.stack(rows)

    def loss(self, flat: Tensor) -> float:
        """Of the target."""
        total = 0.0
        end = self.target.tokenizer.end_of_text
        for row in range(len(self.target)):
            tokens = torch.tensor([end, *self.target.document(row).tolist()])[None]
            with torch.no_grad():
                total -= float(
                    self.model.token_log_probs(flat, tokens[:, :-1], tokens[:, 1:]).double().mean()
                )
        return total / len(self.target)


def _aged(state: TrainingState, recipe: Recipe) -> TrainingState:
    """The same means of gradients and squares, behind 2000 updates: one more batch hardly changes them."""
    many = 2000
    first, second = (
        moment * ((1.0 - beta**many) / (1.0 - beta**state.updates))
        for moment, beta in (
            (state.first_moment, recipe.beta1),
            (state.second_moment, recipe.beta2),
        )
    )
    return TrainingState(state.flat, first, second, many)


@pytest.fixture(scope="module")
def step(tokenizer: Tokenizer) -> Step:
    model = Llama(ModelConfig.for_parameters(100_000, tokenizer.vocabulary_size, LENGTH), torch.float64)
    before = cut(tokenizer, ("herbs", "ships"), 64, 9)
    recipe = Recipe(steps=12, batch_sequences=16, context_length=LENGTH, learning_rate=3e-3, beta2=0.999)
    stream = DocumentStream.of(before, recipe, 1)
    fresh = TrainingState.fresh(model.initial(0))
    state = _aged(train(model, fresh, stream, recipe, key="before"), recipe)
    pool = cut(tokenizer, ("herbs", "ships"), PLAYERS // 2, 1)
    return Step(model, state, pool, cut(tokenizer, ("herbs",), 2, 3))


def enumerated(step: Step, after: Callable[[Tensor], Tensor]) -> FloatArray:
    """Shapley values of the eight documents: the fall of the target's loss after each coalition's step.

    Args:
        after: from the gradient of a coalition [N] to the parameters after its step.
    """
    shares = step.gradients()
    losses = [step.loss(after(torch.from_numpy(row).double() @ shares)) for row in coalitions(PLAYERS)]
    return shapley(-np.array(losses))


def relative(found: FloatArray, true: FloatArray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


@pytest.mark.parametrize(("order", "worst"), [(1, 0.15), (2, 1e-3)])
def test_a_step_of_sgd_is_shared_out_as_shapley_does(step: Step, order: int, worst: float) -> None:
    rate, flat = 0.01, step.state.flat.double()
    true = enumerated(step, lambda gradient: flat - rate * gradient)
    found = step.valued(rate, Accounting(order, "sgd"))
    assert relative(found, true) <= worst
    assert relative(found, true) > 0.0


def test_second_order_is_nearer_than_first_where_steps_are_long(step: Step) -> None:
    rate, flat = 0.1, step.state.flat.double()
    true = enumerated(step, lambda gradient: flat - rate * gradient)
    first, second = (step.valued(rate, Accounting(order, "sgd")) for order in (1, 2))
    assert relative(second, true) < 0.2 * relative(first, true)


def test_values_of_a_game_sum_to_what_all_gain(step: Step) -> None:
    rate, flat = 0.01, step.state.flat.double()
    true = enumerated(step, lambda gradient: flat - rate * gradient)
    all_of_them = flat - rate * step.gradients().sum(dim=0)
    assert true.sum() == pytest.approx(step.loss(flat) - step.loss(all_of_them), abs=1e-12)


def adam(step: Step, rate: float, gradient: Tensor) -> Tensor:
    """The parameters after one step of AdamW without decay."""
    state, recipe = step.state, step.recipe(rate)
    count = state.updates + 1
    first = recipe.beta1 * state.first_moment.double() + (1.0 - recipe.beta1) * gradient
    second = recipe.beta2 * state.second_moment.double() + (1.0 - recipe.beta2) * gradient**2
    first, second = first / (1.0 - recipe.beta1**count), second / (1.0 - recipe.beta2**count)
    return state.flat.double() - rate * first / (second.sqrt() + recipe.epsilon)


def test_a_step_of_adam_is_shared_out_in_its_own_metric(step: Step) -> None:
    rate = 3e-4
    recipe = step.recipe(rate)
    true = enumerated(step, lambda gradient: adam(step, rate, gradient))
    # The rest of the effect comes by momentum, in the steps that follow.
    at_once = (1.0 - recipe.beta1) / (1.0 - recipe.beta1 ** (step.state.updates + 1))
    found = step.valued(rate, Accounting()) * at_once
    plain = step.valued(rate, Accounting(metric="sgd"))
    assert spearmanr(found, true).statistic >= 0.99
    assert relative(found, true) <= 0.03
    assert spearmanr(plain, true).statistic <= spearmanr(found, true).statistic


@pytest.mark.parametrize("metric", ["adam", "sgd"])
def test_differences_and_tangents_agree_on_a_document(step: Step, metric: Metric) -> None:
    single = replace(step, model=Llama(step.model.config))
    by_tangents = single.valued(1e-3, Accounting(1, metric, "forward"))
    assert relative(single.valued(1e-3, Accounting(1, metric, "finite")), by_tangents) <= 1e-3


@pytest.mark.parametrize("metric", ["adam", "sgd"])
def test_hooks_and_tangents_agree_on_a_document(step: Step, metric: Metric) -> None:
    single = replace(step, model=Llama(step.model.config))
    by_tangents = single.valued(1e-3, Accounting(1, metric, "forward"))
    by_hooks = single.valued(1e-3, Accounting(1, metric, "hooks"))
    # With Adam's metric hooks take the second moment of the step before.
    assert relative(by_hooks, by_tangents) <= (1e-5 if metric == "sgd" else 0.05)


def test_it_matters_little_when_a_document_is_read(step: Step, tokenizer: Tokenizer) -> None:
    """The same documents in ten other orders: how far values agree between two of them."""
    pool = cut(tokenizer, ("herbs", "ships"), 24, 4)
    recipe = replace(step.recipe(2e-3), schedule="linear")
    training = ProxyTraining(Llama(step.model.config), step.state, "state", recipe)

    def agreement(levelled: bool) -> float:
        accounting = Accounting(levelled=levelled)
        found = [
            gains(training, pool, step.target, accounting, seed, KeptRows(), Silent()) for seed in range(6)
        ]
        return float(np.mean(np.asarray(np.corrcoef(found))[np.triu_indices(6, 1)]))

    assert agreement(True) > agreement(False)
    assert agreement(True) > 0.8


def run_of(tables: Tables, tokenizer: Tokenizer) -> ProxyTraining:
    """Some steps over the pool."""
    model = Llama(ModelConfig.for_parameters(100_000, tokenizer.vocabulary_size, LENGTH))
    recipe = Recipe(steps=1, batch_sequences=4, context_length=LENGTH, learning_rate=1e-3, warmup_steps=3)
    return ProxyTraining(model, TrainingState.fresh(model.initial(0)), "fresh", recipe)


def test_documents_like_the_target_gain_most(step: Step, tables: Tables) -> None:
    training = ProxyTraining(Llama(step.model.config), step.state, "state", step.recipe(1e-3))
    found = gains(training, tables.pool, tables.target, Accounting(), 0, KeptRows(), Silent())
    assert np.isfinite(found).all()
    herbs, ships = found[tables.pool.source == 0], found[tables.pool.source == 1]
    assert herbs.mean() > ships.mean()


def test_a_killed_valuation_goes_on_to_the_same_bytes(
    tables: Tables, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = run_of(tables, tokenizer)
    asked = (training, tables.pool, tables.target, Accounting(), 0)
    whole = gains(*asked, KeptRows(tmp_path / "whole"), Silent())
    monkeypatch.setattr("cuvee.training.loop.SAVE_EVERY_SECONDS", 0.0)

    class Killed(Silent):
        def advance(self, amount: float, note: str = "") -> None:
            if "step 9/" in note:
                raise KeyboardInterrupt

    monkeypatch.setattr("cuvee.training.loop._NOTE_EVERY_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        gains(*asked, KeptRows(tmp_path / "killed"), Killed())
    assert any((tmp_path / "killed").glob(".*.state"))
    again = gains(*asked, KeptRows(tmp_path / "killed"), Silent())
    assert again.tobytes() == whole.tobytes()
    assert not any((tmp_path / "killed").glob(".*"))
    assert gains(*asked, KeptRows(tmp_path / "killed"), Killed()).tobytes() == whole.tobytes()  # kept
