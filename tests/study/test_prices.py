"""Hours and money: what a plan, a status and a report say of the cores or GPUs that a study takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from cuvee.cli.run import print_outlook
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.execution.tariff import Tariff
from cuvee.flows.ablation import flow as ablation
from cuvee.quantities import money
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.outlook import Outlook, OutlookRow
from cuvee.study.plan.job import MORE_STEPS, PACE_STEPS, seconds_of_more_steps
from cuvee.study.survey import survey
from cuvee.study.tariff import tariff_in, tariff_of
from tests.report.cases import small
from tests.study.tiny_study import Listener, change_study, write_study
from tests.test_fixtures import printed, unpacked

SMALLEST: dict[str, Any] = {"schema": 1, "sources": {"web": "web", "code": "code"}}
GPU = Tariff("GPU", 2.5, "USD")


def parsed(**more: Any) -> StudyConfig:
    return StudyConfig.parse(SMALLEST | more, Path("/studies/one"))


def on_device(root: Path, device: str) -> StudyFolder:
    folder = StudyFolder(root)
    folder.numerics.write_text(json.dumps({"dtype": "bfloat16", "compiled": True, "device": device}))
    return folder


# --- the tariff -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00 USD"),
        (1234.5, "1,234.50 USD"),
        (0.996, "1.00 USD"),
        (0.0042, "0.0042 USD"),
        (0.25, "0.25 USD"),
    ],
)
def test_amounts(value: float, text: str) -> None:
    assert money(value, "USD") == text


def test_hours_are_said_of_gpus_and_of_what_has_a_price() -> None:
    assert GPU.words(0.52) == "0.52 GPU-hours, 1.30 USD"
    assert Tariff("GPU").words(0.52) == "0.52 GPU-hours"
    assert Tariff("core", 0.05, "EUR").words(10) == "10.00 core-hours, 0.50 EUR"
    assert Tariff("core").words(10) == ""
    assert GPU.as_json(2.0) == {"unit": "GPU", "hours": 2.0, "price": 5.0, "currency": "USD"}
    assert Tariff().as_json(2.0) == {"unit": "core", "hours": 2.0, "price": None, "currency": None}


def test_the_price_is_that_of_what_computes(tmp_path: Path) -> None:
    config = parsed(price={"gpu_hour": 2.5, "core_hour": 0.05, "currency": "EUR"})
    assert tariff_of(config, StudyFolder(tmp_path)) == Tariff("core", 0.05, "EUR"), "before there is a device"
    assert tariff_of(config, on_device(tmp_path, "cpu")) == Tariff("core", 0.05, "EUR")
    assert tariff_of(config, on_device(tmp_path, "cuda:1")) == Tariff("GPU", 2.5, "EUR")
    only_cores = parsed(price={"core_hour": 0.05})
    assert tariff_of(only_cores, on_device(tmp_path, "cuda")) == Tariff("GPU", None, "USD")


def test_the_price_decides_nothing() -> None:
    assert parsed(price={"gpu_hour": 2.5, "currency": "EUR"}).digest == parsed().digest


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ({"hour": 2.5}, 'unknown key "hour"'),
        ({"gpu_hour": -1}, "price.gpu_hour: must be at least 0"),
        ({"currency": "US dollars"}, "price.currency: must be up to eight letters"),
        ({"currency": "\u202eUSD"}, "price.currency: must be up to eight letters"),
    ],
)
def test_prices_that_make_no_sense(price: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as found:
        parsed(price=price)
    assert message in str(found.value)


# --- plans ------------------------------------------------------------------------------------------


def test_a_plan_says_what_its_hours_cost(tmp_path: Path) -> None:
    """Timed for real: a training on each of two cores, and the hours of both are paid for."""
    folder = write_study(tmp_path, workers=2, price={"core_hour": 36.0}, check={"seeds": 0})
    ahead = ablation.outlook(StudyConfig.load(folder.root), folder, executor=InProcess())
    branches = next(row for row in ahead.rows if row.title == "branches")
    assert branches.work_hours_left == pytest.approx(2 * branches.hours_left)
    measured = 4 * 256 / (3 * 256)  # tokens of evaluations, in steps
    assert branches.work_hours_left * 3600 == pytest.approx(4 * (10 + measured) * branches.step_seconds)
    (seed,) = [row for row in ahead.rows if row.title == "seed model"]
    assert seed.work_hours_left == pytest.approx(seed.hours_left), "one training keeps one core busy"
    hours = sum(row.work_hours_left for row in ahead.rows)
    assert ahead.as_json()["work_left"] == Tariff("core", 36.0, "USD").as_json(hours)
    assert f"({hours:.2f} core-hours, {money(36.0 * hours, 'USD')})" in ahead.statement


def test_steps_are_timed_once_a_study_and_machine(tmp_path: Path) -> None:
    folder = write_study(tmp_path, check={"seeds": 0})

    def looked(**changes: Any) -> tuple[list[str], list[float]]:
        change_study(folder, check={"seeds": 0}, **changes)
        listener = Listener()
        ahead = ablation.outlook(StudyConfig.load(folder.root), folder, listener, InProcess())
        timed = [stage for stage in listener.stages if stage == "timing a few steps"]
        return timed, [row.step_seconds for row in ahead.rows if row.trained]

    timed, seconds = looked()
    assert timed and folder.paces.is_file()
    assert looked() == ([], seconds), "what was timed is kept"
    assert looked(workers=2)[0], "more of them side by side take longer"
    folder.paces.write_text("{")
    assert looked()[0], "a damaged file is timed anew"


def test_a_plan_on_a_gpu_has_columns_of_hours_and_money(capsys: pytest.CaptureFixture[str]) -> None:
    row = OutlookRow("branches", 10**6, 10**6, 8, 8, 1e15, 1e15, 0.01, 0.25, 0.5)
    print_outlook(Outlook((row,), tariff=GPU))
    said = capsys.readouterr().out
    assert "GPU-hours" in said and "0.50" in said and "1.25 USD" in said
    assert "8 runs, 1.0e15 FLOPs; about 15 minutes to go on this machine (0.50 GPU-hours, 1.25 USD)" in said
    print_outlook(Outlook((row,)))
    assert "hours" not in capsys.readouterr().out


def test_a_step_is_timed_without_what_surrounds_it() -> None:
    """Compiling once in a process 40 s, copying 0.3 s each time, a step 7 ms: 7 ms."""
    asked: list[int] = []

    def timed(steps: int) -> float:
        asked.append(steps)
        return (40.0 if len(asked) == 1 else 0.0) + 0.3 + 0.007 * steps

    assert seconds_of_more_steps(timed) == pytest.approx(0.007)
    assert asked == [PACE_STEPS, PACE_STEPS, PACE_STEPS + MORE_STEPS]
    assert seconds_of_more_steps(lambda steps: 1.0) > 0, "a clock that stands still gives no division by it"


# --- what was spent ---------------------------------------------------------------------------------


def test_a_status_says_the_time_and_its_price(tmp_path: Path) -> None:
    root = unpacked("answered", tmp_path)
    before = survey(StudyConfig.load(root), StudyFolder(root))
    with (root / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("\nprice: {core_hour: 36, currency: EUR}\n")
    after = survey(StudyConfig.load(root), StudyFolder(root))
    assert after.outdated == before.outdated
    work = after.as_json()["work"]
    assert work == {"unit": "core", "hours": work["hours"], "price": 36 * work["hours"], "currency": "EUR"}
    assert work["hours"] == before.as_json()["work"]["hours"] > 0
    (line,) = [one for one in printed("status", root).splitlines() if one.startswith("spent: ")]
    assert line.endswith(f" of a core, {money(work['price'], 'EUR')}")


def test_a_report_says_it_in_its_table_of_costs() -> None:
    """The ledger of the case takes 95 s, 190 s and more; at 36 an hour a second costs one hundredth."""
    view = StudyView.of(small(), tariff=Tariff("GPU", 36.0, "EUR"))
    text, page = render_markdown(view), render_html(view)
    assert "| stage | kind | count | FLOPs | GPU time | cost |" in text
    assert "0.95 EUR" in text and "1.90 EUR" in text
    assert ">GPU time<" in page and ">Cost</th>" in page and "0.95 EUR" in page
    for one in (text, page):
        assert "36.00 EUR for a GPU-hour" in one
    alone = StudyView.of(small())
    assert "worker time |" in render_markdown(alone) and "EUR" not in render_markdown(alone)
    assert ">Worker time<" in render_html(alone)


def test_a_study_file_that_cannot_be_read_takes_no_report_away(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("schema: 1\nsources: nonsense\n", encoding="utf-8")
    on_device(tmp_path, "cuda")
    assert tariff_in(tmp_path) == Tariff("GPU")
