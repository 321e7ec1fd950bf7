"""What a fit hands on to the next question of the same runs.

A changed cap or target changes neither what laws said of runs they had not seen nor what other draws of the
runs would have given. These arrays are kept, under the digest of all that determines them and with that of
their bytes; what does not fit or is damaged is made again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cuvee.decisions.document import encode
from cuvee.files import atomic_path
from cuvee.hashing import digest, digest_bytes
from cuvee.laws.at_scale import AtScale
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import FittedLaw, LawData
from cuvee.laws.resampling import StretchedLaw
from cuvee.laws.validation import HeldOut
from cuvee.types import FloatArray
from cuvee.version import VERSION

FILE = "kept.npz"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Kept:
    """Arrays of one table, its directions and a seed."""

    held_out: dict[str, HeldOut]
    draws: dict[str, FloatArray] = field(default_factory=dict)
    """Law -> its parameters [K, E, P] under every draw of the runs."""

    def save(self, folder: Path, data: LawData, seed: int) -> None:
        """Write it, whole or not at all."""
        arrays: dict[str, Any] = {}
        for name, one in self.held_out.items():
            arrays |= {f"{name}/predicted": one.predicted, f"{name}/deviation": one.deviation}
            arrays["fold"] = one.fold
        arrays |= {f"{name}/draws": one for name, one in self.draws.items()}
        head = {"key": _key(data, seed), "digest": _digest(arrays)}
        with atomic_path(folder / FILE) as path, path.open("wb") as stream:
            np.savez(stream, head=np.array(json.dumps(head)), **arrays)

    @classmethod
    def load(cls, folder: Path, data: LawData, seed: int) -> "Kept":
        """What is there and fits; nothing where nothing does."""
        try:
            with (folder / FILE).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            head = json.loads(str(arrays.pop("head")))
            if head != {"key": _key(data, seed), "digest": _digest(arrays)}:
                return cls({})
            fold = arrays.pop("fold")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile):
            return cls({})
        names = dict.fromkeys(name.split("/")[0] for name in arrays if name.endswith("/predicted"))
        held_out = {
            name: HeldOut(arrays[f"{name}/predicted"], arrays[f"{name}/deviation"], data.costs, fold)
            for name in names
        }
        draws = {name.split("/")[0]: one for name, one in arrays.items() if name.endswith("/draws")}
        return cls(held_out, draws)


def parameters_of(name: str, laws: Sequence[FittedLaw]) -> dict[str, FloatArray]:
    """Parameters of drawn laws, where parameters are what tells them apart."""
    found = []
    for law in laws:
        plain = law.fitted if isinstance(law, AtScale) else law
        drawn = plain.drawn if isinstance(plain, StretchedLaw) else plain
        if not isinstance(drawn, HierarchicalFit):
            return {}
        found.append(drawn.theta)
    return {name: np.stack(found)}


def _digest(arrays: Mapping[str, Any]) -> str:
    return digest({name: digest_bytes(np.ascontiguousarray(one).tobytes()) for name, one in arrays.items()})


def _key(data: LawData, seed: int) -> str:
    parts = {
        "format": _FORMAT,
        "seed": seed,
        "sources": list(data.sources),
        "metrics": list(data.metrics),
        "versions": [VERSION, *(version(name) for name in ("numpy", "scipy"))],
        "code": _code(),
        "shares": digest_bytes(data.shares.tobytes()),
        "costs": digest_bytes(np.ascontiguousarray(data.costs).tobytes()),
        "transport": None if data.transport is None else encode(data.transport),
        "sizes": [digest_bytes(np.asarray(x).tobytes()) for x in (data.scale.params, data.scale.tokens)],
    }
    return digest(parts)


def _code() -> str:
    """Of the laws: what other code said is not kept."""
    files = sorted((Path(__file__).parents[2] / "laws").glob("*.py"))
    return digest_bytes(b"\0".join(path.read_bytes() for path in files))
