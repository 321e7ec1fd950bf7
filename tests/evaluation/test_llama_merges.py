"""From checkpoints on disk to merges and back through transformers, with the native model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from tests.evaluation.tiny_language import CONTEXT, VOCABULARY, documents, evaluation_set

MODEL = Llama(ModelConfig(VOCABULARY, CONTEXT, width=32, layers=2, heads=2, hidden=64))
SETS = [evaluation_set(name, documents(i, 6, seed=5)) for i, name in enumerate(("web", "code"))]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FlatPool:
    """Checkpoints as training leaves them, gathered from disk."""
    folder = tmp_path_factory.mktemp("checkpoints")
    start = 3.0 * MODEL.initial(0)
    seed = save_checkpoint(folder / "seed", MODEL, start, recipe="seed recipe", tokenizer="words")
    branches = []
    for i, source in enumerate(("web", "code", "code")):
        flat = start + 0.5 * MODEL.initial(i + 1)
        saved = save_checkpoint(
            folder / f"branch-{i}",
            MODEL,
            flat,
            ancestor=seed.content_hash,
            recipe="branch recipe",
            tokenizer="words",
        )
        branches.append(Branch(f"{source}/{i}", source, 100, Checkpoint.load(saved.folder)))
    return FlatPool.build(MODEL, seed, branches, folder / "pools")


def transformers_nats(folder: Path) -> np.ndarray:
    """Nats per token of each set by transformers' own eager code in float32."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    losses = []
    for one in SETS:
        with torch.no_grad():
            log_probs = model(torch.from_numpy(one.inputs.copy())).logits.log_softmax(-1)
        chosen = log_probs.gather(-1, torch.from_numpy(one.targets.copy())[..., None])[..., 0].double()
        losses.append(-float(chosen[torch.from_numpy(one.scored)].mean()))
    return np.array(losses)


def test_a_merge_in_memory_is_the_merge_saved_and_reloaded(pool: FlatPool, tmp_path: Path) -> None:
    flat = LinearMerge().merge(pool, np.array([0.3, 0.35, 0.35]))
    saved = save_checkpoint(tmp_path / "merge", MODEL, flat, tokenizer="words")
    losses = Evaluator.of(MODEL, SETS).score(flat).nats_per_token
    np.testing.assert_allclose(losses, transformers_nats(saved.folder), atol=1e-6)
    assert torch.equal(saved.read_flat(MODEL), flat)


def test_the_gradient_is_that_of_the_llama(pool: FlatPool) -> None:
    weights, target = np.array([0.5, 0.2, 0.3]), np.array([0.5, 0.5])
    one = Evaluator.of(MODEL, SETS)
    _, gradient = merge_gradient(one, pool, LinearMerge(), weights, target)
    free = torch.from_numpy(weights).float().requires_grad_()
    flat = pool.seed + free @ (pool.branches - pool.seed)
    loss = -(MODEL.token_log_probs(flat, one.inputs, one.targets) * one.token_weights(target)).sum()
    loss.backward()
    assert free.grad is not None
    np.testing.assert_allclose(gradient, free.grad.numpy(), rtol=1e-3, atol=1e-6)


def test_scoring_in_bfloat16_stays_near(pool: FlatPool) -> None:
    low = Llama(MODEL.config, torch.bfloat16)
    near = Ensemble.of(Evaluator.of(low, SETS), pool).members().nats_per_token
    exact = Ensemble.of(Evaluator.of(MODEL, SETS), pool).members().nats_per_token
    np.testing.assert_allclose(near, exact, atol=0.02)
