"""The ablation flow on a real study: it answers, it goes on where it stopped, and it says what is wrong."""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.advice import advice
from cuvee.decisions.shares import in_words
from cuvee.decisions.verdict import UNTRAINED
from cuvee.errors import (
    BrokenRecord,
    ConfigError,
    CuveeError,
    DiskFull,
    EmptySource,
    InfeasibleRegion,
    MissingSource,
    SchemaError,
    StoreError,
)
from cuvee.evaluation.likelihood import Evaluator
from cuvee.execution.local import InProcess, LocalProcesses
from cuvee.flows.ablation import conclude
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.ablation.judge import Judge
from cuvee.flows.ablation.known_merges import known_merges
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.mixture.mixture import Mixture
from cuvee.models.checkpoint import Checkpoint
from cuvee.progress import Silent
from cuvee.quantities import flops
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.reports import REPORTS
from cuvee.report.view import StudyView
from cuvee.runs.roles import FRESH as CHECK
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.sources.shards import TokenShard
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.edit import append_source
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import MergingSettings
from cuvee.study.opening import opened
from cuvee.study.producers.descended import MOST_EVALUATIONS, TOLERANCE, descend
from cuvee.study.survey import survey
from tests.models.tiny_models import save_random
from tests.study.tiny_study import (
    LANGUAGES,
    SEED_DATA,
    Listener,
    change_study,
    hashes,
    killed,
    run,
    settings,
    texts,
    timeless,
    write_study,
    write_texts,
)

ROLES = ("seed", "branch", "reference", "replicate")
QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 4 * 256},
    "branch_training": SEED_DATA | {"tokens": 2 * 256},
    "references": {"count": 0, "replicates": 0},
    "candidates": {"count": 8},
    "evaluation_tokens": 64,
    "check": {"seeds": 0},
}
"""For studies of which only the way matters."""

_WORK = ("training", "scoring", "descending", "tokenizing")
"""How stages begin in which something is made."""

SEEDS = 3
"""Fresh trainings of each mixture that is checked."""


@dataclass(frozen=True)
class Finished:
    """A study that has been answered."""

    folder: StudyFolder
    decision: Decision
    observations: bytes
    checkpoints: dict[str, str]


