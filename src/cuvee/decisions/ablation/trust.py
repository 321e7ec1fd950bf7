"""Whether what a proxy predicts may be believed: what the references say, unless more is known against it.

Everything that shows trust in a proxy asks here, so that no page believes what its first lines take away.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cuvee.decisions.ablation.result import AblationResult, ProxyTrust
from cuvee.decisions.check import FEWEST_DOCUMENTS, borne_out
from cuvee.decisions.evaluations import that_count


def trust_in(decision: AblationResult) -> ProxyTrust:
    """What may be said of the proxy, from all that stands in a decision but ``believed`` where it can."""
    said = references_say(decision)
    against = next(_against(decision), "")
    if not said.believed or not against:
        return said
    return replace(said, believed=False, why=f"{said.why} {against}")


def references_say(decision: AblationResult) -> ProxyTrust:
    """What the references alone say."""
    return decision.by_references or ProxyTrust(decision.believed, decision.why)


def _against(decision: AblationResult) -> Iterator[str]:
    """What takes that away, the gravest first."""
    if decision.doubts:
        yield "But the first lines doubt the trainings themselves: agreement with them shows nothing."
    if _fewest_documents(decision) < FEWEST_DOCUMENTS:
        yield f"But an evaluation has fewer than {FEWEST_DOCUMENTS} documents to see that on."
    if decision.check is not None and decision.check.verdict.standing == "refuted":
        yield "But fresh trainings refuted the pick that it led to."
    if any(borne_out(one.baseline, one.low, one.high, decision.check) for one in decision.gains):
        yield "But fresh trainings did not bear out what it predicts of the pick."


def _fewest_documents(decision: AblationResult) -> float:
    """To choose by, of an evaluation that counts; infinite where a decision does not say it."""
    rows = decision.evaluations
    if not rows:
        return np.inf
    counting = that_count(np.array([one.weight for one in rows]))
    return min(one.documents for one, counts in zip(rows, counting, strict=True) if counts)
