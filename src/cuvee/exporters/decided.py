"""Decided: the mixture that lies in a file of cuvee, or of anybody (floor 3)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError, MixtureError
from cuvee.mixture.mixture import Mixture
from cuvee.seal import unsealed

DECISIONS = ("decision.json", "scale.json", "search.json", "fit.json")
"""What is looked for in a folder, in this order."""

BESIDE = ("front", "next_runs", "references", "tied", "candidates", "checks", "trained")
"""Keys of the mixtures beside the chosen one; of two with one name, that under the later key is meant."""


@dataclass(frozen=True, eq=False)
class Decided:
    """A mixture and what its file knows of the sources."""

    mixture: Mixture
    tokens: Mapping[str, int]
    """Unique tokens, where told."""
    target_tokens: float
    """NaN where not told."""
    notes: tuple[str, ...] = ()
    """What to know of it: which answer it is, and that no training has confirmed it."""
    path: Path | None = None
    """The decision that it stands in; None for a JSON of shares."""


def read_decided(path: Path, candidate: str = "") -> Decided:
    """Read a decision, or a JSON object of shares.

    Args:
        path: a folder with one of ``DECISIONS``, a decision file, or a file ``{"web": 0.7, "code": 0.3}``
            (also under a key ``shares``).
        candidate: in place of the chosen mixture, one of those that stand beside it (``BESIDE``).

    Raises:
        ConfigError: the file cannot be read, or holds no mixture (the key is told).
    """
    if path.is_dir():
        found = [path / name for name in DECISIONS if (path / name).exists()]
        if not found:
            raise ConfigError(
                f"{path} holds none of {', '.join(DECISIONS)}; run `cuvee run`, `cuvee scale`, "
                "`cuvee search` or `cuvee fit` first"
            )
        path, *others = found
    else:
        others = []
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: an object is needed, found {type(document).__name__}")
    if isinstance(document.get("mixture"), list):
        notes = (*_of_several(path, others), *_changed(path, document), *_unconfirmed(path, document))
        return replace(_decision(path, document, candidate), notes=notes, path=path)
    if candidate:
        raise ConfigError(f"{path} is no decision; it holds one mixture and no {candidate!r}")
    shares = document.get("shares", document)
    if not isinstance(shares, dict):
        raise ConfigError(f"{path}: key 'shares' must be an object of shares")
    return Decided(_mixture(path, shares), {}, float("nan"))


def _of_several(path: Path, others: Sequence[Path]) -> list[str]:
    if not others:
        return []
    names = " and ".join(one.name for one in others)
    return [f"this is the answer of {path.name}; beside it lies {names}: name that file to export it"]


def _changed(path: Path, document: dict[str, Any]) -> list[str]:
    try:
        unsealed(document)
    except ValueError:
        return [f"{path.name} is damaged, or was changed after cuvee wrote it: its digest is another"]
    return []


def _unconfirmed(path: Path, document: dict[str, Any]) -> list[str]:
    verdict = document.get("verdict")
    if not isinstance(verdict, dict) or verdict.get("standing") in (None, "confirmed"):
        return []
    standing = verdict["standing"]
    return [f"{path.name} is {standing} by training: {verdict.get('why', '')}".rstrip(": ")]


def _decision(path: Path, document: dict[str, Any], candidate: str) -> Decided:
    try:
        entries = document["mixture"]
        names = [str(entry["source"]) for entry in entries]
        shares = {name: entry["share"] for name, entry in zip(names, entries, strict=True)}
        tokens = {str(e["source"]): int(e["unique_tokens"]) for e in entries if e.get("unique_tokens")}
        if candidate:
            beside = {str(one["name"]): one["shares"] for key in BESIDE for one in document.get(key) or ()}
            if candidate not in beside:
                raise ConfigError(
                    f"{path}: no mixture {candidate!r}; there are: {', '.join(beside) or 'none'}"
                )
            shares = dict(zip(names, beside[candidate], strict=True))
        target = document.get("target_tokens")
        if target is None and isinstance(document.get("target_scale"), dict):
            target = document["target_scale"].get("tokens")
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: no decision of cuvee ({error!r})") from error
    return Decided(_mixture(path, shares), tokens, float("nan") if target is None else float(target))


def _mixture(path: Path, shares: dict[str, Any]) -> Mixture:
    try:
        return Mixture.of({str(name): float(share) for name, share in shares.items()})
    except (TypeError, ValueError, MixtureError) as error:
        raise ConfigError(f"{path}: {error}") from error
