"""``cuvee value`` and ``cuvee select`` on a real study of some seconds."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.interval import Interval
from cuvee.decisions.value.decision import Valuation
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.simulate.table import read_table
from cuvee.flows.value import flow
from cuvee.flows.value.buying import buy
from cuvee.flows.value.outlook import outlook
from cuvee.flows.value.question import ValueQuestion
from cuvee.flows.value.retraining import EVERYTHING
from cuvee.flows.value.selecting import SelectionRequest, keep
from cuvee.flows.value.tracing import trace
from cuvee.flows.value.value_table import read_values, write_values
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.report.reports import write_reports
from cuvee.runs.roles import SELECTED
from cuvee.runs.store import RunStore
from cuvee.sources.split import EVAL
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.valuations import read_valuations
from cuvee.valuation.document_table import DocumentTable
from tests.study.tiny_study import LANGUAGES, Listener, change_study, hashes, texts, write_study, write_texts

HOSTILE = "<script>alert(1)</script> \u202e turned"
QUESTION = ValueQuestion("evaluations.ka", ("in_run", "dsir"), sources=True, retrain=0.25, seeds=2)


def prepared(root: Path) -> StudyFolder:
    """Four languages, a document of a hostile author among them."""
    folder = write_study(root)
    documents = texts("lo")
    write_texts(root / "text" / "lo.jsonl", [*documents, *(f"{HOSTILE} {one}" for one in documents[:20])])
    return folder


def valued(folder: StudyFolder, question: ValueQuestion = QUESTION) -> Valuation:
    return flow.run(StudyConfig.load(folder.root), folder, question, Listener(), InProcess())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Valuation]:
    folder = prepared(tmp_path_factory.mktemp("valued"))
    answer = valued(folder)
    write_reports(answer, folder.valued("ka"))
    return folder, answer


def test_the_targets_own_source_is_worth_most_by_every_method(study: tuple[StudyFolder, Valuation]) -> None:
    _, answer = study
    assert [one.method for one in answer.methods] == ["in_run", "dsir", "random"]
    for method in answer.methods[:2]:
        best = max(method.sources, key=lambda one: one.value.mean)
        assert best.source == "ka"
        assert best.value.low <= best.value.mean <= best.value.high
        assert {one.source for one in method.best} == {"ka"}
    for game in answer.games:
        assert game.coalitions == 2 ** len(LANGUAGES)
        assert max(game.players, key=lambda one: one.shapley.mean).source == "ka"
        assert max(game.players, key=lambda one: one.left_out.mean).source == "ka"
    assert max(answer.mixture, key=lambda one: one.share).source == "ka"


def test_shapley_values_of_sources_sum_to_what_all_gain(study: tuple[StudyFolder, Valuation]) -> None:
    _, answer = study
    by = {game.by: sum(one.shapley.mean for one in game.players) for game in answer.games}
    assert {"merge", "ensemble"} <= set(by)
    assert all(np.isfinite(one) for one in by.values())


def test_retraining_says_what_values_are_worth(study: tuple[StudyFolder, Valuation]) -> None:
    folder, answer = study
    assert answer.retraining is not None
    arms = {one.name: one for one in answer.retraining.arms}
    assert set(arms) == {"in_run", "dsir", "random", EVERYTHING}
    assert len({one.tokens for one in arms.values()}) == 1
    assert arms["dsir"].to_random.high < 0.0  # four invented languages: no harder than that
    assert np.isnan(arms["random"].to_random.mean)
    assert answer.verdict.standing == "confirmed"
    with RunStore(folder.store) as store:
        assert len(store.runs(role=SELECTED)) == 2 * len(arms)


def test_trainings_on_selections_are_no_runs_of_a_simulation(study: tuple[StudyFolder, Valuation]) -> None:
    folder, _ = study
    roles = set(read_table([folder.root], {}).observations.role)
    assert roles
    assert SELECTED not in roles


def test_the_same_question_gives_the_same_bytes_and_makes_nothing_again(
    study: tuple[StudyFolder, Valuation],
) -> None:
    folder, answer = study
    before = hashes(folder.checkpoints)
    listener = Listener()
    again = flow.run(StudyConfig.load(folder.root), folder, QUESTION, listener, InProcess())
    assert again == answer
    assert hashes(folder.checkpoints) == before
    assert not any("training" in one for one in listener.stages)
    assert Valuation.from_json(json.loads(json.dumps(answer.as_json()))) == answer


@pytest.mark.slow
def test_the_same_text_elsewhere_gives_the_same_values(
    study: tuple[StudyFolder, Valuation], tmp_path: Path
) -> None:
    _, answer = study
    elsewhere = valued(prepared(tmp_path))
    assert elsewhere.methods == answer.methods
    assert elsewhere.retraining == answer.retraining


def test_values_lie_beside_the_page_one_row_a_document(study: tuple[StudyFolder, Valuation]) -> None:
    folder, answer = study
    table = pq.read_table(folder.valued("ka") / "values.parquet")
    assert table.column_names == ["id", "source", "tokens", "in_run", "dsir", "random"]
    assert table.num_rows == answer.documents
    assert len(set(table.column("id").to_pylist())) == answer.documents
    best = answer.methods[0].best[0]
    row = table.column("id").to_pylist().index(best.id)
    assert table.column("in_run")[row].as_py() == best.value


def test_values_of_earlier_methods_stay_while_documents_do(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(iter(texts("ka")), 300, tmp_path / "tokenizer")
    file, pool = tmp_path / "values.parquet", DocumentTable.of_texts(texts("ka"), tokenizer)
    first, second = np.arange(len(pool), dtype=np.float64), np.full(len(pool), np.nan)
    write_values(file, pool, {"dsir": first}, {"dsir": "nats"})
    write_values(file, pool, {"in_run": second + 1}, {"in_run": "nats"})
    np.testing.assert_array_equal(read_values(file, pool, "dsir"), first)
    assert np.isnan(read_values(file, pool, "in_run")).all()
    fewer = pool.select(np.arange(10))
    with pytest.raises(ConfigError, match="other documents"):
        read_values(file, fewer, "dsir")
    write_values(file, fewer, {"in_run": first[:10]}, {"in_run": "nats"})
    with pytest.raises(ConfigError, match="no values by 'dsir'"):
        read_values(file, fewer, "dsir")


def test_reports_are_written_again_and_a_damaged_answer_is_named(
    study: tuple[StudyFolder, Valuation],
) -> None:
    folder, answer = study
    page = folder.valued("ka") / "value.html"
    before = page.read_bytes()
    page.unlink()
    assert CliRunner().invoke(app, ["report", str(folder.root)]).exit_code == 0
    assert page.read_bytes() == before
    assert list(read_valuations(folder).values()) == [answer]
    file = folder.valued("ka") / "value.json"
    whole = file.read_text()
    file.write_text(whole.replace("in_run", "in_ran"))
    broken = CliRunner().invoke(app, ["report", str(folder.root)])
    file.write_text(whole)
    assert broken.exit_code == 2
    assert "value.json" in broken.stderr and "`cuvee value` writes it again" in broken.stderr


def test_hostile_text_cannot_script_the_page(study: tuple[StudyFolder, Valuation]) -> None:
    folder, answer = study
    first = answer.methods[0]
    shown = replace(first, best=(replace(first.best[0], text=HOSTILE, id="<b>x</b>"), *first.best[1:]))
    paths = write_reports(replace(answer, methods=(shown, *answer.methods[1:])), folder.root / "hostile")
    page = paths[0].read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    assert "<b>x</b>" not in page


@pytest.mark.parametrize(
    ("interval", "standing"),
    [
        (Interval(-0.1, -0.2, -0.01), "confirmed"),
        (Interval(0.1, 0.01, 0.2), "refuted"),
        (Interval(-0.1, -0.3, 0.1), "not confirmed"),
    ],
)
def test_the_verdict_is_of_the_first_methods_selection(
    study: tuple[StudyFolder, Valuation], interval: Interval, standing: str
) -> None:
    _, answer = study
    assert answer.retraining is not None
    arms = tuple(
        replace(one, to_random=interval if one.name == "in_run" else Interval())
        for one in answer.retraining.arms
    )
    judged = replace(answer, retraining=replace(answer.retraining, arms=arms)).judged()
    assert judged.verdict.standing == standing
    assert replace(answer, retraining=None).judged().verdict.standing == "not checked"


def test_a_selection_becomes_a_source_that_is_valued_like_others(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    question = ValueQuestion("ka", ("dsir",))
    valued(folder, question)
    config, file = StudyConfig.load(folder.root), folder.root / "study.yaml"
    request = SelectionRequest("picked", "ka", "dsir", 3000)
    kept = keep(config, folder, file, request, Listener(), InProcess())
    assert kept.tokens <= 3000
    assert set(kept.sources) == {"ka"}
    lines = [json.loads(one) for one in Path(kept.file).read_text(encoding="utf-8").splitlines()]
    assert len(lines) == kept.documents
    assert {one["text"] for one in lines} <= set(texts("ka"))
    changed = StudyConfig.load(folder.root)
    assert changed.sources["picked"].selected_from == ("ka",)
    assert "picked" not in changed.evaluation_sets
    assert list((folder.root / "study_files").iterdir())  # as it was before
    with pytest.raises(ConfigError, match="is there already"):
        keep(changed, folder, file, request, Listener(), InProcess())
    sources = {one.source: one.value.mean for one in valued(folder, question).methods[0].sources}
    assert max(sources, key=sources.__getitem__) == "picked"


def test_a_second_selection_keeps_no_document_twice_and_loses_none(tmp_path: Path) -> None:
    folder, file = prepared(tmp_path), tmp_path / "study.yaml"
    question = ValueQuestion("ka", ("dsir",), retrain=0.25, seeds=2)
    for name in ("one", "two"):
        valued(folder, replace(question, retrain=0.0))
        request = SelectionRequest(name, "ka", "dsir", 3000)
        kept = keep(StudyConfig.load(folder.root), folder, file, request, Listener(), InProcess())
        lines = [
            json.loads(line)["text"] for line in Path(kept.file).read_text(encoding="utf-8").splitlines()
        ]
        assert len(set(lines)) == len(lines) == kept.documents
    answer = valued(folder, question)
    rows = {one.source: one for one in answer.methods[0].sources}
    assert rows["two"].documents == kept.documents  # though most of them stand in "one" as well
    assert answer.retraining is not None
    everything = next(one for one in answer.retraining.arms if one.name == EVERYTHING)
    assert everything.documents == sum(rows[name].documents for name in LANGUAGES)


def test_a_selection_never_trains_on_what_its_origin_holds_out_later(tmp_path: Path) -> None:
    folder, file = prepared(tmp_path), tmp_path / "study.yaml"
    question = ValueQuestion("ka", ("dsir",))
    valued(folder, question)
    request = SelectionRequest("picked", "ka", "dsir", 6000)
    kept = keep(StudyConfig.load(folder.root), folder, file, request, Listener(), InProcess())
    file.write_text(file.read_text().replace("evaluation: 0.1", "evaluation: 0.4"))
    config, listener = StudyConfig.load(folder.root), Listener()
    with opened(config, folder, listener, InProcess()) as runner:
        corpus = runner.plan.material.corpus
        held_out = {one.text for name in LANGUAGES for one in corpus.documents(name, EVAL)}
        trained = [one.text for one in corpus.documents("picked", "unit-0")]
    assert 0 < len(trained) < kept.documents
    assert not held_out & set(trained)
    assert any("'picked' are also in evaluation 'ka': left out" in one for one in listener.said)


@pytest.mark.parametrize("name", ["../../../out", "a/b", "rows", "shards", "..", "w" * 200, "a b-c.d"])
def test_values_for_any_target_lie_in_a_folder_of_their_own(tmp_path: Path, name: str) -> None:
    folder = StudyFolder(tmp_path / "study")
    place = folder.valued(name).resolve()
    assert place.parent == folder.valuation.resolve()
    assert place.name not in ("rows", "shards")
    assert len(place.name.encode()) < 200
    assert place != folder.valued(f"{name}.").resolve()


def test_trainings_are_not_judged_by_the_one_document_that_documents_were_valued_for(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    write_texts(tmp_path / "wanted.jsonl", texts("ka", documents=1, seed=3))
    change_study(folder, evaluations={"wanted": {"paths": "wanted.jsonl"}})
    assert valued(folder, ValueQuestion("wanted", ("dsir",))).target_documents == 1
    with pytest.raises(ConfigError, match="has one document"):
        valued(folder, ValueQuestion("wanted", ("dsir",), retrain=0.25))


def test_the_command_asks_the_same_and_runs_nothing_else() -> None:
    question = ValueQuestion("$(reboot) it's", ("lava", "dsir"), sources=True, retrain=0.25, seeds=2)
    assert shlex.split(question.command) == [
        *("cuvee", "value", "study.yaml", "--target", "$(reboot) it's", "--method", "lava"),
        *("--method", "dsir", "--sources", "--retrain", "0.25", "--seeds", "2"),
    ]


def test_copies_are_dropped_and_what_is_kept_can_be_unlike_each_other(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    documents = texts("ka")
    write_texts(tmp_path / "text" / "ka.jsonl", [*documents, *(f"{one} ." for one in documents)])
    valued(folder, ValueQuestion("ka", ("dsir",)))
    config, file = StudyConfig.load(folder.root), folder.root / "study.yaml"
    kept = {}
    for name, changes in (
        ("plain", {}),
        ("once", {"drop_copies": 0.3}),
        ("spread", {"gate": 0.5, "diversify": True}),
    ):
        request = SelectionRequest(name, "ka", "dsir", 3000, **changes)  # type: ignore[arg-type]
        before = file.read_text()
        found = keep(config, folder, file, request, Listener(), InProcess())
        file.write_text(before)  # the next one selects from the same pool
        lines = Path(found.file).read_text(encoding="utf-8").splitlines()
        kept[name] = [json.loads(one)["text"].removesuffix(" .") for one in lines]
        assert found.tokens <= 3000
    assert len(set(kept["plain"])) < len(kept["plain"])
    assert len(set(kept["once"])) > len(set(kept["plain"]))
    assert sorted(kept["spread"]) != sorted(kept["plain"])


@pytest.mark.parametrize("name", ["", " ", "a/b", "../up", ".hidden", "w" * 300, "a\nb", "\udcff", "\u202e"])
def test_a_selection_has_the_name_of_a_file(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no name of a source|too long|remove it"):
        SelectionRequest(name, "ka", "dsir", 3000)


def test_a_budget_without_end_is_refused(study: tuple[StudyFolder, Valuation]) -> None:
    select = ["select", "picked", "--target", "ka", "--budget", "inf", "--study", str(study[0].root)]
    refused = CliRunner().invoke(app, select)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_distances_of_mixtures_become_a_law_of_a_table_of_runs(tmp_path: Path) -> None:
    pytest.importorskip("ot")
    folder = prepared(tmp_path)
    value = ["value", "--target", "ka", "--method", "projektor", str(folder.root)]
    asked = CliRunner().invoke(app, value)
    assert asked.exit_code == 0, asked.output
    file = folder.valued("ka") / "transport.json"
    assert str(file) in asked.stderr
    planes = TransportPlanes.read(file)
    assert planes.target == "ka"
    shares = np.random.default_rng(0).dirichlet(np.ones(len(LANGUAGES)), 24)
    losses = 1.0 + planes.over(LANGUAGES).distances(shares) * (1.0 + shares[:, 0])
    head = ",".join((*(f"w:{name}" for name in LANGUAGES), "m:ka_loss"))
    rows = [",".join(f"{one:.9f}" for one in (*row, loss)) for row, loss in zip(shares, losses, strict=True)]
    table, out = tmp_path / "runs.csv", tmp_path / "fit"
    table.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    fitted = CliRunner().invoke(app, ["fit", str(table), "--transport", str(file), "--out", str(out)])
    assert fitted.exit_code == 0, fitted.output
    r2 = {row["law"]: row["r_squared"] for row in json.loads((out / "fit.json").read_text())["laws"]}
    assert r2["projektor"] > max(0.95, r2["linear"])
    again = CliRunner().invoke(app, ["optimise", str(out), "--law", "projektor", "--cap", "ka=0.5"])
    assert again.exit_code == 0, again.output
    assert json.loads((out / "law.json").read_text())["law"] == "projektor"
    other = CliRunner().invoke(app, ["fit", str(table), "--law", "projektor", "--out", str(out)])
    assert other.exit_code == 2
    assert "give it with --transport" in other.stderr


@pytest.mark.slow
def test_the_commands_value_and_select(tmp_path: Path) -> None:
    study = str(prepared(tmp_path).root)
    asked = CliRunner().invoke(app, ["value", "--target", "ka", "--method", "dsir", study])
    assert asked.exit_code == 0, asked.output
    assert "verdict: not checked" in asked.stdout
    select = ["select", "picked", "--target", "ka", "--method", "dsir", "--budget", "3000", "--study", study]
    made = CliRunner().invoke(app, [*select, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["tokens"] <= 3000
    again = CliRunner().invoke(app, select)
    assert again.exit_code == 2
    assert "is there already" in again.stderr


def test_what_cannot_be_asked_is_refused_in_words(
    study: tuple[StudyFolder, Valuation], tmp_path: Path
) -> None:
    folder, _ = study
    with pytest.raises(ConfigError, match=r"no such evaluation; it has ka, lo, mi, nu$"):
        valued(folder, ValueQuestion("zu", ("dsir",)))
    with pytest.raises(ConfigError, match="method of valuation"):
        valued(folder, ValueQuestion("ka", ("lava2",)))
    with pytest.raises(ConfigError, match="at least one method"):
        ValueQuestion("ka", ())
    with pytest.raises(ConfigError, match="say 0\\.25 for 25 percent"):
        ValueQuestion("ka", ("dsir",), retrain=25)
    with pytest.raises(ConfigError, match="no noise"):
        ValueQuestion("ka", ("dsir",), retrain=0.25, seeds=1)
    with pytest.raises(ConfigError, match="less than a batch"):
        valued(folder, ValueQuestion("ka", ("dsir",), retrain=0.01))


def test_the_price_is_known_before(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    config = StudyConfig.load(folder.root)
    ahead = outlook(config, folder, Listener(), InProcess(), question=QUESTION)
    rows = {row.title: row for row in ahead.rows}
    assert list(rows) == ["the seed model", "the pool", "selections", "in-run values"]
    assert rows["selections"].runs == 2 * 4  # two methods, random documents and all of them
    assert rows["in-run values"].runs == 1
    assert all(row.left == row.runs for row in ahead.rows)
    assert ahead.flops > 0 and ahead.hours_left > 0
    assert not list(folder.checkpoints.glob("*"))
    with pytest.raises(ConfigError, match="no such evaluation"):
        outlook(config, folder, Listener(), InProcess(), question=ValueQuestion("zu", ("dsir",)))


def test_offers_like_the_target_are_bought_first(
    study: tuple[StudyFolder, Valuation], tmp_path: Path
) -> None:
    folder, _ = study
    change_study(folder, target_run={"tokens": 100_000})
    rows = []
    for seller, language in (("near", "ka"), ("far", "nu")):
        write_texts(tmp_path / f"{seller}.jsonl", texts(language, documents=12, seed=9))
        rows.append(
            {"seller": seller, "sample": f"{seller}.jsonl", "tokens": 50_000.0, "price_per_million": 1000.0}
        )
    offers = tmp_path / "offers.yaml"
    offers.write_text(yaml.safe_dump({"offers": rows}))
    config = StudyConfig.load(folder.root)
    found = buy(config, folder, offers, "ka", "dsir", 30.0, Listener(), InProcess())
    bought = {one.seller: one for one in found.purchases.rows}
    assert bought["near"].tokens > bought["far"].tokens
    assert found.purchases.price <= 30.0
    assert all(one.price <= 30.0 for one in found.baselines)
    assert max(one.utility for one in found.baselines) <= found.purchases.utility + 1e-9
    write_texts(tmp_path / "far.jsonl", texts("ka"))  # the study's own text, what is held out among it
    listener = Listener()
    buy(config, folder, offers, "ka", "dsir", 30.0, listener, InProcess())
    said = [one for one in listener.said if one.startswith("seller")]
    assert len(said) == 1
    assert "'far': 6 of 60 documents of its sample stand in evaluation 'ka'" in said[0]
    change_study(folder)
    config = StudyConfig.load(folder.root)
    with pytest.raises(ConfigError, match=r"target_run\.tokens is missing"):
        buy(config, folder, offers, "ka", "dsir", 30.0, Listener(), InProcess())


@pytest.mark.slow
def test_no_document_moves_the_cursor_of_a_terminal(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    write_texts(tmp_path / "text" / "ka.jsonl", [f"\x1b[2J {one}" for one in texts("ka")])
    traced = CliRunner().invoke(app, ["trace", str(folder.root), texts("ka")[3].split(".")[0]])
    assert traced.exit_code == 0, traced.output
    assert "[2J" in traced.stdout
    assert "\x1b[2J" not in traced.stdout


def test_a_claim_finds_the_document_that_holds_it(study: tuple[StudyFolder, Valuation]) -> None:
    folder, _ = study
    config = StudyConfig.load(folder.root)
    pool = texts("mi")
    claim = pool[7].split(".")[0]
    found = trace(config, folder, claim, Listener(), InProcess())
    assert not found.judged
    assert found.by_words[0].source == "mi"
    assert found.supports[0].source == "mi"
    with pytest.raises(ConfigError, match="no word"):
        trace(config, folder, "...", Listener(), InProcess())
