"""A trainer of plain transformers, for a slow test: a tiny Llama on the rows that a mixture file draws.

The mixture file is that of `cuvee export --to hugging-face` as text: its table SOURCES is read here, so that
the data sets library is not needed. Needs no cuvee.
"""

import argparse
import ast
import json
import random
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

CONTEXT, BATCH = 32, 8


def weights_of(mixture: Path) -> dict[str, float]:
    """Path of each source with its share of the rows."""
    tree = ast.parse(mixture.read_text(encoding="utf-8"))
    [table] = [
        one.value for one in tree.body if isinstance(one, ast.Assign) and "SOURCES" in ast.unparse(one)
    ]
    found: dict[str, float] = ast.literal_eval(table)
    return found


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser()
    for name in ("mixture", "output", "tokenizer"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    for name in ("tokens", "seed"):
        parser.add_argument(f"--{name}", required=True, type=int)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    draw = random.Random(asked.seed)
    tokenizer = AutoTokenizer.from_pretrained(asked.tokenizer)
    weights = weights_of(asked.mixture)
    texts = {
        path: [json.loads(line)["text"] for line in Path(path).read_text(encoding="utf-8").splitlines()]
        for path in weights
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=CONTEXT, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    stream: list[int] = []
    for _ in range(asked.tokens // (CONTEXT * BATCH)):
        while len(stream) < CONTEXT * BATCH:
            [path] = draw.choices(list(weights), list(weights.values()))
            stream += [*tokenizer(draw.choice(texts[path]))["input_ids"], tokenizer.eos_token_id]
        batch, stream = (
            torch.tensor(stream[: CONTEXT * BATCH]).view(BATCH, CONTEXT),
            stream[CONTEXT * BATCH :],
        )
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(asked.output)
    tokenizer.save_pretrained(asked.output)


if __name__ == "__main__":
    main()