@pytest.fixture(scope="module", autouse=True)
def few_halves() -> Iterator[None]:
    """Uncertainty from a few halves: sixty take longer than all the rest of a study this small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conclude, "Judge", partial(Judge, pairs=2))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_study(tmp_path_factory.mktemp("finished"))
    decision = run(folder)
    return Finished(folder, decision, observations(folder), hashes(folder.checkpoints))


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> StudyFolder:
    """The finished study, to be changed."""
    shutil.copytree(finished.folder.root, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def observations(folder: StudyFolder) -> bytes:
    """All that a study has measured, as the bytes of a table."""
    file = folder.root / "observations.csv"
    with RunStore(folder.store) as store:
        store.observations().write_csv(file)
    data = file.read_bytes()
    file.unlink()
    return data


def rows(folder: StudyFolder, **conditions: Any) -> list[Run]:
    with RunStore(folder.store) as store:
        return store.runs(**conditions)


def models(folder: StudyFolder) -> list[Run]:
    """What was trained to its end."""
    return [one for one in rows(folder, kind="trained") if one.role != "snapshot"]


def picked(finished: Finished) -> Mixture:
    return Mixture.of(finished.decision.shares()).reindexed(LANGUAGES)


def compared(finished: Finished) -> tuple[Mixture, Mixture]:
    """Equal shares, and shares proportional to the tokens there are."""
    tokens = {entry.source: entry.unique_tokens for entry in finished.decision.mixture}
    return Mixture.uniform(LANGUAGES), Mixture.proportional(tokens)


# The answer


def test_the_decision_is_whole(finished: Finished) -> None:
    decision = finished.decision
    assert decision.sources == LANGUAGES
    assert sum(entry.share for entry in decision.mixture) == pytest.approx(1.0)
    assert all(entry.low <= entry.share <= entry.high for entry in decision.mixture)
    assert len(decision.references) == 8
    assert decision.headline[0] == advice(decision.verdict, in_words(decision.mixture))
    assert {row.proxy for row in decision.honesty} >= {"merge", "ensemble"}
    assert {row.stage: row.count for row in decision.ledger if row.kind == "trained"}["seed"] == 1
    assert len(decision.interactions) == 4


def test_the_decision_survives_json(finished: Finished) -> None:
    text = json.dumps(finished.decision.as_json(), allow_nan=False)
    again = Decision.from_json(json.loads(text))
    assert again == finished.decision
    assert json.dumps(again.as_json()) == json.dumps(finished.decision.as_json())


def test_the_reports_show_it(finished: Finished) -> None:
    with RunStore(finished.folder.store) as store:
        shown = StudyView.of(finished.decision, store.observations())
    for render in REPORTS[Decision].files.values():
        text = render(shown)
        assert all(name in text for name in LANGUAGES)


def test_what_was_measured(finished: Finished) -> None:
    counts = Counter((one.kind, one.role) for one in rows(finished.folder))
    assert counts["trained", "seed"] == 1
    assert counts["trained", "branch"] == 4
    assert counts["trained", "replicate"] == 2
    assert counts["merged", "reference"] == counts["ensembled", "reference"] == 8
    merged, ensembled = (
        [one.mixture.key for one in rows(finished.folder, kind=kind, role="candidate")]
        for kind in ("merged", "ensembled")
    )
    assert set(merged) == set(ensembled) and len(ensembled) == len(set(ensembled)) >= 15
    # Of those in the race the best eighth are scored twice, on a part and on all tokens. Outside of it are
    # the baselines, and a tenth more of each source than the pick has.
    outside = {one.key for one in compared(finished)} | {
        mixture.key
        for name in LANGUAGES
        for mixture in [picked(finished).blend(Mixture.vertex(LANGUAGES, name), 0.1)]
    }
    raced = len(set(merged) - outside)
    assert len(merged) - len(set(merged)) == np.ceil(raced / 8)
    for one in rows(finished.folder):
        measured = one.mixture.support if one.role == "snapshot" else LANGUAGES
        names = {f"{unit}/{name}" for unit in ("nats_per_token", "bits_per_byte") for name in measured}
        assert set(one.metrics) == names, "of a snapshot the own evaluation alone"
        assert one.flops is not None and one.flops > 0
        assert one.estimand == "equal_budget"


def test_training_helped_each_branch_with_its_own_language(finished: Finished) -> None:
    (seed,) = rows(finished.folder, role="seed")
    for one in rows(finished.folder, kind="trained", role="branch"):
        (own,) = one.mixture.support
        change = {
            name: one.metrics[f"nats_per_token/{name}"] - seed.metrics[f"nats_per_token/{name}"]
            for name in LANGUAGES
        }
        assert min(change, key=lambda name: change[name]) == own
        assert change[own] < 0


def test_references_see_their_data_in_another_order_than_branches(finished: Finished) -> None:
    seeds = {role: {one.seed for one in rows(finished.folder, kind="trained", role=role)} for role in ROLES}
    assert not (seeds["reference"] | seeds["replicate"]) & (seeds["branch"] | seeds["seed"])
    assert not seeds["reference"] & seeds["replicate"]


def test_a_merge_of_one_branch_is_that_branch(copy: StudyFolder) -> None:
    # A reference on one source has the same mixture as a branch, and is another model.
    chosen = json.loads(copy.references.read_text())
    copy.references.write_text(json.dumps([{"ka": 1.0}, *chosen[1:]]))
    run(copy)
    (branch,) = [one for one in rows(copy, kind="trained", role="branch") if one.mixture.support == ("ka",)]
    alone = [one for one in rows(copy, role="reference") if one.mixture.support == ("ka",)]
    found = {one.kind: one.metrics for one in alone}
    assert set(found) == {"trained", "merged", "ensembled"}
    for name, value in branch.metrics.items():
        assert found["merged"][name] == pytest.approx(value, rel=1e-6)
        assert found["ensembled"][name] == pytest.approx(value, rel=1e-5)
        assert found["trained"][name] != value


# The check


def test_the_pick_and_the_baselines_are_trained_at_seeds_that_nothing_else_has(finished: Finished) -> None:
    trained = models(finished.folder)
    fresh = [one for one in trained if one.role == CHECK]
    others = {one.seed for one in trained if one.role != CHECK}
    seeds = sorted({one.seed for one in fresh})
    assert len(seeds) == SEEDS and not set(seeds) & others
    arms = [one.key for one in (picked(finished), *compared(finished))]
    assert len(set(arms)) == 3
    assert sorted((one.mixture.key, one.seed) for one in fresh) == sorted(
        (key, seed) for key in arms for seed in seeds
    )
    # They are trained as references are, but for the order of the data.
    assert {one.tokens for one in fresh} == {one.tokens for one in trained if one.role == "reference"}
    assert len({one.details["run"] for one in trained}) == len(trained)


def test_the_check_says_what_they_ended_at_pair_by_pair(finished: Finished) -> None:
    check = finished.decision.check
    assert check is not None and check.verdict == finished.decision.verdict
    assert [arm.name for arm in check.arms] == ["pick", "equal shares", "proportional shares"]
    losses: dict[tuple[str, int], float] = {}
    for one in rows(finished.folder, kind="trained", role=CHECK):
        target = [one.metrics[f"nats_per_token/{name}"] for name in finished.decision.target]
        losses[one.mixture.key, one.seed] = float(np.dot(target, list(finished.decision.target.values())))
    seeds = sorted({seed for _, seed in losses})
    table = []
    for arm, mixture in zip(check.arms, (picked(finished), *compared(finished)), strict=True):
        assert arm.shares == pytest.approx(mixture.shares)
        table.append([losses[mixture.key, seed] for seed in seeds])
        assert arm.losses == pytest.approx(table[-1])
    pick, *baselines = np.array(table)
    assert [one.baseline for one in check.comparisons] == ["equal shares", "proportional shares"]
    for beside, base in zip(check.comparisons, baselines, strict=True):
        assert beside.difference == pytest.approx((pick - base).mean())
        assert beside.low < beside.difference < beside.high
        assert beside.training_error > 0 and beside.document_error > 0 and beside.tokens_needed > 0
    assert check.noise > 0
    assert check.documents == min(row.checking_documents for row in finished.decision.evaluations)


def test_they_are_measured_on_the_documents_that_no_choice_has_seen(finished: Finished) -> None:
    config = StudyConfig.load(finished.folder.root)
    with opened(config, finished.folder, executor=InProcess()) as runner:
        choosing, checking = (
            {one.name: one for one in runner.plan.material.halves[half]} for half in ("choosing", "checking")
        )
        run_ = next(iter(runner.store.runs(kind="trained", role=CHECK)))
        seen = runner.store.documents([run_.key])[run_.key]
        model = runner.plan.model.build()
        flat = Checkpoint.load(finished.folder.checkpoint(run_.details["run"])).read_flat(model)
        for name, one in checking.items():
            shard = runner.plan.material.shards[name, "eval"]
            assert len(seen[name]) == one.documents == shard.documents // 2
            assert choosing[name].documents == shard.documents - shard.documents // 2
            # The halves are every other document: those of the check end with other windows of text.
            assert set(windows_of(one)).isdisjoint(windows_of(choosing[name]))
            log_probs = model.token_log_probs(flat, torch.tensor(one.inputs), torch.tensor(one.targets))
            loss = -float(log_probs[torch.from_numpy(one.scored)].double().mean())
            assert run_.metrics[f"nats_per_token/{name}"] == pytest.approx(loss, abs=1e-5)


def windows_of(one: EvaluationSet) -> list[tuple[int, ...]]:
    return [tuple(row) for row in one.targets[one.scored.all(axis=1)].tolist()]


def test_the_decision_says_what_losses_were_measured_on(finished: Finished) -> None:
    assert [row.evaluation for row in finished.decision.evaluations] == list(LANGUAGES)
    for row in finished.decision.evaluations:
        (shard,) = [
            TokenShard.open(path)
            for path in finished.folder.shards.iterdir()
            if (TokenShard.open(path).source, TokenShard.open(path).part) == (row.evaluation, "eval")
        ]
        lengths = [len(shard.document(index)) for index in range(shard.documents)]
        budget, window = 256, 32
        for documents, tokens, own in (
            (row.documents, row.tokens, lengths[0::2]),
            (row.checking_documents, row.checking_tokens, lengths[1::2]),
        ):
            assert documents == len(own)
            if sum(own) > budget:
                assert budget - documents * window < tokens <= budget
            else:
                assert tokens == sum(own)
        assert row.weight == 0.25


def test_few_documents_are_said_before_what_was_gained(finished: Finished) -> None:
    """With less than twenty in a half, behind the pick, its standing, and what beats it alone."""
    first, *lines = finished.decision.headline
    assert first.startswith(("Not confirmed: ", "Do not train on "))
    beaten = ("In fresh trainings the pick ended", "The pick is predicted", "The trained reference ")
    few, *rest = [line for line in lines if not line.startswith(beaten)]
    assert few.startswith("Few held-out documents (to choose and to check: ka 3 and 3, ")
    assert [line.split(":")[0] for line in rest[:2]] == ["Measured", "Predicted"]
    assert lines.index(few) == sum(line.startswith(beaten) for line in lines)


@pytest.mark.parametrize(
    ("rate", "references", "said", "key"),
    [
        (1.0, 4, "The trained mixtures know nothing", "`reference_training.learning_rate` (1)"),
        (0.3, 0, "The branches all ended worse than the seed model", "`branch_training.learning_rate` (0.3)"),
    ],
)
def test_trainings_that_unlearn_are_named_first(
    tmp_path: Path, rate: float, references: int, said: str, key: str
) -> None:
    """At such rates all mixtures end alike, and any answer looks as good as another."""
    changes = {
        "seed_training": SEED_DATA | {"tokens": 40 * 256},
        "branch_training": {"tokens": 10 * 256, "batch_tokens": 256, "learning_rate": rate},
        "references": {"count": references, "replicates": 0},
    }
    decision = run(write_study(tmp_path, **QUICK | changes))
    assert decision.headline[1].startswith(said) and key in decision.headline[1]
    assert decision.verdict.standing != "confirmed"


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_branches_that_hardly_move_are_not_scored_in_few_digits_in_silence(
    tmp_path: Path, dtype: str
) -> None:
    """At 1e-6 the merges of branches differ by less than bfloat16 rounds their losses."""
    gentle = {
        "branch_training": {"tokens": 2 * 256, "batch_tokens": 256, "learning_rate": 1e-6},
        "reference_training": {"learning_rate": 3e-3},
    }
    folder = write_study(tmp_path, **QUICK | gentle)
    folder.numerics.write_text(json.dumps({"dtype": dtype, "compiled": False, "device": "cpu"}))
    said = [line for line in run(folder).warnings if "rounds away much of what merges differ by" in line]
    assert len(said) == (dtype == "bfloat16")


def test_many_documents_leave_no_doubt_of_them(tmp_path: Path) -> None:
    many = {"split": {"evaluation": 0.8, "seed": 0.1}, "evaluation_tokens": 4096}
    folder = write_study(tmp_path, **QUICK | many)
    decision = run(folder)
    assert min(row.checking_documents for row in decision.evaluations) >= 20
    assert not any("Few held-out documents" in line for line in decision.headline)


def test_without_seeds_nothing_is_checked_and_nothing_trained_for_it(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK | {"check": {"seeds": 0}})
    decision = run(folder)
    assert decision.check is None
    assert decision.verdict == UNTRAINED
    assert decision.headline[0].startswith("Not checked: ")
    assert not rows(folder, role=CHECK)
    assert not any("Measured" in line for line in decision.headline)


def test_a_check_asked_for_later_trains_that_alone_and_then_nothing(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    before = run(folder)
    kept = hashes(folder.checkpoints)
    change_study(folder, **QUICK | {"check": {"seeds": 1}})
    after = run(folder)
    assert after.as_json()["mixture"] == before.as_json()["mixture"], "the check changes no pick"
    now = hashes(folder.checkpoints)
    assert {name: now[name] for name in kept} == kept
    fresh = {one.details["run"] for one in models(folder) if one.role == CHECK}
    assert {Path(name).parts[0] for name in set(now) - set(kept)} == fresh and 2 <= len(fresh) <= 3
    assert after.check is not None and after.check.seeds == 1
    assert all(np.isnan(one.low) and np.isnan(one.high) for one in after.check.comparisons)
    assert after.verdict.standing == "not confirmed"
    listener = Listener()
    assert timeless(run(folder, listener)) == timeless(after)
    assert not [stage for stage in listener.stages if stage.startswith("training")]


def test_the_ledger_holds_all_that_was_trained(finished: Finished) -> None:
    trained = [row for row in finished.decision.ledger if row.kind == "trained"]
    made = models(finished.folder)
    assert {row.stage: row.count for row in trained} == Counter(one.role for one in made)
    assert sum(row.flops for row in trained) == pytest.approx(sum(one.flops or 0.0 for one in made))
    assert all(row.seconds > 0 for row in trained)


def test_a_check_is_no_rung_of_a_ladder(finished: Finished) -> None:
    assert survey(StudyConfig.load(finished.folder.root), finished.folder).ladder is None


# The optimum of the merge


def weighted(one: Run, decision: Decision) -> float:
    """The target loss of a run."""
    losses = [one.metrics[f"nats_per_token/{name}"] for name in decision.target]
    return float(np.dot(losses, list(decision.target.values())))


def test_no_candidate_has_a_lower_merge_loss_than_the_optimum(copy: StudyFolder, finished: Finished) -> None:
    merge, ensemble = finished.decision.optima
    assert (merge.proxy, ensemble.proxy, finished.decision.merging) == ("merge", "ensemble", "linear")
    with opened(StudyConfig.load(copy.root), copy, executor=InProcess()) as runner:
        found = ablation.investigate(runner)
        optimum, target = found.merge_optimum, runner.documents.target(finished.decision.target)
        known = found.scored.losses("merge") @ target
        again = found.score(found.scored.mixtures, ["candidate"] * len(known), np.ones(len(known), bool))
        whole = again.losses("merge") @ target
        allowed, on_all = np.array(found.candidates), whole == known
        assert 0.3 < on_all.mean() < 1
        assert optimum.loss == merge.loss <= whole[allowed & on_all].min()
        assert optimum.loss <= whole[allowed].min() + TOLERANCE
        assert optimum.mixture.shares.tolist() == list(merge.shares)
        assert merge.gap <= TOLERANCE and len(merge.ends) == 3 and merge.loss <= min(merge.ends)
        assert max(merge.ends) - min(merge.ends) < TOLERANCE, "this small a study has one optimum"
        # Merged by hand, it has that loss on the halves of the evaluations that choose.
        bank = found.pool.bank.double().numpy()
        flat = torch.from_numpy(optimum.mixture.shares @ bank[1:]).float()
        choosing = Evaluator.of(runner.plan.model.build(), list(runner.plan.material.halves["choosing"]))
        assert choosing.score(flat).nats_per_token @ target == pytest.approx(merge.loss, abs=1e-6)


def test_the_decision_sets_the_optima_beside_the_pick(finished: Finished) -> None:
    pick = picked(finished)
    for one in finished.decision.optima:
        mixture = Mixture(LANGUAGES, np.array(one.shares))
        assert one.distance == pytest.approx(mixture.total_variation(pick))
        assert one.pick_loss >= one.loss - TOLERANCE
        kind = {"merge": "merged", "ensemble": "ensembled"}[one.proxy]
        of = [run for run in rows(finished.folder, kind=kind) if run.mixture.key == mixture.key]
        losses = [weighted(run, finished.decision) for run in of if run.role != "descent"]
        assert any(one.loss == pytest.approx(loss, abs=1e-6) for loss in losses)
    assert finished.decision.best_weights == finished.decision.optima[1].shares


def test_descents_are_in_store_and_ledger_at_their_own_price(finished: Finished) -> None:
    descents = rows(finished.folder, role="descent")
    assert len(descents) == 3 and {one.kind for one in descents} == {"merged"}
    assert all(one.details["outcome"] == "converged" for one in descents)
    (merged,) = [row for row in finished.decision.ledger if row.stage == "scoring mixtures"][:1]
    (found,) = [row for row in finished.decision.ledger if row.stage == "optimum of merges"]
    made = [*descents, *rows(finished.folder, role="optimum")]
    assert found.count == len(made) and found.flops == pytest.approx(sum(one.flops or 0 for one in made))
    scored = [one for one in rows(finished.folder, kind="merged") if one.role not in ("descent", "optimum")]
    assert merged.count == len({one.mixture.key for one in scored}) < len(scored)  # some on all windows, too
    assert found.seconds > 0 and merged.seconds > 0
    # Half of what the most evaluations would take pays for all three.
    passes = sum(one.details["evaluations"] for one in descents)
    assert 3 <= passes < 3 * MOST_EVALUATIONS / 2


class StopsAfterADescent(InProcess):
    """Fails as soon as the first descent is written down."""

    def map(self, job: Any, items: Any, on_progress: Any = None) -> Iterator[tuple[int, Any]]:
        for done in super().map(job, items, on_progress):
            yield done
            if job is descend:
                raise InterruptedError


def test_descents_go_on_where_they_were_stopped(copy: StudyFolder, finished: Finished) -> None:
    with sqlite3.connect(copy.store) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM runs WHERE role IN ('descent', 'optimum')")
    database.close()
    config = StudyConfig.load(copy.root)
    with pytest.raises(InterruptedError):
        ablation.run(config, copy, Silent(), StopsAfterADescent())
    assert len(rows(copy, role="descent")) == 1
    ahead = ablation.outlook(config, copy, executor=InProcess())
    (left,) = [row.left for row in ahead.rows if row.title == "optimum of merges"]
    assert left == 2
    listener = Listener()
    decision = run(copy, listener)
    assert "descending to the optimum of merges" in listener.stages
    assert timeless(decision) == timeless(finished.decision)
    assert observations(copy) == finished.observations


@dataclass(frozen=True)
class Halved:
    """Task arithmetic at half the length: another row of the table, for tests."""

    paper: str = "https://arxiv.org/abs/2212.04089"
    deviations: str = "The scale is a half."

    def merge(self, pool: FlatPool, weights: np.ndarray, out: torch.Tensor | None = None) -> torch.Tensor:
        return LinearMerge().merge(pool, 0.5 * np.asarray(weights), out)

    def vjp(self, pool: FlatPool, weights: np.ndarray, direction: torch.Tensor) -> np.ndarray:
        return 0.5 * pool.project(direction)


def test_a_study_merges_by_the_method_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MERGERS, "halved", Halved())
    folder = write_study(tmp_path, **QUICK)
    plain = StudyConfig.load(folder.root)
    before = ablation.run(plain, folder, Silent(), InProcess())
    kept, linear = hashes(folder.checkpoints), rows(folder, kind="merged")
    halved = MergingSettings.model_construct(method="halved")  # type: ignore[arg-type]
    named = plain.model_copy(update={"merging": halved})
    decision = ablation.run(named, folder, Silent(), InProcess())
    assert hashes(folder.checkpoints) == kept, "nothing is trained for it"
    assert (before.merging, decision.merging) == ("linear", "halved")
    assert before.created_from.config != decision.created_from.config
    assert "Method of merging: halved." in render_markdown(StudyView.of(decision))
    assert "by the method <b>halved</b>" in render_html(StudyView.of(decision))
    merges = {one.key: one for one in rows(folder, kind="merged")}
    assert {one.key for one in linear} < set(merges)
    assert len(rows(folder, kind="ensembled")) == len(
        {one.mixture.key for one in rows(folder, kind="ensembled")}
    )
    # Half way to a branch is what the merge with all of its weight now is.
    with opened(named, folder, executor=InProcess()) as runner:
        found = ablation.investigate(runner)
        evaluator = runner.plan.bench.evaluator()
        flat = 0.5 * (found.pool.seed + found.pool.branches.mean(dim=0))
        even = found.scored.row(Mixture.uniform(LANGUAGES))
        loss = found.scored.losses("merge")[even]
        assert loss == pytest.approx(evaluator.score(flat).nats_per_token, abs=1e-5)
        descended = [
            one for one in rows(folder, role="descent") if one.key not in {run.key for run in linear}
        ]
        assert len(descended) == 3


# By another way


def test_a_merge_made_by_hand_and_scored_by_transformers_is_that_of_the_store(
    finished: Finished, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    branches = {
        one.mixture.support[0]: AutoModelForCausalLM.from_pretrained(
            finished.folder.checkpoint(one.details["run"]), dtype=torch.float32
        )
        for one in rows(finished.folder, kind="trained", role="branch")
    }
    merges = rows(finished.folder, kind="merged", role="reference")
    merge = max(merges, key=lambda one: len(one.mixture.support))
    state = {
        name: sum(
            merge.mixture.share(source) * model.state_dict()[name].double()
            for source, model in branches.items()
        ).float()
        for name in branches["ka"].state_dict()
    }
    branches["ka"].load_state_dict(state)
    branches["ka"].save_pretrained(tmp_path / "merge")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merge", dtype=torch.float32)
    config = StudyConfig.load(finished.folder.root)
    with opened(config, finished.folder, executor=InProcess()) as runner, torch.no_grad():
        for one in runner.plan.material.evaluations:
            log_probs = model(input_ids=torch.tensor(one.inputs)).logits.double().log_softmax(-1)
            chosen = log_probs.gather(-1, torch.tensor(one.targets)[..., None])[..., 0].numpy()[one.scored]
            stored = merge.metrics[f"nats_per_token/{one.name}"]
            assert stored == pytest.approx(-chosen.mean(), abs=1e-4)


def test_a_run_without_losses_of_its_documents_is_refused(copy: StudyFolder) -> None:
    """As it would be in a store that an earlier version wrote, if its evaluations were those of today."""
    database = sqlite3.connect(copy.store)
    with database:
        database.execute(
            "DELETE FROM documents WHERE run_id IN (SELECT run_id FROM runs WHERE role = 'reference')"
        )
    database.close()
    with pytest.raises(
        StoreError, match=r"has no losses of single documents on 'ka'; delete the file to have"
    ):
        run(copy)
    kept = hashes(copy.checkpoints)
    copy.store.unlink()
    run(copy)
    assert hashes(copy.checkpoints) == kept, "what is trained stays"


def test_realised_epochs_are_written_down(finished: Finished) -> None:
    for one in rows(finished.folder, kind="trained", role="reference"):
        assert set(one.details["epochs"]) == set(one.mixture.support)


def test_status(finished: Finished) -> None:
    config = StudyConfig.load(finished.folder.root)
    found = survey(config, finished.folder)
    assert {stage.title: (stage.done, stage.total) for stage in found.stages[:5]} == {
        "seed model": (1, 1),
        "pool of branches": (4, 4),
        "reference runs": (8, 8),
        "replicates of references": (2, 2),
        "fresh trainings": (9, 9),
    }
    assert found.flops > 0


# Looking ahead


@pytest.mark.parametrize(
    "changes", [{"branch_training": {"tokens": 11 * 256}}, {"tokenizer": {"vocabulary": 320}}]
)
def test_scores_of_models_that_are_no_more_are_left_to_make(
    copy: StudyFolder, changes: dict[str, Any]
) -> None:
    """Other tokens, or another tokenizer: merges of other branches, and descents in them, are of no use."""

    def left() -> dict[str, tuple[int, int]]:
        ahead = ablation.outlook(StudyConfig.load(copy.root), copy, executor=InProcess())
        return {row.title: (row.left, row.runs) for row in ahead.rows}

    copy.decision.write_text("{}")
    assert {left()[title][0] for title in ("branches", "scoring mixtures", "optimum of merges")} == {0}
    change_study(copy, **changes)
    found = left()
    for title in ("branches", "scoring mixtures", "optimum of merges"):
        assert found[title][0] == found[title][1], title


def test_merges_of_the_pool_count_by_their_mixtures(finished: Finished) -> None:
    with opened(StudyConfig.load(finished.folder.root), finished.folder, looking=True) as runner:
        known = known_merges(runner, "linear")
        merged = runner.store.runs(kind="merged")
    assert [run.key for run in known] == [run.key for run in merged if run.role != "descent"]


def test_a_plan_says_what_every_stage_takes_and_trains_nothing(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    config = StudyConfig.load(folder.root)
    ahead = ablation.outlook(config, folder, executor=InProcess())
    part = {row.title: row.tokens for row in ahead.rows}["optimum of merges"]
    assert [(row.title, row.runs, row.left, row.tokens) for row in ahead.rows] == [
        ("seed model", 1, 1, 40 * 256),
        ("branches", 4, 4, 10 * 256),
        ("references", 8, 8, 10 * 256),
        ("replicates", 2, 2, 10 * 256),
        ("scoring mixtures", 28, 28, 4 * 256),
        ("optimum of merges", 3, 3, part),
        ("fresh trainings", 9, 9, 10 * 256),
    ]
    seed, branches = ahead.rows[:2]
    assert (seed.flops, branches.flops) == (seed.flops_left, branches.flops_left)
    measured = 4 * 256 / (3 * 256)  # tokens of evaluations, in steps
    assert seed.hours_left * 3600 == pytest.approx((40 + measured) * seed.step_seconds)
    assert ahead.flops == sum(row.flops for row in ahead.rows)
    assert ahead.rows[-1].flops / 9 == ahead.rows[2].flops / 8
    assert 4 * 16 <= part <= 4 * 256 / 4, "one of eight windows of each evaluation"
    assert ahead.statement.startswith("24 runs, ") and "to go on this machine" in ahead.statement
    assert not list(folder.checkpoints.glob("*")) and not folder.references.exists()
    listener = Listener()
    decision = run(folder, listener)
    folder.decision.write_text(json.dumps(decision.as_json()))
    assert any(line.startswith("24 runs, ") for line in listener.said), "a run says it first"
    done = ablation.outlook(config, folder, executor=InProcess())
    assert all(row.left == 0 and row.hours_left == 0 for row in done.rows)
    assert done.flops == ahead.flops
    planned = {row.title: row.flops for row in ahead.rows}
    spent = {row.stage: row.flops for row in decision.ledger}
    for title, stage in (("seed model", "seed"), ("branches", "branch"), ("references", "reference")):
        assert planned[title] == pytest.approx(spent[stage]), "as many as the plan said"
    assert done.statement == f"24 runs, 24 of them done, {flops(ahead.flops)} FLOPs; nothing is left to make"


def test_a_plan_knows_which_fresh_trainings_more_seeds_would_take(copy: StudyFolder) -> None:
    change_study(copy, check={"seeds": SEEDS + 1})
    ahead = ablation.outlook(StudyConfig.load(copy.root), copy, executor=InProcess())
    (fresh,) = [row for row in ahead.rows if row.title == "fresh trainings"]
    assert fresh.runs == 3 * (SEEDS + 1) >= fresh.left > 0


def test_a_plan_counts_the_check_of_a_pick_that_will_be_another(copy: StudyFolder) -> None:
    """More references make another pick, whose fresh trainings are not made yet; those of baselines are."""
    change_study(copy, references={"count": 9, "replicates": 2})
    ahead = ablation.outlook(StudyConfig.load(copy.root), copy, executor=InProcess())
    (fresh,) = [row for row in ahead.rows if row.title == "fresh trainings"]
    assert (fresh.runs, fresh.left) == (3 * SEEDS, SEEDS)


def test_a_plan_only_looks_so_a_run_at_work_does_not_mind(copy: StudyFolder) -> None:
    left_over = copy.shards / ".being written.tmp"
    left_over.touch()
    before = hashes(copy.checkpoints)
    with copy.locked():
        shown = CliRunner().invoke(app, ["run", str(copy.root), "--plan"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.stderr
    assert "seed model" in shown.stdout and "24 runs, 24 of them done" in shown.stdout
    assert left_over.exists(), "another process may be writing it"
    assert hashes(copy.checkpoints) == before
    told = CliRunner().invoke(app, ["run", str(copy.root), "--plan", "--json"])
    assert json.loads(told.stdout)["rows"][0]["step_seconds"] is None
    config = StudyConfig.load(copy.root)
    with copy.observed(), opened(config, copy, executor=InProcess()):
        assert left_over.exists(), "the one that looks may be writing it"
    with opened(config, copy, executor=InProcess()):
        assert not left_over.exists()


def test_evaluation_text_is_looked_for_once(copy: StudyFolder) -> None:
    listener = Listener()
    run(copy, listener)
    assert not [stage for stage in listener.stages if stage.startswith("looking for")]


# Going on


def test_a_second_run_trains_nothing_and_says_the_same(copy: StudyFolder, finished: Finished) -> None:
    listener = Listener()
    decision = run(copy, listener)
    assert timeless(decision) == timeless(finished.decision)
    assert decision.as_json()["ledger"] == finished.decision.as_json()["ledger"], "no time was spent either"
    assert observations(copy) == finished.observations
    assert hashes(copy.checkpoints) == finished.checkpoints
    assert not [stage for stage in listener.stages if stage.startswith(_WORK)]


def test_what_is_deleted_is_made_again_alike(copy: StudyFolder, finished: Finished) -> None:
    for folder in (copy.checkpoints, copy.shards, copy.pools, copy.root / "ensembles"):
        shutil.rmtree(folder)
    copy.store.unlink()
    run(copy)
    assert observations(copy) == finished.observations
    assert hashes(copy.checkpoints) == finished.checkpoints


def test_an_added_source_trains_one_model(copy: StudyFolder, finished: Finished) -> None:
    before = rows(copy, kind="trained")
    write_texts(copy.root / "text" / "po.jsonl", texts("po"))
    config = append_source(copy.root / "study.yaml", "po", ["text/po.jsonl"])
    branches = next(s for s in survey(config, copy).stages if s.title == "pool of branches")
    assert (branches.done, branches.total) == (4, 5)
    decision = run(copy)
    assert decision.sources == (*LANGUAGES, "po")
    after = hashes(copy.checkpoints)
    assert {name: after[name] for name in finished.checkpoints} == finished.checkpoints
    new = {Path(name).parts[0] for name in set(after) - set(finished.checkpoints)}
    made = [one for one in models(copy) if one.details["run"] in new]
    (branch,) = [one for one in made if one.role == "branch"]
    assert branch.mixture.support == ("po",)
    # Five sources have another pick and other baselines than four: they are checked afresh.
    assert Counter(one.role for one in made) == {"branch": 1, CHECK: 3 * SEEDS}
    # The pool is five models, and what was trained before is counted once.
    counts = {row.stage: row.count for row in decision.ledger if row.kind == "trained"}
    assert counts["branch"] == 5
    assert counts["reference"] == len([one for one in before if one.role == "reference"])
    assert any("No reference contains po" in warning for warning in decision.warnings)
    assert survey(config, copy).stages[1].finished


def test_fresh_trainings_that_are_there_count_whatever_number_is_asked_for(copy: StudyFolder) -> None:
    """Else the number of seeds could be chosen by what came out."""
    change_study(copy, check={"seeds": 4})
    more = run(copy)
    change_study(copy, check={"seeds": 2})
    fewer = run(copy)
    assert more.check is not None and fewer.check is not None
    assert fewer.check.seeds == more.check.seeds == 4
    assert fewer.check == more.check


def test_more_references_keep_those_that_are_there(copy: StudyFolder, finished: Finished) -> None:
    change_study(copy, references={"count": 10, "replicates": 2})
    run(copy)
    chosen = json.loads(copy.references.read_text())
    assert chosen[:8] == json.loads(finished.folder.references.read_text())
    after = hashes(copy.checkpoints)
    assert {name: after[name] for name in finished.checkpoints} == finished.checkpoints
    made = {file.name for file in copy.checkpoints.iterdir()} - {
        file.name for file in finished.folder.checkpoints.iterdir()
    }
    roles = Counter(one.role for one in rows(copy, kind="trained") if one.details["run"] in made)
    assert roles["reference"] == 2
    assert set(roles) <= {"reference", "fresh"}, "another pick is trained afresh, nothing else"


def kill_at_random(folder: StudyFolder, rng: np.random.Generator, models: int) -> bool:
    """Kill ``cuvee run`` at some moment; False if it was done before.

    The moment is a little after the store, a shard or a number of models has appeared, so that kills
    are spread over the stages and not only over the seconds in which Python starts.
    """

    def due() -> bool:
        made = len(list(folder.checkpoints.glob("[!.]*"))) if folder.checkpoints.exists() else -1
        return made >= models

    return killed("run", folder, due, float(rng.uniform(0, 0.6)))


def killed_and_finished(folder: StudyFolder, finished: Finished, moments: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for models in moments:
        kill_at_random(folder, rng, models)
    run(folder)
    assert observations(folder) == finished.observations
    assert hashes(folder.checkpoints) == finished.checkpoints
    left = [path.name for path in folder.checkpoints.iterdir() if path.name.endswith(".state")]
    assert left == []


def test_a_study_killed_three_times_is_the_study_that_was_not(tmp_path: Path, finished: Finished) -> None:
    killed_and_finished(write_study(tmp_path), finished, [0, 3, 9], seed=1)


@pytest.mark.slow
def test_a_study_killed_ten_times_is_the_study_that_was_not(tmp_path: Path, finished: Finished) -> None:
    moments = [-1, 0, 0, 1, 2, 4, 6, 9, 12, 13]
    killed_and_finished(write_study(tmp_path), finished, moments, seed=2)


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(tmp_path: Path, finished: Finished) -> None:
    folder = write_study(tmp_path)
    decision = ablation.run(StudyConfig.load(folder.root), folder, Silent(), LocalProcesses(2))
    assert observations(folder) == finished.observations
    assert hashes(folder.checkpoints) == finished.checkpoints
    assert timeless(decision) == timeless(finished.decision)


# Other studies


def test_without_references_nothing_is_believed(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    decision = run(folder)
    assert not decision.believed
    assert decision.headline[0].startswith("Not checked: ")
    assert decision.verdict == UNTRAINED
    assert decision.references == decision.honesty == decision.calibrators == ()
    assert Decision.from_json(json.loads(json.dumps(decision.as_json(), allow_nan=False))) == decision
    assert all(render(StudyView.of(decision, None)) for render in REPORTS[Decision].files.values())
    assert not rows(folder, kind="trained", role="reference")
    assert [stage.title for stage in survey(StudyConfig.load(folder.root), folder).stages] == [
        "seed model",
        "pool of branches",
        "merges",
        "decision",
    ]


def test_a_few_references_are_told_but_not_believed(tmp_path: Path) -> None:
    decision = run(write_study(tmp_path, **QUICK | {"references": {"count": 2, "replicates": 1}}))
    assert not decision.believed
    assert len(decision.references) == 2
    assert "2 reference mixtures were trained" in decision.why


def test_the_union_estimand_trains_as_long_as_the_parts_together(tmp_path: Path) -> None:
    quick = QUICK | {"references": {"count": 6, "replicates": 1}, "estimand": "union"}
    folder = write_study(tmp_path, **quick)
    decision = run(folder)
    assert decision.estimand == "union"
    trained = [one for one in rows(folder, kind="trained") if one.role in ("reference", "replicate")]
    assert trained
    for one in trained:
        positive = one.mixture.shares[one.mixture.shares > 0]
        np.testing.assert_allclose(positive, positive[0])
        assert one.tokens == 512 * len(positive)
    for one in rows(folder, kind="trained", role="branch"):
        assert one.tokens == 512


def test_replicas_of_branches_and_the_averaging_bonus(tmp_path: Path) -> None:
    changes = QUICK | {"branch_training": SEED_DATA | {"tokens": 6 * 256, "seeds": 2}}
    folder = write_study(tmp_path, **changes, averaging_bonus=True)
    decision = run(folder)
    branches = rows(folder, kind="trained", role="branch")
    assert len(branches) == 8
    assert Counter(one.seed for one in branches) == {0: 4, 1: 4}
    assert decision.geometry is not None
    assert len(decision.geometry.members) == 8
    # The replicas of each source were averaged to see what averaging alone gains.
    merged = {one.mixture.key: one for one in rows(folder, kind="merged")}
    for name in LANGUAGES:
        assert Mixture.vertex(LANGUAGES, name).key in merged
    before = timeless(decision)
    assert timeless(run(folder)) == before


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with grouped queries and its tokenizer, as somebody else would bring it."""
    root = tmp_path_factory.mktemp("llama")
    tokenizer = train_tokenizer((text for name in LANGUAGES for text in texts(name)), 300, root / "bpe")
    save_random(root / "model", "gqa", tokenizer.vocabulary_size)
    for file in (root / "bpe").iterdir():
        shutil.copyfile(file, root / "model" / file.name)
    return root / "model"


