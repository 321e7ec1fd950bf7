"""Masked language models: every token predicted once, and masks that are a function of the tokens alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.hugging_face import MaskedModel, open_model
from cuvee.models.masking import PARTS, parts, window_hashes
from cuvee.sources.tokenizer import load_tokenizer
from tests.models.tiny_models import batch, save_random
from tests.study.tiny_study import LANGUAGES, run, texts, write_study

KINDS = ("bert", "roberta")
SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[MASK]")


def save_masked(folder: Path, kind: str, vocabulary: int = 300) -> tuple[Any, int]:
    """A random masked model with a tokenizer, its module, and the id of its mask."""
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator([text for name in LANGUAGES for text in texts(name)], trainer)
    named = {"sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **named).save_pretrained(folder)
    module = save_random(folder, kind, backend.get_vocab_size())
    return module, backend.get_vocab()["[MASK]"]


def log_probs_one_part(module: Any, tokens: Tensor, hidden: Tensor, mask: int) -> Tensor:
    with torch.no_grad():
        logits = module(input_ids=tokens.masked_fill(hidden, mask)).logits
    found: Tensor = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_is_predicted_once_from_what_its_part_leaves(tmp_path: Path, kind: str) -> None:
    module, mask = save_masked(tmp_path, kind)
    model = open_model(tmp_path)
    assert isinstance(model, MaskedModel)
    assert model.context_length == (30 if kind == "roberta" else 32), "two positions are kept for padding"
    inputs, tokens = batch(3, 30, vocabulary=300)
    owner = parts(tokens)
    assert (torch.nn.functional.one_hot(owner, PARTS).sum(dim=1).float().var(dim=1) < 1).all()
    found = model.token_log_probs(model.initial(0), inputs, tokens)
    for part in range(PARTS):
        expected = log_probs_one_part(module, tokens, owner == part, mask)
        torch.testing.assert_close(found[owner == part], expected[owner == part], rtol=1e-5, atol=1e-5)
    own = window_hashes(tokens).remainder(PARTS)
    assert model.hidden_states(model.initial(0), tokens).shape == (3, 30, 32)
    flat = model.initial(0).requires_grad_()
    loss = model.mean_loss(flat, inputs, tokens)
    hidden = owner == own[:, None]
    torch.testing.assert_close(loss.detach(), -found[hidden].mean(), rtol=1e-5, atol=1e-5)
    loss.backward()
    assert flat.grad is not None and float(flat.grad.norm()) > 0


def test_masks_are_a_function_of_the_tokens_alone() -> None:
    _, tokens = batch(64, 128, vocabulary=4096)
    there, alone = parts(tokens), parts(tokens[5:6])
    assert torch.equal(there[5], alone[0])
    other = tokens.clone()
    other[5, 100] += 1
    assert not torch.equal(parts(other)[5], there[5]) and torch.equal(parts(other)[6], there[6])
    # No part of the window is preferred, and no two neighbours go together.
    frequency = torch.nn.functional.one_hot(there, PARTS).float().mean(dim=0)
    assert float((frequency - 1 / PARTS).abs().max()) < 5 * (1 / PARTS / 64) ** 0.5
    together = (there[:, 1:] == there[:, :-1]).float().mean()
    assert float(together) == pytest.approx(1 / PARTS, abs=0.02)
    chosen = window_hashes(tokens).remainder(PARTS)
    assert len(set(chosen.tolist())) == PARTS


def test_it_goes_to_disk_and_comes_back(tmp_path: Path) -> None:
    save_masked(tmp_path / "seed", "bert")
    model = open_model(tmp_path / "seed")
    flat = model.initial(0) * 1.5
    checkpoint = save_checkpoint(tmp_path / "branch", model, flat, tokenizer_folder=tmp_path / "seed")
    assert torch.equal(Checkpoint.load(checkpoint.folder).read_flat(model), flat)
    assert isinstance(open_model(checkpoint.folder), MaskedModel)
    tokenizer = load_tokenizer(tmp_path / "seed")
    assert tokenizer.decode([tokenizer.end_of_text]) == "[SEP]"


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    save_masked(tmp_path, "bert")
    model = open_model(tmp_path)
    inputs, tokens = batch(1, 8)
    with pytest.raises(ConfigError, match="predicts no next token"):
        model.next_log_probs(model.initial(0), inputs, torch.tensor([3]))
    file = tmp_path / "tokenizer_config.json"
    file.write_text(file.read_text().replace("mask_token", "mask_token_was"))
    with pytest.raises(CheckpointError, match="names no mask_token"):
        open_model(tmp_path).token_log_probs(model.initial(0), inputs, tokens)


@pytest.mark.slow
def test_a_study_begins_with_one(tmp_path: Path) -> None:
    save_masked(tmp_path / "bert", "bert")
    folder = write_study(
        tmp_path / "study",
        model={"folder": str(tmp_path / "bert"), "parameters": None, "context_length": 32},
        tokenizer={"folder": str(tmp_path / "bert"), "vocabulary": None},
    )  # fmt: skip
    decision = run(folder)
    assert sum(one.share for one in decision.mixture) == pytest.approx(1.0)
