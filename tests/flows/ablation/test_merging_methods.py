"""Studies that merge by a method which looks at text of the branches first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cuvee.execution.local import InProcess
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.simulate.table import read_table
from cuvee.merging.activations import gram_matrices
from cuvee.merging.registry import MERGERS, NEEDS
from cuvee.merging.statistics import MemberStatistics, Statistics
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Silent
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.statistics_job import measure_member
from cuvee.study.pooling import pool_of
from cuvee.study.producers.member_statistics import branch_statistics
from cuvee.training.run import windows_read
from tests.study.tiny_study import LANGUAGES, Listener, change_study, hashes, run, timeless, write_study

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 10 * 256},
    "branch_training": {"tokens": 4 * 256},
    "references": {"count": 4, "replicates": 1},
    "candidates": {"count": 6},
    "check": {"seeds": 0},
}


def rows(folder: StudyFolder, **wanted: Any) -> list[Run]:
    with RunStore(folder.store) as store:
        return store.runs(**wanted)


@pytest.mark.parametrize("method", NEEDS)
def test_a_study_merges_by_a_method_that_looks_at_text_first(tmp_path: Path, method: str) -> None:
    folder = write_study(tmp_path, **QUICK, merging={"method": method})
    planner, listener = Listener(), Listener()
    ahead = ablation.outlook(StudyConfig.load(folder.root), folder, planner, InProcess())
    assert {row.title: row.left for row in ahead.rows}["statistics of branches"] == len(LANGUAGES)
    assert any("bytes of statistics of 4 branches" in one for one in planner.said)
    decision = run(folder, listener)
    assert "measuring statistics of branches" in listener.stages
    assert any("bytes of statistics of 4 branches" in one for one in listener.said)
    assert decision.merging == method
    said = {row.proxy for row in decision.honesty}
    assert {"merge", "linear merge", "ensemble"} <= said
    assert f"scoring merges (merge by {method})" in listener.stages
    assert "<b>" + method + "</b>" in render_html(StudyView.of(decision))
    page = render_markdown(StudyView.of(decision))
    assert f"Method of merging: {method}." in page and "linear merge" in page
    (taken,) = {one for one in read_table([folder.root], {}).notes if "left out" in one}
    assert taken.startswith(f"Merges by '{method}' are taken")
    merges = read_table([folder.root], {}).observations.where(kind="merged")
    by_method = {one.key for one in rows(folder, kind="merged") if one.details.get("merging") == method}
    assert len(merges) and set(merges.keys) <= by_method
    config = StudyConfig.load(folder.root)
    with opened(config, folder, executor=InProcess()) as runner:
        found = ablation.investigate(runner)
        plan, even = runner.plan, Mixture.uniform(LANGUAGES)
        pool = pool_of(plan, 1)
        known = Statistics.open(pool.roster, [task.path for task in branch_statistics(plan)])
        weights = even.shares @ pool.roster.spread(LANGUAGES)
        flat = MERGERS[method].merge(pool.measured(known), weights)
        loss = found.scored.losses("merge")[found.scored.row(even)]
        assert loss == pytest.approx(plan.bench.evaluator().score(flat).nats_per_token, abs=1e-6)
        assert not np.allclose(loss, found.scored.losses("linear merge")[found.scored.row(even)], atol=1e-7)
    assert ablation.outlook(config, folder, executor=InProcess()).statement.endswith(
        "nothing is left to make"
    )


class StopsInside(InProcess):
    """Ends after the first branch was measured."""

    def map(self, job: Any, items: Any, on_progress: Any = None) -> Iterator[tuple[int, Any]]:
        for done in super().map(job, items, on_progress):
            yield done
            if job is measure_member:
                raise InterruptedError


def test_it_goes_on_where_it_was_stopped_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = write_study(tmp_path / "whole", **QUICK, merging={"method": "regmean"})
    decision = run(whole)
    broken = write_study(tmp_path / "broken", **QUICK, merging={"method": "regmean"})
    with pytest.raises(InterruptedError):
        ablation.run(StudyConfig.load(broken.root), broken, Silent(), StopsInside())
    kept = hashes(broken.statistics)
    assert len(list(broken.statistics.iterdir())) == 1
    assert timeless(run(broken)) == timeless(decision)
    assert kept.items() <= hashes(broken.statistics).items()
    assert hashes(broken.statistics) == hashes(whole.statistics)


@pytest.mark.slow
def test_another_method_trains_nothing_and_reads_what_linear_merges_were(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    run(folder)
    trained, merged = hashes(folder.checkpoints), rows(folder, kind="merged")
    assert not folder.statistics.exists(), "linear merging needs none"
    change_study(folder, **QUICK, merging={"method": "fisher"})
    ahead = ablation.outlook(StudyConfig.load(folder.root), folder, executor=InProcess())
    left = {row.title: row.left for row in ahead.rows}
    assert left["scoring mixtures"] > 0 and left["optimum of merges"] > 0
    assert left["scoring linear merges"] == 0
    run(folder)
    assert hashes(folder.checkpoints) == trained
    now = {one.key: one for one in rows(folder, kind="merged")}
    assert {one.key for one in merged} <= set(now)
    added = [one for key, one in now.items() if key not in {old.key for old in merged}]
    by = [one.details.get("merging", "linear") for one in added]
    assert by.count("fisher") >= 10 and by.count("linear") <= 6


@pytest.mark.slow
def test_statistics_are_of_windows_that_the_branch_was_trained_on(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK, merging={"method": "regmean"})
    run(folder)
    with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
        task = branch_statistics(runner.plan)[1]
        source = task.run.mixture.support[0]
        (shard,) = runner.plan.material.unit_shards(source)
        windows = np.lib.stride_tricks.sliding_window_view(shard.tokens[:], 33)
        read = windows_read(task.run, 128)
        assert read.shape == (4 * 256 // 32, 33) and task.tokens == 4 * 256
        assert all((windows == one).all(axis=1).any() for one in read)
        assert len(windows_read(task.run, 3)) == 3
        model = runner.plan.model.build()
        found = MemberStatistics.open(task.path)
        flat = pool_of(runner.plan, 1).branches[1]
        assert torch.equal(found.values, gram_matrices(model, flat, torch.from_numpy(read[:, :-1].copy())))


@pytest.mark.slow
def test_replicas_of_branches_are_measured_each(tmp_path: Path) -> None:
    changes = {**QUICK, "branch_training": {**QUICK["branch_training"], "seeds": 2}}
    folder = write_study(tmp_path, **changes, merging={"method": "regmean"})
    decision = run(folder)
    assert decision.merging == "regmean"
    assert len(list(folder.statistics.iterdir())) == 2 * len(LANGUAGES)
