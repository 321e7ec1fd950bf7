"""Documents under older keys open as what they are now; ``docs/renamed.md`` lists the keys."""

from dataclasses import replace
from typing import Any

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.simulate.decision import Simulation
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from cuvee.types import Json
from tests.flows.fit.test_flow import observations
from tests.flows.scale.scale_cases import ladder
from tests.flows.search.search_cases import searched
from tests.report.cases import checked
from tests.report.test_simulation_page import simulation


def back(document: Json, keys: dict[str, str]) -> dict[str, Any]:
    """The document under the keys that it had before."""
    return {keys.get(key, key): value for key, value in document.items()}


def test_run_called_parameters_params() -> None:
    document = checked().as_json()
    for scale in ("target_scale", "proxy_scale"):
        document[scale] = back(document[scale], {"parameters": "params"})
    assert Decision.from_json(document | {"schema": 3}) == checked()


def test_search_had_levels() -> None:
    decision = searched()
    document = back(decision.as_json(), {"fidelities": "levels", "confidence": "level"})
    document["tried"] = [back(one, {"fidelity": "level"}) for one in document["tried"]]
    assert SearchDecision.from_json(document | {"schema": 3}) == decision


def test_scale_had_a_level() -> None:
    document = back(ladder().as_json(), {"confidence": "level"})
    document["checks"] = [back(one, {"predicted": "foretold"}) for one in document["checks"]]
    assert document["checks"]
    assert ScaleDecision.from_json(document | {"schema": 2}) == ladder()


def test_fit_had_a_level_and_params(tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = observations(tmp_path_factory.mktemp("runs"), 30)
    decision = decide(runs, Question(), table="runs.csv", compared=("linear",)).decision
    keys = {"confidence": "level", "parameters": "params", "target_parameters": "target_params"}
    document = back(decision.as_json(), keys)
    assert LawDecision.from_json(document | {"schema": 2}) == decision


def test_simulate_had_levels() -> None:
    document = back(simulation().as_json(), {"fidelities": "levels"})
    document["verdict"] = "not told"
    unclear = replace(simulation(), verdict="not clear")
    document["levels"] = [back(one, {"parameters": "params"}) for one in document["levels"]]
    assert Simulation.from_json(document | {"schema": 1}) == unclear


@pytest.mark.parametrize("kind", [Decision, LawDecision, ScaleDecision, SearchDecision, Simulation])
def test_new_keys_have_a_new_schema(kind: type[JsonDocument]) -> None:
    assert kind.schema == {"run": 4, "laws": 3, "scale": 3, "search": 4, "simulation": 2}[kind.by]
