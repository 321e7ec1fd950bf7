"""Small pools made of random numbers, and checkpoints that only claim to be some (for tests)."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.checkpoint import Checkpoint
from cuvee.models.interface import CausalModel


def roster(sources: list[str], tokens: list[int] | None = None) -> Roster:
    """One member an entry of ``sources``."""
    tokens = tokens or [100] * len(sources)
    members = tuple(
        Member(f"{source}/{i}", source, count, f"hash-{i}")
        for i, (source, count) in enumerate(zip(sources, tokens, strict=True))
    )
    return Roster("hash-of-seed", members, "recipe", "tokenizer", "model")


def random_pool(
    sources: list[str], size: int, seed: int = 0, spread: float = 0.1, tokens: list[int] | None = None
) -> FlatPool:
    """A normal seed vector and branches ``spread`` away."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(size, generator=generator)
    branches = start + spread * torch.randn(len(sources), size, generator=generator)
    return FlatPool(roster(sources, tokens), torch.cat([start[None], branches]))


@dataclass(frozen=True)
class ClaimedCheckpoint(Checkpoint):
    """A checkpoint whose parameters are in memory."""

    flat: Tensor = field(default_factory=lambda: torch.zeros(0))

    def read_flat(self, model: CausalModel) -> Tensor:
        return self.flat


def checkpoint(flat: Tensor, name: str, **claims: str | None) -> ClaimedCheckpoint:
    values: dict[str, str | None] = {
        "model_hash": "model",
        "content_hash": name,
        "ancestor": "seed",
        "recipe": "recipe",
        "tokenizer": "words",
        **claims,
    }
    return ClaimedCheckpoint(Path(name), **values, flat=flat)  # type: ignore[arg-type]
