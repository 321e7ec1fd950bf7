"""Pages are called by their study, or by its folder, and say what the study starts from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cuvee.decisions.concluded import Concluded
from cuvee.report.html import render_html, render_search_html
from cuvee.report.markdown import render_markdown
from cuvee.report.reports import REPORTS, Beside, printout_of
from cuvee.report.search_view import SearchView
from cuvee.report.view import StudyView
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.seed_words import seed_in_words
from tests.flows.scale.scale_cases import ladder
from tests.flows.search.search_cases import searched
from tests.flows.value.value_cases import valuation
from tests.report.cases import small

SEED = "folder smollm, 135M parameters; branches are adapters of rank 16 on q_proj, v_proj"


@pytest.mark.parametrize("decision", [small(), ladder().judged(), searched().judged(), valuation()])
def test_a_study_without_a_name_is_called_by_its_folder(decision: Concluded, tmp_path: Path) -> None:
    reports = REPORTS[type(decision)]
    for name, title in (("study", "poems"), ("Verses", "Verses")):
        named = replace(decision, study=name)  # type: ignore[type-var]  # all are dataclasses
        page = reports.write(named, tmp_path, Beside(folder="poems"))[0].read_text(encoding="utf-8")
        assert f"<title>{title} ·" in page and f"· {title}</p>" in page


def test_the_page_says_what_the_study_starts_from() -> None:
    decision = replace(small(), seed_model=SEED)
    assert f"<dt>Seed model</dt><dd>{SEED}</dd>" in render_html(StudyView.of(decision))
    assert "Seed model: folder smollm, 135M parameters" in render_markdown(StudyView.of(decision))
    assert f"note: seed model: {SEED}" in printout_of(decision)
    assert "Seed model" not in render_html(StudyView.of(small()))  # of an older document


def test_a_search_by_a_trainer_alone_has_no_seed_model() -> None:
    by_cuvee = replace(searched(), seed_model=SEED)
    by_trainer = replace(by_cuvee, trainer="python train.py")
    pooled = replace(by_trainer.fidelities[0], kind="merged")
    with_pool = replace(by_trainer, fidelities=(pooled, *by_trainer.fidelities))
    shown = {"by cuvee": by_cuvee, "by a trainer": by_trainer, "with a pool": with_pool}
    pages = {name: render_search_html(SearchView.of(one.judged())) for name, one in shown.items()}
    said = {name: "<dt>Seed model</dt>" in page for name, page in pages.items()}
    assert said == {"by cuvee": True, "by a trainer": False, "with a pool": True}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"parameters": 1_000_000}, "new model of 135M parameters"),
        ({"folder": "smollm"}, "folder smollm, 135M parameters"),
        ({"folder": "smollm", "adapters": {"rank": 16, "target_modules": ["q_proj", "v_proj"]}}, SEED),
        (
            {"folder": "smollm", "adapters": {"rank": 4, "references": True}},
            "folder smollm, 135M parameters; branches and references are adapters of rank 4 on all matrices "
            "of the layers",
        ),
    ],
)
def test_what_branches_start_from_in_words(model: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "smollm").mkdir()
    config = StudyConfig.parse({"schema": 1, "sources": {"a": "a", "b": "b"}, "model": model}, tmp_path)
    plan = cast(Plan, SimpleNamespace(config=config, parameters=135_000_000))
    assert seed_in_words(plan) == said
