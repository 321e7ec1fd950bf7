"""Whether values may be acted on: only trainings on the documents that they keep confirm them."""

from cuvee.decisions.value.result import SelectionArm, ValueResult
from cuvee.decisions.verdict import Verdict

NOTHING_TRAINED = Verdict(
    "not checked", "No model was trained on what the values keep; `--retrain 0.25` trains some."
)


def verdict_of(result: ValueResult) -> Verdict:
    """By the first method: its selection against random documents, on the target."""
    arm = arm_of(result, result.first.method)
    if arm is None:
        return NOTHING_TRAINED
    low, high = arm.to_random.low, arm.to_random.high
    what = f"Trained on what {arm.name} keeps, the loss on {result.target} is"
    if high < 0.0:
        return Verdict("confirmed", f"{what} lower than on random documents, beyond the noise.")
    if low > 0.0:
        return Verdict("refuted", f"{what} higher than on random documents, beyond the noise.")
    return Verdict("not confirmed", f"{what} not clearly different from that on random documents.")


def arm_of(result: ValueResult, name: str) -> SelectionArm | None:
    """The trainings on the selection of a method; None where there are none."""
    arms = result.retraining.arms if result.retraining else ()
    return next((one for one in arms if one.name == name), None)
