"""The default target: which metrics are improved where nobody names any.

All metrics of a table, equally, but for those that are no evidence on mixtures (``purpose.py``), that hardly
any run has or that never differ, and but for what would count twice: members of a group beside it, an average
beside what it averages, several forms of one loss, copies. What is left out is named with its reason.
Perplexities enter by their logarithm, so that the largest does not decide alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from cuvee.question.wording import OPTIONS, Wording
from cuvee.runs.formats.direction import named_direction, words_of
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray

FEWEST = 3
"""Runs that a metric needs."""
HARDLY_ANY = 0.5
"""Share of the runs of the metric measured most often, below which a metric is left out."""
PERPLEXITY = frozenset({"ppl", "perplexity", "perplexities"})

NEVER, FEW, CONSTANT = "never measured", "measured in only", "the same in all runs"
_AVERAGES = frozenset(
    {"avg", "average", "mean", "macro", "micro", "overall", "aggregate", "total", "all", "sum"}
)
_UNITS = PERPLEXITY | {"word", "byte", "token", "bits", "nats", "per", "bpb", "bpc", "nll", "loss"}
_FORMS = ("bpb", "bits", "nll", "loss", "byte", "token", "ppl", "perplexity", "word")
"""Forms of one loss, the first that is there counts; a perplexity of words last."""
_LOSSES = PERPLEXITY | {"bpb", "bits", "bpc", "nll", "loss"}
_RIGHT = frozenset({"acc", "accuracy", "em", "exact"})
_RIGHT_FORMS = frozenset(
    {"norm", "match", "strict", "flexible", "extract", "none", "raw", "char", "bytes", "uncond"}
)
_CLOSE = 2e-3
_RANKED_ALIKE = 0.95


@dataclass(frozen=True)
class DefaultTarget:
    """What counts where nobody says what should."""

    metrics: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Metric -> why, a clause."""
    logarithms: tuple[str, ...] = ()
    """Those of the metrics that are perplexities and enter by their logarithm."""

    @classmethod
    def of(
        cls, runs: Observations, members: Mapping[str, str] | None = None, texts: Sequence[str] = ()
    ) -> Self:
        """The default target of runs of one scale.

        Args:
            runs: their metrics.
            members: metric -> the metric of the group that it is counted in, where files name groups.
            texts: names of evaluations beside the sources, where they are known.
        """
        left_out = dict(_by_name(runs, (*runs.sources, *texts)))
        with np.errstate(over="ignore", invalid="ignore"):
            return cls._of(runs, members or {}, left_out)

    @classmethod
    def _of(cls, runs: Observations, members: Mapping[str, str], left_out: dict[str, str]) -> Self:
        for rule in (_by_values, _copies, _declared, _averages, _groups, _forms):
            there = tuple(name for name in runs.metrics if name not in left_out)
            left_out |= dict(rule(runs, there, members))
        metrics = tuple(name for name in runs.metrics if name not in left_out)
        logs = [name for name in metrics if is_perplexity(name) and np.nanmin(runs.metric(name)) > 0.0]
        return cls(
            metrics,
            {name: left_out[name] for name in runs.metrics if name in left_out},
            tuple(logs) if len(metrics) > 1 else (),
        )

    @property
    def unfit(self) -> dict[str, str]:
        """Those left out because nothing can be learnt of them, whatever they are."""
        return {name: why for name, why in self.left_out.items() if why in (NEVER, CONSTANT) or FEW in why}

    def sentence(self, wording: Wording = OPTIONS) -> str:
        """What was left out and why; empty where nothing was."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            reasons.setdefault(why, []).append(name)
        listing = "; ".join(f"{', '.join(_some(names))} ({why})" for why, names in reasons.items())
        return f"Left out of the target: {listing}. {wording.others}" if listing else ""


def is_perplexity(name: str) -> bool:
    """Whether a metric is a perplexity by its name."""
    return bool(PERPLEXITY & set(words_of(name))) and not name.startswith(logarithm("")[:-1])


def logarithm(name: str) -> str:
    """The name of the logarithm of a metric."""
    return f"log({name})"


Left = Iterator[tuple[str, str]]


def _by_name(runs: Observations, texts: Sequence[str]) -> Left:
    for name in runs.metrics:
        # A loss that is called by its source alone is one, though that source be called energy.
        if why := no_target(name, texts):
            yield name, why


def _by_values(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    counts = {name: int(np.isfinite(runs.metric(name)).sum()) for name in there}
    most = max(counts.values(), default=0)
    for name, count in counts.items():
        values = runs.metric(name)
        known = values[np.isfinite(values)]
        if count == 0:
            yield name, NEVER
        elif count < FEWEST:
            yield name, f"{FEW} {count} of {len(runs)} runs"
        elif count < HARDLY_ANY * most:
            yield name, f"measured in {count} of {len(runs)} runs"
        elif np.ptp(known) == 0.0:
            yield name, CONSTANT
        elif count == len(runs) and len(runs) > 3 and (share := _share_like(runs, values)):
            yield name, f"the share of {share}"


def _copies(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    first: dict[bytes, str] = {}
    for name in there:
        other = first.setdefault(np.ascontiguousarray(runs.metric(name)).tobytes(), name)
        if other != name:
            yield name, f"has the values of {other}"


def _declared(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    for name in there:
        if (group := members.get(name, name)) != name and group in there:
            yield name, f"counted in {group}"


def _averages(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    """Metrics that are the mean or the sum of the others, or that are called so and lie among them."""
    for name in there:
        others = [other for other in there if other != name and _alike(name, other)]
        if len(others) < 2:
            continue
        own, rest = runs.metric(name), np.stack([runs.metric(other) for other in others], axis=1)
        whole = np.isfinite(own) & np.isfinite(rest).all(axis=1)
        if whole.sum() < FEWEST:
            continue
        own, rest = own[whole], rest[whole]
        room = _CLOSE * max(float(np.abs(own).max()), 1e-300)
        mean = np.abs(own - rest.mean(axis=1)).max() <= room
        total = np.abs(own - rest.sum(axis=1)).max() <= room
        inside = _called_average(name, others) and _within(own, rest, room)
        if mean or total or inside:
            yield name, "an average of the others" if not total else "the sum of the others"
            return


def _groups(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    """Members of a group, by its name: ``mmlu_stem/acc`` beside ``mmlu/acc``, their mean."""
    tasks = {name: _task(name) for name in there}
    for group, (task, metric) in tasks.items():
        inner = [
            name
            for name, (own, measure) in tasks.items()
            if measure == metric and own.startswith((f"{task}_", f"{task}/", f"{task}-"))
        ]
        if len(inner) < 2:
            continue
        own, rest = runs.metric(group), np.stack([runs.metric(name) for name in inner], axis=1)
        whole = np.isfinite(own) & np.isfinite(rest).all(axis=1)
        if whole.sum() >= FEWEST and _within(
            own[whole], rest[whole], _CLOSE * float(np.abs(own[whole]).max())
        ):
            yield from ((name, f"counted in {group}") for name in inner)


def _task(name: str) -> tuple[str, str]:
    """What is measured on and what is measured: ``mmlu`` and ``acc`` of ``mmlu/acc`` and of ``mmlu_acc``."""
    for separator in "/_":
        task, found, metric = name.rpartition(separator)
        if found and named_direction(metric):
            return task, metric
    return name, ""


def _forms(runs: Observations, there: Sequence[str], members: Mapping[str, str]) -> Left:
    """Several forms of one loss or accuracy, such as three perplexities of one text: they rank runs alike."""
    tasks: dict[tuple[str, ...], list[str]] = {}
    for name in there:
        words = words_of(name)
        for heads, forms in ((_LOSSES, _UNITS), (_RIGHT, _RIGHT | _RIGHT_FORMS)):
            if set(words) & heads:
                task = tuple(word for word in words if word not in forms)
                tasks.setdefault((min(heads), *task), []).append(name)
                break
    for names in tasks.values():
        ordered = sorted(names, key=_form)
        kept = ordered[0]
        for name in ordered[1:]:
            if _ranked_alike(runs.metric(kept), runs.metric(name)):
                yield name, f"another form of {kept}"


def _form(name: str) -> tuple[int, int]:
    words = words_of(name)
    perplexity = bool(PERPLEXITY & set(words))
    return int(perplexity), next((i for i, form in enumerate(_FORMS) if form in words), len(_FORMS))


def _ranked_alike(one: FloatArray, other: FloatArray) -> bool:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < FEWEST:
        return False
    first, second = (np.argsort(np.argsort(column[known])) - (known.sum() - 1) / 2 for column in (one, other))
    return float(first @ second / (first @ first)) > _RANKED_ALIKE


def _alike(one: str, other: str) -> bool:
    """The first may be an average of the other and more: a word of what is measured is in both names."""
    words = set(words_of(one)) - _AVERAGES
    return not words or bool(words & set(words_of(other)))


def _called_average(name: str, others: Sequence[str]) -> bool:
    """A name that says average, and besides only what all the others say: no task called ``all_nli``."""
    words = set(words_of(name))
    return bool(words & _AVERAGES) and all(words - _AVERAGES <= set(words_of(other)) for other in others)


def _within(own: FloatArray, rest: FloatArray, room: float) -> bool:
    return bool(((own >= rest.min(axis=1) - room) & (own <= rest.max(axis=1) + room)).all())


def _share_like(runs: Observations, values: FloatArray) -> str:
    away = np.abs(runs.shares - values[:, np.newaxis]).max(axis=0)
    return runs.sources[int(away.argmin())] if away.min() < 1e-9 else ""


def _some(names: Sequence[str], most: int = 5) -> list[str]:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return [*names[:most], *more]