def brought_along(folder: Path, **changes: Any) -> dict[str, Any]:
    """A study that branches from a model folder; what is not given comes from the dial."""
    study: dict[str, Any] = {
        name: value
        for name, value in settings(**QUICK).items()
        if name in ("schema", "sources", "references", "candidates", "evaluation_tokens")
    }
    study["model"] = {"folder": str(folder), "context_length": 32}
    study["seed_training"] = {"tokens": 0}
    study["branch_training"] = {"tokens": 2 * 256, "batch_tokens": 256, "learning_rate": 1e-3}
    return study | changes


def write_brought(root: Path, study: dict[str, Any]) -> StudyFolder:
    folder = write_study(root)
    (root / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
    return folder


def test_a_model_that_was_brought_along_is_the_seed(tmp_path: Path, llama_folder: Path) -> None:
    before = hashes(llama_folder)
    study = brought_along(llama_folder, references={"count": 2, "replicates": 0})
    folder = write_brought(tmp_path, study)
    decision = run(folder)
    assert decision.sources == LANGUAGES
    assert not rows(folder, kind="trained", role="seed")
    given = Checkpoint.load(llama_folder)
    made = [Checkpoint.load(path) for path in folder.checkpoints.iterdir()]
    assert {one.ancestor for one in made} == {given.content_hash}
    assert len({one.content_hash for one in made}) == len(made) >= 5
    assert hashes(llama_folder) == before, "nothing is written where the model lies"
    assert timeless(run(folder)) == timeless(decision)


def test_a_model_that_was_brought_along_can_be_trained_into_the_seed(
    tmp_path: Path, llama_folder: Path
) -> None:
    study = brought_along(llama_folder)
    study["seed_training"] = {"tokens": 512, "batch_tokens": 256, "learning_rate": 1e-3}
    study["split"] = {"seed": 0.3}
    folder = write_brought(tmp_path, study)
    run(folder)
    (seed,) = rows(folder, role="seed")
    assert Checkpoint.load(folder.checkpoint(seed.details["run"])).ancestor == (
        Checkpoint.load(llama_folder).content_hash
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer": {"vocabulary": 400}}, r"tokenizer: it has \d+ tokens, but the model in .* only"),
        ({"context_length": 64}, "model.context_length: 64 is more than the 32 of the model"),
    ],
)
def test_a_model_that_does_not_fit_is_told(
    tmp_path: Path, llama_folder: Path, change: dict[str, Any], message: str
) -> None:
    study = brought_along(llama_folder)
    if "context_length" in change:
        study["model"] |= change
    else:
        study |= change
    folder = write_brought(tmp_path, study)
    with pytest.raises(ConfigError, match=message):
        run(folder)
    assert not folder.checkpoints.exists()


