"""What a decision across scales warns of."""

from collections.abc import Iterator

from cuvee.decisions.evaluations import few_documents
from cuvee.flows.scale.findings import ScaleFindings
from cuvee.flows.scale.law import ScaleLaw
from cuvee.flows.scale.optima import ASSUMED_NOISE
from cuvee.runs.mixture_names import AUTOSCALE
from cuvee.study.evaluation_rows import evaluation_rows
from cuvee.study.plan.plan import EPOCHING_OFF
from cuvee.study.runner import Runner

FAR = 10.0
"""Times the tokens of the largest run, from which on the target is said to be far."""

_MATCHED = 1.05


def warnings(findings: ScaleFindings, runner: Runner, law: ScaleLaw, method: str) -> Iterator[str]:
    """What the reader should know before relying on it."""
    config, optima = runner.plan.config, findings.optima
    yield from few_documents(evaluation_rows(runner.plan.material, config.target_weights))
    if not config.target_run.simulated_epoching:
        yield EPOCHING_OFF
    else:
        yield from _unmatched(findings, runner)
    if config.scale.replicates == 0:
        yield (
            f"No base run was trained again: the noise of a training is taken for {ASSUMED_NOISE:.1%} of its "
            "loss; set `scale.replicates`."
        )
    for one, laws in zip(findings.rungs, optima.laws, strict=True):
        silent = [name for name, found in laws.items() if found is None or not found.b > 0]
        if silent:
            yield (
                f"At {one.rung.tokens:,} tokens no falling power law passes through the runs of "
                f"{', '.join(silent)}: they get the least amount there."
            )
    largest = max(one.rung.tokens for one in findings.rungs)
    if findings.ladder.check is not None:
        largest = max(largest, findings.ladder.check.tokens)
    times = findings.ladder.target.tokens / largest
    if times > FAR:
        yield (
            f"The target run is {times:.0f} times longer than the longest run that was made: what is said of "
            "it rests on the laws alone."
        )
    if law.extrapolation is None:
        yield "Too few runs to see how far the law can be believed: its predictions have no intervals."
    if config.model.folder is not None and config.target_run.parameters is not None:
        yield "The model is a given checkpoint, so all runs have its size: `target_run.parameters` is unused."
    asked = optima.at(findings.ladder.target.tokens)
    if method == AUTOSCALE and not findings.region.contains(asked, 1e-3):
        yield "The limits moved the mixture away from where AutoScale had it."


def _unmatched(findings: ScaleFindings, runner: Runner) -> Iterator[str]:
    """Sources of which there is too little here to be repeated as seldom as in the target run."""
    target = findings.ladder.target.tokens
    top = findings.ladder.check or findings.ladder.rungs[-1]
    for name in findings.region.names:
        here = sum(len(shard.tokens) for shard in runner.plan.material.training_shards(name))
        times = top.tokens / here * findings.available[name] / target
        if times > _MATCHED and top.tokens / len(findings.region.names) > here:
            yield (
                f"Source '{name}': its text here is repeated {times:.1f} times as often in the largest runs "
                "as its tokens will be in the target run; give more of it."
            )
