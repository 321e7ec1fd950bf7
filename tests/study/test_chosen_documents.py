"""DUET's inner step: documents chosen inside sources, in a search, in its check and beside its answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows import search
from cuvee.mixture.mixture import Mixture
from cuvee.sources.shards import TokenShard
from cuvee.study.chosen_documents import ChosenDocuments, chosen_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.rechecking import checking_of
from cuvee.study.runner import Runner
from cuvee.study.seed_moments import BY_DEFAULT
from cuvee.training.run import TrainingRun
from tests.study.tiny_study import LANGUAGES, Listener, write_study

SEARCHED: dict[str, Any] = {
    "search": {
        "budget_flops": 3.5e10, "target_tokens": 12_000, "scales": 0, "checkpoints": 0, "batch": 2,
        "proxies": [], "method": "duet", "document_values": "dsir",
    },
    "target": {"weights": {"ka": 1.0}},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return write_study(tmp_path_factory.mktemp("chosen"), **SEARCHED)


@pytest.fixture
def runner(folder: StudyFolder) -> Iterator[Runner]:
    with opened(StudyConfig.load(folder.root), folder, Listener(), InProcess()) as found:
        yield found


@pytest.fixture(scope="module")
def decision(folder: StudyFolder) -> SearchDecision:
    return search.run(StudyConfig.load(folder.root), folder, Listener(), InProcess())


def plain(runner: Runner, mixture: Mixture, replica: int = 0) -> TrainingRun:
    return runner.plan.alone(mixture, runner.plan.model, 12_000, 12_000, replica)


def test_a_run_reads_the_documents_of_the_highest_values(runner: Runner) -> None:
    chosen = chosen_documents(runner)
    assert chosen is not None and chosen.method == "dsir"
    even = Mixture.uniform(LANGUAGES)
    run, before = chosen.applied(plain(runner, even)), plain(runner, even)
    assert run.key != before.key
    for place, name in enumerate(LANGUAGES):
        mine = chosen.pool.source == place
        rows = chosen._rows(name, chosen._part(before, name), before.recipe.seed)
        assert chosen.values[rows].mean() > chosen.values[mine].mean()
        assert set(rows) <= set(np.flatnonzero(mine))
        (shard,) = (TokenShard.open(one) for one in run.shards[name])
        assert shard.documents == len(rows)
        wanted = before.recipe.tokens / len(LANGUAGES)
        assert int(chosen.pool.length[rows].sum()) == pytest.approx(wanted, rel=0.1)


def test_choices_repeat_themselves_and_differ_from_seed_to_seed(runner: Runner) -> None:
    chosen = ChosenDocuments.of(runner, "dsir")
    even = Mixture.uniform(LANGUAGES)
    first, again, other = (chosen.applied(plain(runner, even, replica)) for replica in (0, 0, 1))
    assert first.content == again.content
    assert first.content != other.content


def test_a_source_that_is_read_whole_stays_as_it_is(runner: Runner) -> None:
    chosen = ChosenDocuments.of(runner, "dsir")
    alone = plain(runner, Mixture.vertex(LANGUAGES, "ka"))
    assert alone.recipe.tokens > runner.plan.material.tokens("ka")
    assert chosen.applied(alone) == alone


def test_only_duet_chooses_unless_it_is_asked_for(runner: Runner, tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    found = []
    for changes in (
        {"method": "duet"},
        {"method": "random"},
        {"method": "random", "document_values": "dsir"},
    ):
        config = StudyConfig.load(folder.root).searching(changes)
        with opened(config, folder, Listener(), InProcess()) as other:
            chosen = chosen_documents(other)
            found.append(chosen.method if chosen else None)
    assert found == [BY_DEFAULT, None, "dsir"]
    config = StudyConfig.load(folder.root).searching({"document_values": "dsri"})
    with opened(config, folder, Listener(), InProcess()) as other, pytest.raises(ConfigError, match="dsir"):
        chosen_documents(other)


def test_a_study_file_of_before_the_key_keeps_its_digest(tmp_path: Path) -> None:
    config = StudyConfig.load(write_study(tmp_path).root)
    assert config.searching({"document_values": "dsir"}).digest != config.digest
    assert "document_values" not in str(config.searching({}).digest)


def test_the_answer_says_that_documents_were_chosen_and_names_them(
    decision: SearchDecision, folder: StudyFolder, runner: Runner
) -> None:
    assert decision.document_values == "dsir"
    assert any("chosen by their values (dsir)" in line for line in decision.headline)
    assert decision.objections()
    table = pq.read_table(folder.search_documents)
    chosen = ChosenDocuments.of(runner, "dsir")
    known = {chosen.pool.id_of(row) for row in range(len(chosen.pool))}
    assert set(table.column("id").to_pylist()) <= known
    used = {entry.source for entry in decision.mixture if entry.share > 0}
    assert set(table.column("source").to_pylist()) == used
    assert SearchDecision.from_json(decision.as_json()) == decision


def test_a_check_trains_the_pick_on_chosen_documents_and_baselines_on_any(
    decision: SearchDecision, runner: Runner
) -> None:
    checking = checking_of(runner, decision)
    pick, uniform = checking.pick, Mixture.uniform(LANGUAGES)
    parameters, tokens = decision.largest
    base = runner.plan.alone(pick, runner.plan.built(parameters), tokens, tokens, 7)
    assert checking.run(pick, 7).key == ChosenDocuments.of(runner, "dsir").applied(base).key
    if uniform.key != pick.key:
        other = runner.plan.alone(uniform, runner.plan.built(parameters), tokens, tokens, 7)
        assert checking.run(uniform, 7).key == other.key
