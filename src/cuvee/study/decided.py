"""Decided: the mixture that lies in a file of cuvee, or of anybody (floor 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.seal import unsealed
from cuvee.study.shares_json import mixture_of, read_json, read_shares

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
    """Read a decision, or shares that another program wrote (``shares_json``).

    Args:
        path: a folder with one of ``DECISIONS``, a decision file, or a file such as
            ``{"web": 0.7, "code": 0.3}``.
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
    document = read_json(path)
    if _is_decision(document):
        decided = _decision(path, document, candidate)
        notes = (
            *decided.notes,
            *_of_several(path, others),
            *_changed(path, document),
            *_unconfirmed(path, document),
        )
        return replace(decided, notes=notes, path=path)
    if candidate:
        raise ConfigError(f"{path} is no decision; it holds one mixture and no {candidate!r}")
    shares, notes = read_shares(path, document)
    return Decided(shares, {}, float("nan"), notes)


def _is_decision(document: Any) -> bool:
    """Whether it is an answer of cuvee: a list of sources, and more than shares known of them."""
    entries = document.get("mixture") if isinstance(document, dict) else None
    return isinstance(entries, list) and any(
        isinstance(one, dict) and "source" in one and "share" in one for one in entries
    )


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
        raise ConfigError(
            f"{path}: this looks like a decision of cuvee, but something is missing or damaged in it: {error}"
        ) from error
    mixture, notes = mixture_of(shares, str(path))
    return Decided(mixture, tokens, float("nan") if target is None else float(target), notes)
