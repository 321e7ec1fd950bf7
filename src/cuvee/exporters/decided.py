"""Decided: the mixture that lies in a file of cuvee, or of anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.exporters.shares_json import mixture_of, read_json, read_shares
from cuvee.mixture.mixture import Mixture
from cuvee.seal import unsealed

DECISIONS = ("decision.json", "scale.json", "search.json", "fit.json")
"""What is looked for in a folder, in this order."""

BESIDE = ("front", "next_runs", "references", "tied", "candidates", "checks", "trained")
"""Keys of the mixtures beside the chosen one; of two with one name, that under the later key is meant."""


_WARN = ("Do not take", "Do not rely", "Measured better", "Predicted to be better", "The pick is predicted")
"""How first lines begin that speak against the mixture, besides those that repeat a verdict."""
_UNNAMED = (
    "the study names no `target_run.tokens`, so nothing is cut or repeated for the length of the run; say "
    "--target-tokens"
)


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
        if candidate and decided.mixture.key == _decision(path, document, "").mixture.key:
            candidate = ""
        notes = (
            *decided.notes,
            *_of_several(path, others),
            *_changed(path, document),
            *_unconfirmed(path, document, candidate),
            *_doubted(document),
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


def _unconfirmed(path: Path, document: dict[str, Any], candidate: str) -> list[str]:
    if candidate:
        return [f"{candidate!r} is not the mixture that {path.name} chose: no verdict there is on it"]
    verdict = document.get("verdict")
    standing = verdict.get("standing") if isinstance(verdict, dict) else None
    if not isinstance(verdict, dict) or standing is None:  # of a version that gave none
        return [f"{path.name} is not checked by training"]
    if standing == "confirmed":
        return []
    return [f"{path.name} is {standing} by training: {verdict.get('why', '')}".rstrip(": ")]


def _doubted(document: dict[str, Any]) -> list[str]:
    """What an answer says against itself besides its verdict: its doubts, and first lines that warn of the
    mixture."""
    headline = [str(line) for line in _list_of(document, "headline")]
    warned = [line for line in headline if line.startswith(_WARN)]
    return [*(str(doubt) for doubt in _list_of(document, "doubts") if doubt not in warned), *warned]


def _list_of(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []


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
        unnamed = target is not None and _run_unnamed(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: this looks like a decision of cuvee, but something is missing or damaged in it: {error}"
        ) from error
    mixture, notes = mixture_of(shares, str(path))
    if unnamed:
        notes = (*notes, _UNNAMED)
    return Decided(mixture, tokens, float("nan") if target is None or unnamed else float(target), notes)


def _run_unnamed(document: dict[str, Any]) -> bool:
    """The study names no tokens of the target run: its answer is told for its own trainings then, and no
    source has a cap on epochs."""
    flows = "target_scale" in document or "levels" in document
    return flows and all(entry.get("epoch_cap") is None for entry in document["mixture"])