# Limits


def test_epoch_caps_are_kept(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    sources = {name: {"paths": f"text/{name}.jsonl", "tokens": 100_000} for name in LANGUAGES}
    sources["mi"]["tokens"] = 5_000
    change_study(folder, **QUICK, sources=sources, target_run={"tokens": 100_000, "max_epochs": 2})
    decision = run(folder)
    shares = {entry.source: entry for entry in decision.mixture}
    assert shares["mi"].share <= 0.1 + 1e-6
    assert shares["mi"].unique_tokens == 5_000
    for entry in decision.mixture:
        assert entry.epochs <= 2 + 1e-4
        assert entry.epochs == pytest.approx(entry.share * 100_000 / entry.unique_tokens)
    for tied in decision.tied:
        assert tied.shares[LANGUAGES.index("mi")] <= 0.1 + 1e-6


def test_bounds_and_ratios_are_kept(tmp_path: Path) -> None:
    limits = {"minimum": {"ka": 0.2}, "maximum": {"lo": 0.3}, "ratios": [{"mi": 2, "nu": 1}]}
    references = {"count": 3, "replicates": 0, "design": "dirichlet"}
    folder = write_study(tmp_path, **QUICK | {"references": references}, limits=limits)
    decision = run(folder)
    chosen = [Mixture.of(row).reindexed(LANGUAGES) for row in json.loads(folder.references.read_text())]
    assert len(chosen) == 3
    pick = Mixture.of({entry.source: entry.share for entry in decision.mixture})
    for mixture in (pick, *chosen):
        assert mixture.share("ka") >= 0.2 - 1e-6
        assert mixture.share("lo") <= 0.3 + 1e-6
        assert mixture.share("mi") == pytest.approx(2 * mixture.share("nu"), abs=1e-6)


def test_a_pool_of_some_sources(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK, pool=["ka", "mi"])
    decision = run(folder)
    assert decision.sources == ("ka", "mi")
    assert {one.evaluation for one in decision.predictions} >= set(LANGUAGES)
    assert len(rows(folder, kind="trained", role="branch")) == 2


def test_a_source_in_units(tmp_path: Path) -> None:
    sources = {name: {"paths": f"text/{name}.jsonl", "units": 2 if name == "ka" else 1} for name in LANGUAGES}
    folder = write_study(tmp_path, **QUICK, sources=sources, pool=["ka", "lo"])
    decision = run(folder)
    assert sum(entry.share for entry in decision.mixture) == pytest.approx(1.0)
    assert len(rows(folder, kind="trained", role="branch")) == 3


def test_a_single_source_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK, pool=["ka"])
    shutil.rmtree(tmp_path / "text")
    with pytest.raises(ConfigError, match="one alone leaves nothing to decide"):
        run(folder)
    assert not folder.store.exists()


