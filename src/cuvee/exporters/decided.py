"""Decided: the mixture that lies in a file of cuvee, or of anybody."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError, CuveeError
from cuvee.exporters.shares_json import mixture_of, read_json, read_shares
from cuvee.mixture.mixture import Mixture
from cuvee.seal import unsealed

DECISIONS = ("decision.json", "scale.json", "search.json", "fit.json")
"""What is looked for in a folder, in this order."""

_KINDS = (Decision, ScaleDecision, SearchDecision, LawDecision)
_Answer = Decision | ScaleDecision | SearchDecision | LawDecision

BESIDE = ("front", "next_runs", "references", "tied", "candidates", "checks", "trained")
"""Fields of the mixtures beside the chosen one; of two with one name, that of the later field is meant."""

UNNAMED_RUN = (
    "the study names no `target_run.tokens`, so nothing is cut or repeated for the length of the run; say "
    "--target-tokens"
)
"""Said of an answer that is one for the study's own trainings."""


@dataclass(frozen=True, eq=False)
class Decided:
    """A mixture and what its file knows of the sources."""

    mixture: Mixture
    tokens: Mapping[str, int]
    """Unique tokens, where known."""
    target_tokens: float
    """NaN where not known."""
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
        ConfigError: the file cannot be read, or holds no mixture (the message names the key).
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
        answer = _opened(path, document)
        decided = _decision(path, answer, candidate)
        if candidate and decided.mixture.key == _decision(path, answer, "").mixture.key:
            candidate = ""
        notes = (
            *decided.notes,
            *_of_several(path, others),
            *_changed(path, document),
            *_unconfirmed(path, answer, candidate),
            *answer.objections(),
        )
        return replace(decided, notes=notes, path=path)
    if candidate:
        raise ConfigError(f"{path} is no decision; it holds one mixture and no {candidate!r}")
    shares, notes = read_shares(path, document)
    return Decided(shares, {}, math.nan, notes)


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


def _opened(path: Path, document: dict[str, Any]) -> _Answer:
    """The decision as a value, whichever flow made it."""
    by = document.get("by", Decision.by)  # the first documents were all of `cuvee run`
    kind = next((one for one in _KINDS if one.by == by), None)
    if kind is None:
        raise ConfigError(f"{path}: 'by' is {by!r}; cuvee knows {', '.join(one.by for one in _KINDS)}")
    try:
        return kind.from_json(document)
    except CuveeError as error:
        raise ConfigError(
            f"{path}: this looks like a decision of cuvee, but something is missing or damaged in it: {error}"
        ) from error


def _unconfirmed(path: Path, answer: _Answer, candidate: str) -> list[str]:
    if candidate:
        return [f"{candidate!r} is not the mixture that {path.name} chose: no verdict there is on it"]
    standing, why = answer.verdict.standing, answer.verdict.why
    return [] if standing == "confirmed" else [f"{path.name} is {standing} by training: {why}".rstrip(": ")]


def _decision(path: Path, answer: _Answer, candidate: str) -> Decided:
    shares = {entry.source: entry.share for entry in answer.mixture}
    if candidate:
        beside = {one.name: one.shares for field in BESIDE for one in getattr(answer, field, ())}
        if candidate not in beside:
            raise ConfigError(f"{path}: no mixture {candidate!r}; there are: {', '.join(beside) or 'none'}")
        shares = dict(zip(answer.sources, beside[candidate], strict=True))
    mixture, notes = mixture_of(shares, str(path))
    tokens = {entry.source: entry.unique_tokens for entry in answer.mixture if entry.unique_tokens}
    if _run_unnamed(answer):
        return Decided(mixture, tokens, math.nan, (*notes, UNNAMED_RUN))
    return Decided(mixture, tokens, _target_tokens(answer), notes)


def _target_tokens(answer: _Answer) -> float:
    return float(answer.target_scale.tokens if isinstance(answer, Decision) else answer.target_tokens)


def _run_unnamed(answer: _Answer) -> bool:
    """The study names no tokens of the target run: its answer is one for its own trainings then, and no
    source has a cap on epochs."""
    flows = isinstance(answer, Decision | SearchDecision)
    return flows and all(math.isnan(entry.epoch_cap) for entry in answer.mixture)
