"""What a fit compares its pick with, and the question with that looked up."""

from collections.abc import Mapping, Sequence

import numpy as np

from cuvee.decisions.fit.result import BEST_OBSERVED
from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.laws.resampling import SELDOM, seldom
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.question.question import Question
from cuvee.runs.formats.part import listed
from cuvee.runs.observations import Observations
from cuvee.search.baselines import Baseline, baselines, marked
from cuvee.search.objective import Guard, Objective
from cuvee.search.utilimax import utilimax, utilities_of
from cuvee.types import FloatArray


def baselines_of(
    data: LawData, weights: FloatArray, region: Region, question: Question
) -> tuple[Baseline, ...]:
    """Mixtures beside which the pick stands: baselines, UtiliMax and the best run."""
    found = list(baselines(region, question.tokens, question.target_tokens, question.max_epochs))
    utilities = utilities_of(data)
    if utilities is not None:
        found.append(Baseline("utilimax", utilimax(utilities, region), "from the runs on single sources"))
    measured = np.isfinite(data.costs[:, weights > 0]).all(axis=1)
    values = np.where(measured, np.nan_to_num(data.costs) @ weights, np.inf)
    best = Mixture(data.sources, data.shares[int(values.argmin())])
    found.append(marked(Baseline(BEST_OBSERVED, best, "the run of the lowest target"), region))
    return tuple(found)


def objective_of(
    target: Mapping[str, float],
    question: Question,
    observations: Observations,
    baselines: Sequence[Baseline],
) -> Objective:
    """The question with its baseline looked up.

    Raises:
        ConfigError: no run and no baseline has the name.
    """
    named = {one.name: one.mixture for one in baselines}
    name = baseline_name(question, baselines)
    if name in named:
        baseline = named[name]
    elif name in observations.keys:
        row = observations.keys.index(name)
        baseline = Mixture(observations.sources, observations.shares[row])
    elif name in ("proportional", "unimax"):
        raise ConfigError(
            f"the baseline {name} needs the tokens of every source (--tokens SOURCE=COUNT)"
            f"{' and enough of them for --target-tokens' if name == 'unimax' else ''}"
        )
    else:
        raise ConfigError(f"baseline {name!r} is neither a run of the table nor one of {', '.join(named)}")
    prior = baseline if question.prior_strength > 0 else None
    guards = tuple(Guard(metric, slack) for metric, slack in question.guards.items())
    return Objective(target, guards, question.aim, baseline, prior, question.prior_strength)


def baseline_name(question: Question, baselines: Sequence[Baseline]) -> str:
    """The name of what guards, the worst case and the prior compare with."""
    there = any(one.name == "proportional" for one in baselines)
    return question.baseline or ("proportional" if there else "uniform")


def conditions(question: Question, baseline: str) -> tuple[str, ...]:
    """What was asked beyond the target, in sentences."""
    sentences = []
    if question.aim == "worst":
        sentences.append(
            f"The mixture lowers the largest weighted rise of a metric over {baseline}; the target shown is "
            "still the weighted mean."
        )
    bounds = (
        *((name, "at least", share) for name, share in question.minimum.items() if share > 0),
        *((name, "at most", share) for name, share in question.maximum.items() if share < 1),
    )
    if bounds:
        sentences.append(
            "Kept: " + ", ".join(f"{what} {share:.4g} of {name}" for name, what, share in bounds) + "."
        )
    sentences += [
        f"Kept: {metric} no worse than at {baseline} by more than {slack:g}, under the law."
        for metric, slack in question.guards.items()
    ]
    if question.prior_strength > 0:
        sentences.append(
            f"The mixture is drawn towards {baseline} by {question.prior_strength:g} a nat of KL."
        )
    return tuple(sentences)


def hardly_seen(data: LawData) -> tuple[str, ...]:
    """A sentence on the sources that hardly any run has."""
    names = [data.sources[i] for i in seldom(data.shares)]
    if not names:
        return ()
    return (
        f"In at most {SELDOM} different mixtures of the runs: {listed(names, 6)}. What is said of such a "
        "source is mostly a guess from the others; make runs with more of it.",
    )
