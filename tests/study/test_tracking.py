"""A study that is tracked: what trackers are shown, and that nothing depends on them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.agenda import saved_facts
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.trained import Trainings
from cuvee.study.tracking import MOST_POINTS, Tracking, curve_rows, run_name
from cuvee.tracking.registry import TRACKERS
from cuvee.tracking.trackers import Trackers
from cuvee.training.loop import train
from cuvee.training.run import _stream, start_of
from tests.study.tiny_study import (
    LANGUAGES,
    SEED_DATA,
    Listener,
    change_study,
    hashes,
    run,
    timeless,
    write_study,
)
from tests.tracking.test_trackers import Full, Kept

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 4 * 256},
    "branch_training": SEED_DATA | {"tokens": 6 * 256},
    "evaluation_tokens": 64,
}


class Everything(Kept):
    """A tracker that tests can look into."""

    last: "Everything"

    def __init__(self, study: str, folder: Path) -> None:
        super().__init__(study, folder)
        Everything.last = self


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = cast("dict[str, Any]", TRACKERS)
    monkeypatch.setitem(rows, "tensorboard", Everything)
    monkeypatch.setitem(rows, "wandb", Full)


def trained(root: Path, listener: Listener | None = None, **changes: Any) -> StudyFolder:
    folder = write_study(root, **QUICK, **changes)
    with opened(StudyConfig.load(folder.root), folder, listener, InProcess()) as runner:
        for planned in (planned_seed(runner.plan), planned_branches(runner.plan)):
            runner.make(Trainings(runner.plan, "training the pool"), planned)
    return folder


def test_trackers_see_curves_stages_and_realised_tokens(tmp_path: Path, table: None) -> None:
    folder = trained(tmp_path, tracking="tensorboard")
    seen = Everything.last
    assert seen.study == "four languages" and seen.closed
    assert [text for _, title, text in seen.texts if title.startswith("stage")][-1] == (
        "training the pool: 6,144 tokens"
    )
    logs = {
        file.parent.name: json.loads(file.read_text()) for file in folder.checkpoints.glob("*/training.json")
    }
    assert len(logs) == 1 + len(LANGUAGES) == len(seen.ended)
    for key, log in logs.items():
        name = next(name for name in seen.ended if name.endswith(key[:8]))
        rows = [(step, row) for run, step, row in seen.seen if run == name and "loss" in row]
        assert [step for step, _ in rows] == list(range(1, len(log["losses"]) + 1))
        assert [row["loss"] for _, row in rows] == log["losses"]
        assert [row["gradient_norm"] for _, row in rows] == log["gradient_norms"]
        assert [row["learning_rate"] for _, row in rows] == log["learning_rates"]
        last = {name.removeprefix("tokens/"): n for name, n in rows[-1][1].items() if "tokens/" in name}
        assert last == log["tokens"]


def test_no_byte_of_a_study_depends_on_a_tracker_and_one_that_fails_is_said_once(
    tmp_path: Path, table: None
) -> None:
    listener = Listener()
    plain = trained(tmp_path / "plain")
    watched = trained(tmp_path / "watched", listener, tracking=["tensorboard", "wandb"])
    assert hashes(plain.checkpoints) == hashes(watched.checkpoints)
    assert len([line for line in listener.said if "wandb failed" in line]) == 1
    assert StudyConfig.load(plain.root).digest == StudyConfig.load(watched.root).digest
    with pytest.raises(ConfigError, match="tracking"):
        StudyConfig.parse({"schema": 1, "sources": {"a": "a"}, "tracking": "mlflow"}, tmp_path)


def test_a_training_under_way_is_shown_up_to_where_it_was_saved(tmp_path: Path, table: None) -> None:
    folder = write_study(tmp_path, **QUICK)
    with opened(StudyConfig.load(folder.root), folder, Listener(), InProcess()) as runner:
        [planned] = planned_seed(runner.plan)
        seen = Kept("", tmp_path)
        trackers = Trackers.opened(["kept"], "", tmp_path, print, {"kept": lambda study, folder: seen})
        tracking = Tracking(folder, trackers, look_every=0.0)
        tracking.expect([planned])
        tracking.look()
        assert seen.seen == []
        model = planned.run.model.build()
        folder.checkpoints.mkdir(exist_ok=True)
        state = start_of(planned.run, model)
        train(
            model, state, _stream(planned.run), planned.run.recipe,
            key=planned.run.key, state_file=planned.run.state_file, until=2,
        )  # fmt: skip
        tracking.look()
        tracking.look()
        assert [(name, step) for name, step, _ in seen.seen] == [
            (run_name(planned), 1),
            (run_name(planned), 2),
        ]
        facts = saved_facts(folder, planned.run.key)
        planned.run.state_file.write_bytes(b"damaged")
        tracking.look()
        assert len(seen.seen) == 2
        long = replace(planned, run=replace(planned.run, recipe=replace(planned.run.recipe, steps=5000)))
        many = {"losses": facts["losses"] * 2500, "gradient_norms": facts["losses"] * 2500}
        rows = list(curve_rows(long, many))
        assert len(rows) == MOST_POINTS and rows[-1][0] == 5000


@pytest.mark.slow
def test_tensorboard_holds_a_whole_study(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra track")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = write_study(tmp_path, tracking="tensorboard")
    decision = run(folder)
    found = EventAccumulator(str(folder.tracking / "tensorboard" / "study"))
    found.Reload()
    shares = {one.source: found.Scalars(f"share/{one.source}")[0].value for one in decision.mixture}
    assert shares == pytest.approx({one.source: one.share for one in decision.mixture}, abs=1e-6)
    assert any("decision of cuvee run" in tag for tag in found.Tags()["tensors"])
    change_study(folder)
    assert timeless(run(folder)) == timeless(decision)