# What is wrong


def broken(root: Path, change: Callable[[Path], object], **changes: Any) -> StudyFolder:
    folder = write_study(root, **QUICK | changes)
    change(root / "text")
    return folder


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda text: (text / "lo.jsonl").unlink(), MissingSource, r"lo\.jsonl' of source 'lo'"),
        (lambda text: write(text / "lo.jsonl", ""), EmptySource, "'lo' has 0 documents"),
        (lambda text: write(text / "lo.jsonl", '{"text": " "}\n'), EmptySource, "'lo' has 0 documents"),
        (
            lambda text: write(text / "lo.jsonl", (text / "lo.jsonl").read_text() + '{"text": "cut o'),
            BrokenRecord,
            r"lo\.jsonl:61: is no valid JSON",
        ),
        (
            lambda text: (text / "lo.jsonl").write_bytes(b'{"text": "caf\xe9"}\n'),
            BrokenRecord,
            r"lo\.jsonl:1: is not UTF-8 at byte 13",
        ),
        (
            lambda text: write_texts(text / "lo.jsonl", texts("lo")[:1]),
            EmptySource,
            "'lo' has 1 document to use but 3 parts need one each",
        ),
        (
            lambda text: write_texts(text / "lo.jsonl", ["lo", "la", "le", "sol"]),
            EmptySource,
            "source 'lo' has .* fewer than one window of 33",
        ),
    ],
)
def test_text_that_cannot_be_used_is_told(
    tmp_path: Path, change: Callable[[Path], None], error: type[CuveeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(broken(tmp_path, change))


def test_broken_lines_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    def damage(text: Path) -> None:
        lines = (text / "lo.jsonl").read_text()
        (text / "lo.jsonl").write_text('{"text": 3}\n{\n' + lines)

    sources = {name: {"paths": f"text/{name}.jsonl", "allow_broken": True} for name in LANGUAGES}
    listener = Listener()
    run(broken(tmp_path, damage, sources=sources), listener)
    assert any("lo: 60 documents" in line and "2 are broken" in line for line in listener.said)


def test_one_long_document_can_be_cut(tmp_path: Path) -> None:
    sources: dict[str, Any] = {name: f"text/{name}.jsonl" for name in LANGUAGES}
    sources["lo"] = {"paths": "text/lo.jsonl", "chunk_characters": 400}
    folder = broken(
        tmp_path,
        lambda text: write_texts(text / "lo.jsonl", [" ".join(texts("lo"))]),
        sources=sources,
    )
    assert run(folder).sources == LANGUAGES


def test_evaluation_text_is_taken_out_of_training(tmp_path: Path) -> None:
    known, new = texts("ka")[:5], texts("ka", documents=5, seed=9)
    folder = broken(
        tmp_path,
        lambda text: write_texts(text / "exam.jsonl", known + new),
        evaluations={"exam": {"paths": "text/exam.jsonl"}},
    )
    listener = Listener()
    decision = run(folder, listener)
    assert "exam" in decision.target
    told = "5 documents of source 'ka' are also in evaluation 'exam': left out of training"
    assert [line for line in listener.said if "left out" in line] == [told]
    with RunStore(folder.store) as store:
        documents = {source.name: source.documents for source in store.sources()}
    assert documents["ka"] == 55
    assert documents["lo"] == 60


def test_limits_that_no_mixture_can_keep_are_told_before_training(tmp_path: Path) -> None:
    sources = {name: {"paths": f"text/{name}.jsonl", "tokens": 10_000} for name in LANGUAGES}
    folder = write_study(
        tmp_path, **QUICK, sources=sources, target_run={"tokens": 1_000_000, "max_epochs": 4}
    )
    with pytest.raises(InfeasibleRegion, match="ka"):
        run(folder)
    assert not folder.checkpoints.exists()


def test_an_unknown_key_is_told_with_a_suggestion(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK, branch_trainig={"tokens": 5})
    result = CliRunner().invoke(app, ["run", str(folder.root)])
    assert result.exit_code == 2
    assert "branch_trainig" in result.stderr
    assert "branch_training" in result.stderr.replace("branch_trainig", "", 1)


def test_a_store_of_a_newer_version_is_left_alone(copy: StudyFolder) -> None:
    with sqlite3.connect(copy.store) as database:
        database.execute("INSERT INTO migrations VALUES (99, 'from the future')")
    database.close()
    before = copy.store.read_bytes()
    with pytest.raises(SchemaError, match="schema version 99"):
        run(copy)
    assert copy.store.read_bytes() == before


def test_a_batch_shorter_than_a_sequence_is_told(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK | {"branch_training": {"tokens": 64, "batch_tokens": 16}})
    with pytest.raises(ConfigError, match=r"batch_tokens 16 must be at least model\.context_length 32"):
        run(folder)


def test_parts_that_do_not_make_a_batch_are_refused(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK | {"seed_training": {"accumulation": 3}})
    with pytest.raises(ConfigError, match=r"accumulation 3 must divide the 8 sequences of a batch"):
        run(folder)


@pytest.mark.parametrize("name", ["references", "numerics"])
def test_damaged_notes_are_told(copy: StudyFolder, name: str) -> None:
    file: Path = getattr(copy, name)
    file.write_text("[{")
    with pytest.raises(ConfigError, match=rf"{name}\.json: damaged"):
        run(copy)


# No room on the disk


class Full:
    """Lets some flushes to the disk succeed, then none."""

    def __init__(self, patch: pytest.MonkeyPatch, succeed: int) -> None:
        self.left = succeed
        self._fsync = os.fsync
        patch.setattr(os, "fsync", self)

    def __call__(self, handle: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._fsync(handle)


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_study(tmp_path / "whole", **QUICK)
    run(whole)
    folder = write_study(tmp_path / "full", **QUICK)
    kept: dict[str, str] = {}
    told: list[str] = []
    for room in (0, 10, 30, 60, 100):  # from the tokenizer to the pool
        with monkeypatch.context() as patch:
            Full(patch, room)
            try:
                run(folder)
            except DiskFull as error:
                told.append(str(error))
        now = hashes(folder.checkpoints) if folder.checkpoints.exists() else {}
        assert {name: now.get(name) for name in kept} == kept
        kept = now
    assert kept, "some rounds came as far as the models"
    assert told and all("there is no room" in text and "run again" in text for text in told)
    run(folder)
    assert observations(folder) == observations(whole)
    assert hashes(folder.checkpoints) == hashes(whole.checkpoints)


def test_the_command_tells_a_full_disk_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_study(tmp_path, **QUICK)
    Full(monkeypatch, 0)
    result = CliRunner().invoke(app, ["run", str(folder.root)])
    assert result.exit_code == DiskFull.exit_code
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "no room" in result.stderr


def test_a_limit_on_file_sizes_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    whole = write_study(tmp_path / "whole", **QUICK)
    run(whole)
    folder = write_study(tmp_path / "full", **QUICK)

    def limit() -> None:
        # Shards and the tokenizer fit, a model of 400 kB does not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "cuvee", "run", str(folder.root)],
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert result.returncode == DiskFull.exit_code, result.stderr
    assert "there is no room" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    run(folder)
    assert observations(folder) == observations(whole)
    assert hashes(folder.checkpoints) == hashes(whole.checkpoints)
