"""A pool of models as one matrix of flat parameters.

``bank`` [K + 1, N] float32: row 0 is the seed model, the others are its branches. A merge is one
matrix-vector product with it. Members are kept, not deltas, for two reasons: weight one on one member gives
its parameters back bit for bit (``seed + (branch - seed)`` does not in floating point), and the seed
is one more row. What needs deltas (gradients, norms, angles) subtracts the seed block by block while the
block is in cache, so that short branches lose no digits to cancellation.

On disk: a folder named by ``roster.key`` with ``bank.npy`` (float32, memory-mapped when opened) and
``roster.json``, which has a digest of each row, too. 4 (K + 1) N bytes. Half of that in bfloat16 deltas was
left out: they cost 0.4 % of every delta and the exactness above, and cannot be multiplied where they lie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import CheckpointError, IncompatibleMembers
from cuvee.files import atomic_folder
from cuvee.merging.roster import Member, Roster
from cuvee.merging.statistics import Statistics
from cuvee.models.checkpoint import Checkpoint, content_hash
from cuvee.models.interface import CausalModel
from cuvee.seal import once, read_sealed, write_sealed
from cuvee.types import FloatArray

_BLOCK_PARAMETERS = 1 << 16
_BANK_FILE = "bank.npy"
_ROSTER_FILE = "roster.json"
_ROWS = "rows"


@dataclass(frozen=True)
class Branch:
    """A trained branch on its way into a pool."""

    name: str
    source: str
    tokens: int
    """Tokens of its unit."""
    checkpoint: Checkpoint


@dataclass(frozen=True, eq=False)
class FlatPool:
    """The parameters of a seed model and its branches.

    Raises:
        CheckpointError: the matrix is not float32 [K + 1, N] or holds a number that is not finite.
    """

    roster: Roster
    bank: Tensor
    """[K + 1, N] float32, row 0 the seed."""
    statistics: Statistics | None = None
    """What methods other than linear need of the members; not part of what lies in the pool's folder."""

    def __post_init__(self) -> None:
        rows = len(self.roster.members) + 1
        if self.bank.dtype != torch.float32 or self.bank.ndim != 2 or self.bank.shape[0] != rows:
            raise CheckpointError(
                f"pool: expected float32 parameters [{rows}, N], got {self.bank.dtype} "
                f"{tuple(self.bank.shape)}"
            )

    @property
    def size(self) -> int:
        """N, parameters of one model."""
        return self.bank.shape[1]

    @property
    def seed(self) -> Tensor:
        """Parameters of the seed model [N]; a view."""
        return self.bank[0]

    @property
    def branches(self) -> Tensor:
        """Parameters of the members [K, N]; a view."""
        return self.bank[1:]

    @property
    def merge_flops(self) -> float:
        """FLOPs of one merge of all members."""
        return 2.0 * self.bank.numel()

    def branch(self, name: str) -> Tensor:
        """Parameters of one member [N]; a view."""
        return self.bank[1 + self.roster.index(name)]

    def to(self, device: torch.device | str) -> "FlatPool":
        """The pool on another device."""
        statistics = None if self.statistics is None else self.statistics.to(device)
        return FlatPool(self.roster, self.bank.to(device), statistics)

    def measured(self, statistics: Statistics) -> "FlatPool":
        """The same pool with what is known of its members."""
        return replace(self, statistics=statistics)

    def delta_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Deltas from the seed [K, block], a slice of parameters at a time."""
        block = _BLOCK_PARAMETERS if self.bank.device.type == "cpu" else self.size
        for start in range(0, self.size, block):
            part = slice(start, min(start + block, self.size))
            yield part, self.bank[1:, part] - self.bank[0, part]

    def project(self, direction: Tensor) -> FloatArray:
        """Inner products of every delta with ``direction`` [N]: float64 [K], one pass over the bank.

        With the gradient of a loss as direction, the derivatives of the loss along every delta.
        """
        total = torch.zeros(len(self.roster.members), dtype=torch.float64, device=self.bank.device)
        for part, deltas in self.delta_blocks():
            total += deltas @ direction[part].float()
        return total.cpu().numpy()

    def gram(self) -> FloatArray:
        """Inner products of all deltas, accumulated in float64 [K, K]. Costs 2 K^2 N FLOPs."""
        members = len(self.roster.members)
        total = torch.zeros(members, members, dtype=torch.float64, device=self.bank.device)
        for _, deltas in self.delta_blocks():
            wide = deltas.double()
            total += wide @ wide.T
        return total.cpu().numpy()

    @classmethod
    def build(
        cls,
        model: CausalModel,
        seed: Checkpoint,
        branches: Sequence[Branch],
        folder: Path | None = None,
        *,
        force: bool = False,
    ) -> "FlatPool":
        """Gather checkpoints into one matrix.

        Args:
            model: the architecture of all of them.
            seed: the model that every branch started from.
            branches: the members, in order.
            folder: where pools are kept; the matrix is then written row by row to
                ``folder / roster.key`` (kept if it is there) and memory-mapped. Default: in memory.
            force: merge members that do not belong together. Only for negative controls; the roster
                says so for ever after. Members of different shape are refused even then.

        Raises:
            IncompatibleMembers: two models differ in ancestor, recipe, tokenizer or architecture.
            CheckpointError: parameters that are not finite.
        """
        roster = roster_of(seed, branches, force)
        checkpoints = {"seed": seed} | {branch.name: branch.checkpoint for branch in branches}
        if folder is None:
            return cls(roster, torch.stack([_read(model, name, one) for name, one in checkpoints.items()]))
        path = folder / roster.key
        if not path.exists():
            with atomic_folder(path) as temporary:
                rows = _write_bank(temporary / _BANK_FILE, model, checkpoints)
                write_sealed(temporary / _ROSTER_FILE, roster.as_json() | {_ROWS: rows})
        return cls.open(path)

    def save(self, folder: Path) -> Path:
        """Write the pool to ``folder / roster.key``, unless it is there; returns that path."""
        path = folder / self.roster.key
        if not path.exists():
            with atomic_folder(path) as temporary:
                bank = self.bank.cpu()
                np.save(temporary / _BANK_FILE, bank.numpy())
                rows = [content_hash(row) for row in bank]
                write_sealed(temporary / _ROSTER_FILE, self.roster.as_json() | {_ROWS: rows})
        return path

    @classmethod
    def open(cls, path: Path) -> "FlatPool":
        """Open a pool that ``build`` or ``save`` wrote; the matrix is memory-mapped.

        Its rows are compared with their digests, once a process: 4 (K + 1) N bytes at about 2 GB a second.
        Earlier versions wrote none; there those are the content hashes of the members.

        Raises:
            CheckpointError: a file is missing, cut short, damaged or of another pool.
        """
        try:
            document = read_sealed(path / _ROSTER_FILE)
            digests = document.pop(_ROWS, None)
            roster = Roster.from_json(document)
            # Copy-on-write: torch wants a writable array, the file must never change.
            bank = np.load(path / _BANK_FILE, mmap_mode="c")
        except Exception as error:  # NumPy's reader of headers raises whatever its parser does
            raise CheckpointError(
                f"pool {path}: cannot be read ({error}); delete the folder and build again"
            ) from error
        if path.name != roster.key:
            raise CheckpointError(f"pool {path}: holds pool {roster.key}; delete the folder and build again")
        pool = cls(roster, torch.from_numpy(bank))
        found = once(_digests, path / _BANK_FILE)
        known = digests or [roster.seed, *(member.content_hash for member in roster.members)]
        for name, one, other in zip(("the seed model", *roster.names), found, known, strict=True):
            if one != other:
                raise CheckpointError(
                    f"pool {path}: the parameters of {name} in {_BANK_FILE} are not those that were written; "
                    "delete the folder and build again"
                )
        return pool


def _digests(path: Path) -> tuple[str, ...]:
    """Of the rows of a matrix on disk."""
    return tuple(content_hash(torch.from_numpy(row)) for row in np.load(path, mmap_mode="c"))


def _write_bank(path: Path, model: CausalModel, checkpoints: dict[str, Checkpoint]) -> list[str]:
    """Write parameters row by row, so that one model at a time is in memory; their digests."""
    bank: np.memmap[tuple[int, ...], np.dtype[np.float32]] | None = None
    digests = []
    for row, (name, checkpoint) in enumerate(checkpoints.items()):
        read = _read(model, name, checkpoint)
        flat = read.numpy()
        digests.append(content_hash(read))
        if bank is None:
            shape = (len(checkpoints), len(flat))
            bank = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        bank[row] = flat
    if bank is not None:
        bank.flush()
    return digests


def _read(model: CausalModel, name: str, checkpoint: Checkpoint) -> Tensor:
    flat = checkpoint.read_flat(model).float()
    if not torch.isfinite(flat).all():
        raise CheckpointError(
            f"pool: {name!r} ({checkpoint.folder}) holds parameters that are not finite; train it again"
        )
    return flat


def roster_of(seed: Checkpoint, branches: Sequence[Branch], force: bool = False) -> Roster:
    """The roster of compatible members.

    Raises:
        IncompatibleMembers: naming two members and the field in which they differ.
    """
    mismatch = _mismatch(seed, branches)
    if mismatch is not None:
        field, message = mismatch
        if field == "architecture" or not force:
            raise IncompatibleMembers(f"pool: {message}")
    first = branches[0].checkpoint if branches else seed
    members = tuple(
        Member(branch.name, branch.source, branch.tokens, branch.checkpoint.content_hash)
        for branch in branches
    )
    return Roster(
        seed.content_hash, members, first.recipe, seed.tokenizer, seed.model_hash, forced=mismatch is not None
    )


def _mismatch(seed: Checkpoint, branches: Sequence[Branch]) -> tuple[str, str] | None:
    """The first reason not to merge, architecture before all others: the field and a sentence."""
    for branch in branches:
        if branch.checkpoint.model_hash != seed.model_hash:
            return "architecture", _differ(
                "seed", branch.name, "architecture", seed.model_hash, branch.checkpoint.model_hash
            )
    for branch in branches:
        member, first = branch.checkpoint, branches[0].checkpoint
        if member.ancestor != first.ancestor:
            return "ancestor", _differ(
                branches[0].name, branch.name, "ancestor", first.ancestor, member.ancestor
            )
        if member.ancestor != seed.content_hash:
            return "ancestor", _differ("seed", branch.name, "ancestor", seed.content_hash, member.ancestor)
        if member.recipe != first.recipe:
            return "recipe", _differ(branches[0].name, branch.name, "recipe", first.recipe, member.recipe)
        if member.tokenizer != seed.tokenizer:
            return "tokenizer", _differ("seed", branch.name, "tokenizer", seed.tokenizer, member.tokenizer)
    return None


def _differ(one: str, other: str, field: str, left: str | None, right: str | None) -> str:
    return (
        f"{one!r} and {other!r} differ in {field} ({left or 'unknown'} and {right or 'unknown'}); "
        "their average means nothing. Train all members from one seed model with one recipe and tokenizer"
    )
