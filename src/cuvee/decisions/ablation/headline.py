"""What a decision of `cuvee run` says first."""

import math

from cuvee.decisions.ablation.result import TARGET, AblationResult
from cuvee.decisions.ablation.tasks import undecided
from cuvee.decisions.ablation.trust import trust_in
from cuvee.decisions.advice import advice
from cuvee.decisions.better_elsewhere import ended_worse, predicted_worse
from cuvee.decisions.check import BaselineComparison, TrainingCheck, borne_out
from cuvee.decisions.difference import ends, than
from cuvee.decisions.evaluations import few_documents
from cuvee.decisions.shares import in_words
from cuvee.quantities import counted, size

FAR = 10.0
"""A target run is far from what was trained beyond so many times its parameters or tokens."""


def headline(decision: AblationResult) -> tuple[str, ...]:
    """Sentences; reasons for doubt come before what is good."""
    return (
        advice(decision.verdict, in_words(decision.mixture)),
        *decision.doubts,
        *_worse(decision),
        *_far_from_target(decision),
        *_order_lost(decision),
        *few_documents(decision.evaluations),
        *undecided(decision.tasks, decision.target),
        *_predicted_better(decision),
        *decision.compared.sentences(),
        *_gain(decision),
        *_proxy(decision),
    )


def objections(decision: AblationResult) -> tuple[str, ...]:
    """Those of the first lines that speak against the mixture."""
    return (
        *decision.doubts,
        *_worse(decision),
        *_order_lost(decision),
        *_predicted_better(decision),
    )


def _far_from_target(decision: AblationResult) -> list[str]:
    """How far a verdict reaches: it is one on runs of the size that was trained."""
    check, target = decision.check, decision.target_scale
    if check is None or decision.verdict.standing not in ("confirmed", "refuted"):
        return []
    if max(target.parameters / check.parameters, target.tokens / check.tokens) <= FAR:
        return []
    asked = f"{size(target.parameters)} parameters and {size(target.tokens)} tokens"
    return [
        f"That is known of runs of {check.extent}, not of the target run with {asked}: the best mixture may "
        "be another there. `cuvee scale` shows how it moves."
    ]


def _order_lost(decision: AblationResult) -> list[str]:
    """A target run is trained under conditions of its own."""
    if decision.order is None or not decision.order.lost:
        return []
    return [f"{decision.order.statement} The best mixture of a run that is trained otherwise may be another."]


def _worse(decision: AblationResult) -> list[str]:
    """Baselines and trained mixtures that end lower than the pick does, or is predicted to."""
    gains = [(one.baseline, one.difference, one.low, one.high) for one in decision.gains]
    more = ", or train more references: halves of the evidence choose the pick, all of it together does not"
    return [
        *ended_worse(decision.check),
        *predicted_worse(gains, decision.check, more),
        *_reference_better(decision),
    ]


def _reference_better(decision: AblationResult) -> list[str]:
    """The best of the mixtures that were trained to judge the proxies, predicted as the pick is.

    What it ended at is no measure of the pick's prediction, which is off by more than mixtures differ.
    """
    found = next((one for one in decision.predictions if one.evaluation == TARGET), None)
    if found is None or not found.reference_predicted < found.pick.mean or _is_compared(decision):
        return []
    confirmed = decision.verdict.standing == "confirmed"
    what = "it may be better than the pick" if confirmed else "take that reference, or train both again"
    measured, predicted, alike = found.best_reference.mean, found.pick.mean, found.reference_predicted
    return [
        f"The trained reference '{decision.best_reference}' is predicted at {alike:.4f} nats per token, the "
        f"pick at {predicted:.4f}, and it ended at {measured:.4f}. The lowest of "
        f"{counted(len(decision.references), 'training')} is low by luck, too: {what}."
    ]


def _is_compared(decision: AblationResult) -> bool:
    """The best reference is a baseline that is compared with the pick already."""
    shares = next((one.shares for one in decision.references if one.name == decision.best_reference), None)
    named = {one.baseline for one in decision.gains}
    named |= {one.baseline for one in decision.check.comparisons} if decision.check else set()
    return shares is not None and decision.compared.name_of(shares) in named


def _predicted_better(decision: AblationResult) -> list[str]:
    """Names allowed mixtures that all evidence together prefers to the pick, beyond their intervals and after
    the optimism of choosing is taken off."""
    flattered = decision.optimism if math.isfinite(decision.optimism) else 0.0
    found = [row for row in decision.tied if row.high + flattered < 0]
    if not found:
        return []
    names = f"'{found[0].name}'" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    confirmed = decision.verdict.standing == "confirmed"
    return [
        f"Predicted to be better than the pick, beyond the interval: {names} "
        f"({than('the pick', found[0].gap)}). Halves of the evidence choose the pick, all of it together "
        f"does not: {'it may be better still' if confirmed else 'train both before using either'}."
    ]


def _gain(decision: AblationResult) -> list[str]:
    level = f"{decision.confidence:.0%} interval"
    lines = []
    if (check := decision.check) is not None and check.comparisons:
        first = check.comparisons[0]
        lines.append(
            f"Measured: {than(first.baseline, first.difference)}"
            + _interval(first.low, first.high, level)
            + _noise(check)
            + (_worth(first) if first.better else "")
        )
    for gain in decision.gains[:1]:
        lines.append(
            f"Predicted: {than(gain.baseline, gain.difference)}"
            + _interval(gain.low, gain.high, level)
            + _chosen_for_it(decision.optimism)
            + "."
            + borne_out(gain.baseline, gain.low, gain.high, decision.check)
        )
    return lines


def _chosen_for_it(optimism: float) -> str:
    """Why a predicted gain is less than the difference of the predicted losses beside it."""
    return f", {optimism:.4f} taken off for having been chosen" if optimism >= 5e-5 else ""


def _interval(low: float, high: float, level: str) -> str:
    return f" ({level} {ends(low, high)})" if math.isfinite(low) and math.isfinite(high) else ""


def _noise(check: TrainingCheck) -> str:
    return f"; one training varies by {check.noise:.4f}." if math.isfinite(check.noise) else "."


def _worth(one: BaselineComparison) -> str:
    if not math.isfinite(one.tokens_needed):
        return ""
    return (
        f" The pick reaches the final loss of {one.baseline} after "
        f"{'at most ' if one.bound else ''}{one.tokens_needed:.0%} of the tokens."
    )


def _proxy(decision: AblationResult) -> list[str]:
    chosen = next((row for row in decision.calibrators if row.chosen), None)
    if chosen is None:
        return ["Too few references were trained to say how far the proxy can be believed."]
    trust = trust_in(decision)
    doubt = [] if trust.believed else [f"The proxy is not believed. {trust.why}"]
    return [
        *doubt,
        f"On {len(decision.references)} really trained mixtures, each predicted without itself, "
        f"'{chosen.calibrator}' has rank correlation {chosen.loo_spearman:.2f} and is off by "
        f"{chosen.loo_rmse:.4f} nats on differences.",
    ]
