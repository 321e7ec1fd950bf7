"""One run of LitGPT 0.5.13 on a mixture of `cuvee swarm`: its pretraining loop, on windows drawn by shares.

    trainer:
      command: >-
        python train_litgpt.py --text texts --mixture {mixture} --output {output}
        --tokens {tokens} --seed {seed} --tokenizer {tokenizer}

The text of source `web` lies in `texts/web.jsonl`. The last tenth of it is held out and measured. A run that
was stopped goes on from LitGPT's last checkpoint in its output folder.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from litgpt import GPT, Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader

LENGTH, BATCH, HELD_OUT = 64, 16, 0.1


def windows(path: Path, tokenizer: Any) -> Tensor:
    """All text of a source as windows [n, LENGTH + 1]."""
    texts = [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    tokens = torch.tensor([token for one in tokenizer.encode_batch(texts) for token in (*one.ids, 0)])
    return tokens[: len(tokens) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)


class Mixture(DataModule):
    """Windows of each source in its share, again where a source is too short; shuffled by the seed."""

    def __init__(self, sources: dict[str, Tensor], shares: dict[str, float], count: int, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        drawn = []
        for name, share in shares.items():
            wanted, there = round(share * count), len(sources[name])
            order = [torch.randperm(there, generator=random) for _ in range(-(-wanted // there))]
            drawn += [sources[name][torch.cat(order)[:wanted]]] if wanted else []
        rows: Any = torch.cat(drawn)
        self.rows: Any = rows[torch.randperm(len(rows), generator=random)]
        self.size = 1

    def connect(self, tokenizer: Any = None, batch_size: int = 1, max_seq_length: int | None = None) -> None:
        """LitGPT says how large a batch is."""
        self.size = batch_size

    def train_dataloader(self) -> Any:
        """All windows."""
        return DataLoader(self.rows, batch_size=self.size, drop_last=True)

    def val_dataloader(self) -> Any:
        """LitGPT wants some; what counts is measured at the end."""
        return DataLoader(self.rows[: self.size], batch_size=self.size)


def pretrain(config: Config, data: Mixture, tokens: int, seed: int, output: Path) -> GPT:
    """The model at the end."""
    sys.argv = ["litgpt", "tiny"]  # LitGPT reads the command line again when it saves
    setup(
        "tiny",
        config,
        out_dir=output,
        precision="32-true",
        resume="auto",
        data=data,
        train=TrainArgs(
            max_tokens=tokens,
            global_batch_size=BATCH,
            micro_batch_size=BATCH,
            save_interval=100,
            lr_warmup_steps=10,
            max_norm=1.0,
            tie_embeddings=False,
        ),
        eval=EvalArgs(interval=10_000, max_iters=1),
        optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": 3e-3, "weight_decay": 0.1}},
        devices=1,
        logger_name="csv",
        seed=seed,
    )
    model = GPT(config)
    # A checkpoint of LitGPT holds its data loader, too: it is read as what this very run wrote.
    saved = torch.load(output / "final" / "lit_model.pth", weights_only=False)
    model.load_state_dict(saved["model"])
    return model


def loss(model: GPT, rows: Tensor) -> float:
    """Nats per token."""
    with torch.inference_mode():
        logits = model(rows[:, :-1])
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()))


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser()
    for name in ("text", "mixture", "output", "tokenizer"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("tokens", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    shares = json.loads(asked.mixture.read_text(encoding="utf-8"))
    tokenizer: Any = Tokenizer.from_file(str(asked.tokenizer / "tokenizer.json"))
    rows = {path.stem: windows(path, tokenizer) for path in sorted(asked.text.glob("*.jsonl"))}
    kept = {name: one[: -max(1, round(HELD_OUT * len(one)))] for name, one in rows.items()}
    config = Config(
        name="tiny",
        block_size=LENGTH,
        vocab_size=tokenizer.get_vocab_size(),
        padding_multiple=1,
        n_layer=2,
        n_head=4,
        n_embd=64,
        intermediate_size=128,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
    )
    data = Mixture(kept, shares, asked.tokens // LENGTH, asked.seed)
    model = pretrain(config, data, asked.tokens, asked.seed, asked.output)
    held_out = {f"loss_{name}": loss(model, one[len(kept[name]) :]) for name, one in rows.items()}
    (asked.output / "metrics.json").write_text(json.dumps(held_out))


if __name__ == "__main__":
    main()
