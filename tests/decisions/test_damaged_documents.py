"""Documents whose parts do not fit each other are refused where they are read."""

from collections.abc import Callable
from typing import Any

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from tests.flows.fit.test_flow import observations
from tests.flows.scale.scale_cases import ladder
from tests.flows.search.search_cases import searched
from tests.report.cases import small

Edit = Callable[[dict[str, Any]], object]


def refused(kind: type[JsonDocument], document: dict[str, Any], edit: Edit, said: str) -> None:
    edit(document)
    with pytest.raises(ConfigError, match=said):
        kind.from_json(document)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda one: one.update(candidates=[]), "no candidate is the pick"),
        (lambda one: one.update(laws=[]), "is not among the laws"),
        (lambda one: one["sensitivities"].pop(), "sensitivities are not one for each source"),
        (lambda one: one.update(target_tokens=0), "target_tokens must be positive"),
        (lambda one: one.update(confidence="inf"), "confidence inf does not lie between 0 and 1"),
        (lambda one: one.update(runs=10**400), "a whole number of more than 63 bits"),
        (lambda one: one.update(spread=10**400), "a whole number of more than 63 bits"),
    ],
)
def test_of_a_fit(tmp_path_factory: pytest.TempPathFactory, edit: Edit, said: str) -> None:
    runs = observations(tmp_path_factory.mktemp("runs"), 30)
    decision = decide(runs, Question(), table="runs.csv", compared=("linear",)).decision
    refused(LawDecision, decision.as_json(), edit, said)


def tried(document: dict[str, Any]) -> dict[str, Any]:
    shares = [entry["share"] for entry in document["mixture"]]
    return {"name": "x", "fidelity": 0, "why": "method", "shares": shares, "loss": 1, "spent": 1, "gain": 0}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda one: one["tried"].append(tried(one) | {"shares": [1.0]}), "'x' has 1 shares"),
        (lambda one: one["tried"].append(tried(one) | {"fidelity": 9}), "unlisted fidelity"),
        (lambda one: one["trained"][0]["shares"].pop(), r"has \d+ shares, not \d+"),
        (lambda one: one.update(fidelities=[]), "unlisted fidelity"),
    ],
)
def test_of_a_search(edit: Edit, said: str) -> None:
    refused(SearchDecision, searched().as_json(), edit, said)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda one: one["rungs"][0]["optimum"].pop(), "'a rung' has"),
        (lambda one: one["path"][1]["shares"].pop(), "'a point of the path' has"),
        (lambda one: one["checks"][0]["shares"].pop(), r"has \d+ shares, not \d+"),
        (lambda one: one["path"][1].update(tokens=0), "need tokens"),
    ],
)
def test_of_a_ladder(edit: Edit, said: str) -> None:
    refused(ScaleDecision, ladder().as_json(), edit, said)


def test_of_a_run_and_of_no_object() -> None:
    refused(Decision, small().as_json(), lambda one: one.update(confidence=7), "confidence 7 does not lie")
    with pytest.raises(ConfigError, match="an object is needed, found list"):
        Decision.from_json([])  # type: ignore[arg-type]
