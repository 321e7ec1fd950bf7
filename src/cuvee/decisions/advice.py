"""The first line of an answer: the mixture, and no more confidence than its verdict has."""

from cuvee.decisions.verdict import Standing, Verdict

_ADVICE: dict[Standing, str] = {
    "confirmed": "Train on {}.",
    "not confirmed": "Not confirmed: {}.",
    "refuted": "Do not train on {}.",
    "not checked": "Not checked: {}.",
}


def advice(verdict: Verdict, mixture: str) -> str:
    """What to do with a mixture that is given in words."""
    return _ADVICE[verdict.standing].format(mixture)
