"""The study file after its sources were split, dropped or merged.

Nothing that was trained has to be trained again: what a source was stays in the file, out of the pool, so
that the seed model, the tokenizer and all runs keep the text that they read. The target stays what it was:
the parts of a split share the weight of the whole by their tokens, merged sources keep theirs, and a source
that is dropped counts no longer where the file left the weights to the default.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cuvee.flows.change.source_change import Change, Drop, Merge, Split
from cuvee.lineage.descent import Step
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.study_file import StudyFile

Counts = Callable[[StudyConfig], Mapping[str, int]]
"""Tokens of every source of a study, by reading its text."""

_DIGITS = 4


def changed(file: StudyFile, change: Change, counts: Counts) -> StudyFile:
    """The study file with a change made.

    Raises:
        ConfigError: the change cannot be, or the file cannot be edited.
        SourceError: text that cannot be used.
    """
    config = file.config
    change.check(config)
    match change:
        case Split():
            return _split(file, config, change, counts)
        case Drop():
            return _dropped(file, config, change)
        case Merge():
            return _merged(file, config, change, counts)


def _split(file: StudyFile, config: StudyConfig, change: Split, counts: Counts) -> StudyFile:
    even = dict.fromkeys(change.parts, 1.0 / len(change.parts))
    tokens = counts(_with_parts(file, config, change, even).config)
    total = sum(tokens[name] for name in change.parts)
    return _with_parts(file, config, change, {name: tokens[name] / total for name in change.parts})


def _with_parts(
    file: StudyFile, config: StudyConfig, change: Split, shares: Mapping[str, float]
) -> StudyFile:
    """Args: shares: of the tokens of the whole that each part has."""
    whole = config.sources[change.source]
    for name, paths in change.parts.items():
        tokens = None if whole.tokens is None else max(1, round(whole.tokens * shares[name]))
        file = file.with_source(name, _settings(config, [change.source], list(paths), tokens))
    file = file.with_pool(change.pool(config))
    if not config.evaluations.held_out:
        return file
    step = Step((change.source,), tuple(change.parts))
    replaced = config.descent.replaced_by(step) - config.evaluations.named.keys()
    weights = _weights(config)
    freed = sum(weights.pop(name, 0.0) for name in replaced)
    parts = {name: round(freed * share, _DIGITS) for name, share in shares.items()}
    if config.target.weights and not freed:
        return file
    return file.with_weights(weights | parts)


def _dropped(file: StudyFile, config: StudyConfig, change: Drop) -> StudyFile:
    file = file.with_pool(change.pool(config))
    kept = {name: 1.0 for name, own in config.own_sources.items() if own not in change.sources}
    return file if config.target.weights or not kept else file.with_weights(kept)


def _merged(file: StudyFile, config: StudyConfig, change: Merge, counts: Counts) -> StudyFile:
    given = [config.sources[name].tokens for name in change.sources]
    tokens = None
    if any(one is not None for one in given):
        counted = counts(config) if None in given else {}
        tokens = sum(one or counted[name] for name, one in zip(change.sources, given, strict=True))
    paths = [path for name in change.sources for path in _paths(file.raw["sources"][name])]
    source = _settings(config, list(change.sources), paths, tokens)
    return file.with_source(change.name, source).with_pool(change.pool(config))


def _settings(
    config: StudyConfig, origins: list[str], paths: list[str], tokens: int | None
) -> dict[str, Any]:
    """The entry of a source that is read as its origins are."""
    origin = config.sources[origins[0]]
    entry: dict[str, Any] = {"paths": paths, "in_seed": False, "made_from": origins}
    if tokens is not None:
        entry["tokens"] = tokens
    for key in ("text_field", "allow_broken", "chunk_characters", "format"):
        if (value := getattr(origin, key)) != type(origin).model_fields[key].default:
            entry[key] = value
    return entry


def _weights(config: StudyConfig) -> dict[str, float]:
    """The weights of the target as the file says them, or would have to."""
    return dict(config.target.weights) or dict.fromkeys(config.evaluation_sets, 1.0)


def _paths(source: Any) -> list[str]:
    """The paths of a source as the file says them."""
    paths = source["paths"] if isinstance(source, Mapping) else source
    return [paths] if isinstance(paths, str) else list(paths)
