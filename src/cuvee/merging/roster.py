"""Who is in a pool: the seed model, its branches, their sources and tokens.

A merge is a vector over the members of a roster; no parameters are needed to build, compare or key one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.types import FloatArray, Json


@dataclass(frozen=True)
class Member:
    """One branch of the pool, or one snapshot along a branch."""

    name: str
    """Unique in the pool, for example ``code/unit-0``."""
    source: str
    tokens: int
    """Weight inside its source: the tokens of its unit. For snapshots of one unit, its share of them."""
    content_hash: str
    """Hash of its parameters."""


@dataclass(frozen=True)
class Roster:
    """The members of a pool in order, and what they have in common.

    Raises:
        ConfigError: no member, a name twice, or a member without tokens.
    """

    seed: str
    """Content hash of the seed model that all members branched from."""
    members: tuple[Member, ...]
    recipe: str | None = None
    """Hash of the training recipe of the branches."""
    tokenizer: str | None = None
    model: str | None = None
    """Hash of the architecture."""
    forced: bool = False
    """Members were merged although they do not belong together (a negative control)."""

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigError("pool: no members; a pool needs one branch or more")
        if len(set(self.names)) < len(self.members):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ConfigError(f"pool: member names must be unique; given more than once: {', '.join(twice)}")
        for member in self.members:
            if member.tokens < 1:
                raise ConfigError(f"pool: member {member.name!r} has {member.tokens} tokens; needs 1 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """Member names [K]."""
        return tuple(member.name for member in self.members)

    @property
    def sources(self) -> tuple[str, ...]:
        """Source names [S], in the order in which they first appear."""
        return tuple(dict.fromkeys(member.source for member in self.members))

    def index(self, name: str) -> int:
        """Row of a member.

        Raises:
            ConfigError: there is no such member.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise ConfigError(f"pool: no member {name!r}; there are {', '.join(self.names)}") from None

    def spread(self, sources: Sequence[str] | None = None) -> FloatArray:
        """How a share of a source is spread over its members, by tokens: rows sum to one [S, K].

        Member weights of source shares ``w`` [..., S] are ``w @ spread``; a gradient ``g`` [..., K] in
        member weights becomes ``g @ spread.T`` [..., S] in source shares.

        Args:
            sources: order of the rows; default ``self.sources``.

        Raises:
            ConfigError: a source has no member.
        """
        rows = self.sources if sources is None else tuple(sources)
        tokens = np.array([member.tokens for member in self.members], dtype=np.float64)
        owner = [member.source for member in self.members]
        table = np.array([[float(name == other) for other in owner] for name in rows]) * tokens
        totals = table.sum(axis=1, keepdims=True)
        if (totals == 0).any():
            missing = [name for name, total in zip(rows, totals[:, 0], strict=True) if total == 0]
            raise ConfigError(
                f"pool: no member was trained on {', '.join(missing)}; there are {', '.join(self.sources)}"
            )
        return np.asarray(table / totals)

    @property
    def key(self) -> str:
        """Hash of all of it; pools on disk are kept under this name."""
        return digest(self.as_json())

    def as_json(self) -> Json:
        """Plain JSON; ``from_json`` reads it back."""
        return asdict(self) | {"members": [asdict(member) for member in self.members]}

    @classmethod
    def from_json(cls, value: Json) -> "Roster":
        """The roster that ``as_json`` wrote."""
        return cls(**(value | {"members": tuple(Member(**member) for member in value["members"])}))
