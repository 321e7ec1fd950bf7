"""``cuvee.open`` on a study that was really trained (an old one, with three answers) and on a fit."""

import html.parser
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import cuvee
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.interval import Interval
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError, MixtureError, StoreError
from cuvee.laws.interface import Scale
from cuvee.mixture.mixture import Mixture
from cuvee.notebook import FittedToRuns, Opened, OpenedFit, OpenedStudy
from cuvee.runs.observations import Observations
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from tests.study.tiny_study import Listener, hashes, run, timeless, write_study
from tests.test_fixtures import LANGUAGES, Trained, nothing_is_trained_again, unpacked

HOSTILE = '<script>alert("x")</script>\u202e'
"""A name that would be a program, and turn the direction of what follows."""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("answered", tmp_path_factory.mktemp("opened"))


@pytest.fixture(scope="module")
def study(answered: Path) -> OpenedStudy:
    found = cuvee.open(answered)
    assert isinstance(found, OpenedStudy)
    return found


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> OpenedFit:
    found = cuvee.open(unpacked("fit", tmp_path_factory.mktemp("opened")))
    assert isinstance(found, OpenedFit)
    return found


class Tags(html.parser.HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def shown(value: object) -> str:
    """The text of what a notebook shows, in which nothing but plain tables may stand."""
    parsed = Tags(value._repr_html_())  # type: ignore[attr-defined]
    assert parsed.tags <= {"div", "b", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "\u202e" not in parsed.text
    return parsed.text


# What lies there


def test_a_study_opens_by_its_folder_and_by_its_file(answered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(answered)
    for path in (answered, str(answered), answered / "study.yaml", "."):
        opened = cuvee.open(path)
        assert isinstance(opened, OpenedStudy) and opened.root == answered
        assert opened.config.digest == StudyConfig.load(answered).digest


def test_a_study_holds_its_decisions_by_name(study: OpenedStudy) -> None:
    kinds = {flow: type(decision) for flow, decision in study.decisions.items()}
    assert kinds == {"run": Decision, "search": SearchDecision, "scale": ScaleDecision}
    assert study.answers.preferred is not None and study.answers.preferred.flow == "scale"
    assert study.decision == study.decisions["scale"]
    assert study.config.name == study.decisions["run"].study


def test_the_confirmed_answer_is_preferred_and_of_equal_ones_the_first(study: OpenedStudy) -> None:
    answers = study.answers
    confirmed = replace(answers.found[0].verdict, standing="confirmed")
    better = replace(answers, found=(replace(answers.found[0], verdict=confirmed), *answers.found[1:]))
    assert better.preferred is better.found[0]
    refuted = replace(confirmed, standing="refuted")
    worse = replace(answers, found=tuple(replace(one, verdict=refuted) for one in answers.found))
    assert worse.preferred is worse.found[0]
    assert replace(answers, found=()).preferred is None
    stale = replace(answers, outdated={"scale": "another study file"})
    assert stale.preferred is not None and stale.preferred.flow != "scale"


def test_a_damaged_answer_is_named(answered: Path, tmp_path: Path) -> None:
    root = unpacked("answered", tmp_path)
    (root / "scale.json").write_text("{")
    opened = cuvee.open(root)
    with pytest.raises(ConfigError, match=r"scale\.json.*`cuvee scale` writes it again"):
        _ = opened.decisions
    with pytest.raises(ConfigError, match=r"scale\.json.*`cuvee scale` writes it again"):
        _ = opened.decision  # the damaged one might be the one to take
    assert "scale.json" in opened._repr_html_()
    for name in ("search.json", "decision.json"):
        (root / name).write_text("{")
    with pytest.raises(ConfigError, match=r"decision\.json"):
        _ = opened.decision


def test_a_fit_opens_by_its_folder_and_by_its_answer(fitted: OpenedFit) -> None:
    again = cuvee.open(fitted.root / "fit.json")
    assert isinstance(again.decision, LawDecision)
    assert again.decisions == {"fit": fitted.decision}
    assert again.observations == fitted.observations and len(again.observations) == 24
    assert again.config == fitted.config


def test_where_nothing_lies_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"neither a study \(study.yaml\) nor a fit \(fit.json\)"):
            cuvee.open(path)
    folder = write_study(tmp_path / "new")
    opened = cuvee.open(folder.root)
    assert opened.decisions == {}
    for ask in ("decision", "observations"):
        with pytest.raises(ConfigError, match=r"`cuvee run .*` makes it"):
            getattr(opened, ask)
    assert "holds no answer yet" in shown(opened)
    assert not folder.store.exists(), "to look makes nothing"


# Observations


def test_observations_are_arrays_and_a_table(study: OpenedStudy) -> None:
    runs = study.observations
    assert runs.shares.shape == (len(runs), 3) and runs.values.shape == (len(runs), len(runs.metrics))
    table = runs.to_table()
    assert table.num_rows == len(runs) and table["w:ka"].to_pylist() == runs.shares[:, 0].tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_observations_are_a_frame_of_a_library_that_is_there(study: OpenedStudy, library: str) -> None:
    pytest.importorskip(library)
    runs = study.observations
    frame = getattr(runs, f"to_{library}")()
    assert list(frame.columns) == runs.to_table().column_names
    assert frame["w:ka"].to_list() == runs.shares[:, 0].tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_needs_its_library(study: OpenedStudy, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed
    with pytest.raises(ConfigError, match=f"{library} is not installed here"):
        getattr(study.observations, f"to_{library}")()


# Scores


def test_mixtures_are_scored_by_merge_and_ensemble(tmp_path: Path) -> None:
    """A merge of one branch, and an ensemble of it, is that branch: its measured loss is the known answer."""
    root = unpacked("answered", tmp_path)
    before, opened = Trained.of(root), cuvee.open(root)
    sheet = opened.score([{"mi": 1.0}, {"ka": 0.5, "lo": 0.5}, Mixture.uniform(LANGUAGES)])
    nothing_is_trained_again(before, root)
    assert set(sheet.losses) == {"merge", "ensemble", "merge, own curve", "ensemble, own curve"}
    runs = opened.observations.where(kind="trained", role="branch")
    names = [f"nats_per_token/{name}" for name in sheet.evaluations]
    found = [[runs.metric(name)[row] for name in names] for row in np.flatnonzero(runs.shares[:, 2] == 1.0)]
    for proxy in ("merge", "ensemble"):
        assert any(np.allclose(sheet.losses[proxy][0], losses, rtol=1e-6) for losses in found)
        assert sheet.target[proxy] == pytest.approx(sheet.losses[proxy] @ sheet.weights)
    assert np.all(sheet.losses["merge"][1] != sheet.losses["merge"][2])

    # What was scored is kept, and read again.
    kept = len(opened.observations)
    again = opened.score({"mi": 1.0}, by="merge")
    assert set(again.losses) == {"merge", "merge, own curve"}
    assert again.losses["merge"].tolist() == sheet.losses["merge"][:1].tolist()
    assert len(opened.observations) == kept
    text = shown(again)
    assert "100.0%" in text and "nothing was trained" in text


@pytest.mark.slow  # a study is trained
def test_scores_that_were_asked_for_change_no_answer(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    before = run(folder)
    checkpoints = hashes(folder.checkpoints)
    cuvee.open(folder.root).score({"ka": 0.31, "lo": 0.69})
    listener = Listener()
    assert timeless(run(folder, listener)) == timeless(before)
    assert hashes(folder.checkpoints) == checkpoints


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"prose": 1.0}, "no source 'prose'; there are: ka, lo, mi"),
        ({"ka": 0.5}, "sum to 0.5"),
        ({"ka": 1.5, "lo": -0.5}, "lo"),
        ([], "no mixture is given"),
        ([0.5, 0.5], "give shares by name"),
        ("ka", "give shares by name"),
    ],
)
def test_what_is_no_mixture_is_refused(study: OpenedStudy, asked: Mapping[str, float], wrong: str) -> None:
    with pytest.raises(MixtureError, match=wrong):
        study.score(asked)


def test_scores_need_a_pool_that_is_trained(study: OpenedStudy, fitted: OpenedFit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a pool scores by merge or ensemble"):
        study.score({"ka": 1.0}, by="median")  # type: ignore[arg-type]
    folder = write_study(tmp_path / "new")
    with pytest.raises(ConfigError, match="no model of the pool is trained; `cuvee run"):
        cuvee.open(folder.root).score({"ka": 1.0})
    assert not folder.shards.exists() and not folder.store.exists()
    killed = unpacked("killed", tmp_path)
    before = Trained.of(killed)
    with pytest.raises(ConfigError, match="the branch of lo is not there as planned now"):
        cuvee.open(killed).score({"ka": 1.0})
    nothing_is_trained_again(before, killed)
    with pytest.raises(ConfigError, match="a fit has no pool"):
        fitted.score({"code": 1.0})


def test_scores_wait_for_nobody(study: OpenedStudy) -> None:
    with study.folder.locked(), pytest.raises(StoreError, match="another cuvee works on this study"):
        study.score({"ka": 1.0})


# Laws


def test_a_law_of_a_fit_has_the_optimum_of_its_answer(fitted: OpenedFit) -> None:
    law, decision = fitted.fit(), fitted.decision
    assert isinstance(law, FittedToRuns) and decision.law == law.law == "effective_data"
    best = law.optimum()
    pick = {entry.source: entry.share for entry in decision.mixture}
    assert best.mixture.as_dict() == pytest.approx(pick, abs=1e-3)
    assert best.gap < 1e-4
    predicted = law.predict([pick, best.mixture], level=decision.confidence)
    for column, metric in enumerate(decision.metrics):
        said: Interval = metric.predicted["pick"]
        assert predicted.values.mean[0, column] == pytest.approx(said.mean, abs=1e-3)
        assert predicted.values.low[0, column] < said.mean < predicted.values.high[0, column]
    assert law.held_out.spearman() == pytest.approx([1.0, 1.0], abs=0.02)
    assert law.on == "24 imported runs, 10.0M parameters, 1.00B tokens"
    assert law.on in shown(law) and law.on in shown(predicted)
    assert "rank correlation" in shown(law) and "intervals of 80%" in shown(predicted)


def test_a_fit_refuses_no_runs(fitted: OpenedFit) -> None:
    with pytest.raises(ConfigError, match="no runs to fit a law to"):
        fitted.fit(runs=fitted.observations.select([]))


def test_a_law_of_a_study_is_fitted_to_its_references(study: OpenedStudy) -> None:
    law = study.fit(law="linear")
    assert law.on == "5 trained runs (4 reference, 1 replicate), 10.0k parameters, 5.12k tokens"
    assert law.surrogate.data.sources == LANGUAGES
    assert law.surrogate.data.metrics[0].startswith("nats_per_token/")
    assert law.region().contains(law.optimum().mixture, 1e-6)
    merged = study.observations.where(kind="merged", role="candidate")
    assert study.fit("linear", merged).on.startswith(f"{len(merged)} merged runs")


def of_two_sizes(runs: Observations) -> Observations:
    references = runs.where(kind="trained", role="reference")
    return references + runs.where(kind="trained", role="seed")


@pytest.mark.parametrize(
    ("choice", "wrong"),
    [
        (lambda runs: runs, "runs of one kind, these are .* trained, .* merged"),
        (lambda runs: runs.where(role="nothing"), "no runs to fit a law to"),
        (of_two_sizes, "tokens, and a law of mixtures is fitted at one size"),
    ],
)
def test_runs_that_are_not_alike_are_refused(study: OpenedStudy, choice: object, wrong: str) -> None:
    runs = choice(study.observations)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=wrong):
        study.fit(runs=runs)


def test_more_that_is_not_alike_is_refused(study: OpenedStudy) -> None:
    runs = study.observations.where(kind="trained", role=("reference", "replicate"))
    ((row, *_),) = [np.flatnonzero(np.array(runs.role) == "replicate")]
    fresh = replace(runs, role=tuple("fresh" if i == row else role for i, role in enumerate(runs.role)))
    with pytest.raises(ConfigError, match="documents that no choice has seen"):
        study.fit(runs=fresh)
    united = replace(runs, estimand=("union", *runs.estimand[1:]))
    with pytest.raises(ConfigError, match="one estimand, these are 1 union, 4 equal_budget"):
        study.fit(runs=united)
    twice = runs + replace(runs.select([0]), keys=("measured again",))
    with pytest.raises(ConfigError, match="one mixture, size and seed"):
        study.fit(runs=twice)
    other = replace(runs, sources=("old", *runs.sources[1:]))
    with pytest.raises(MixtureError, match=r"reads 'old', which is no source of the pool \(ka, lo, mi\)"):
        study.fit(runs=other)
    with pytest.raises(ConfigError, match=r"no law 'efective_data'.*did you mean"):
        study.fit("efective_data")


def test_references_of_two_recipes_are_not_mixed(tmp_path: Path) -> None:
    root = unpacked("answered", tmp_path)
    with RunStore(root / "store.sqlite") as store:
        first, *_ = store.runs(kind="trained", role="reference")
        store.add(replace(first, key="another", seed=77, details=first.details | {"recipe": "another"}))
    with pytest.raises(ConfigError, match="trained by 2 recipes, as the study file changed"):
        cuvee.open(root).fit("linear")


def test_the_optimum_keeps_epoch_caps(tmp_path: Path) -> None:
    """Unique tokens that the study file does not say are those of the answer."""
    root = unpacked("answered", tmp_path)
    raw = yaml.safe_load((root / "study.yaml").read_text())
    opened = cuvee.open(root)
    unique = {one.source: one.unique_tokens for one in opened.decision.mixture}
    target = {"tokens": 3 * sum(unique.values()), "max_epochs": 3.3}
    (root / "study.yaml").write_text(yaml.safe_dump(raw | {"target_run": target}))
    region = cuvee.open(root).fit("linear").region()
    caps = [3.3 * unique[name] / target["tokens"] for name in region.names]
    assert region.upper.tolist() == pytest.approx(np.minimum(caps, 1.0).tolist())


def test_a_law_of_several_sizes_is_asked_at_one(fitted: OpenedFit) -> None:
    runs = fitted.observations
    tokens = np.where(np.arange(len(runs)) % 2, 5e8, 1e9)
    params = np.where(np.arange(len(runs)) % 3, 5e6, 1e7)
    law = fitted.fit("effective_data_scaling", replace(runs, tokens=tokens, params=params))
    assert "5.00M to 10.0M parameters" in law.on
    with pytest.raises(ConfigError, match="predicts at a size"):
        law.predict({"code": 1.0})
    with pytest.raises(ConfigError, match="predicts at a size"):
        law.optimum()
    assert np.isfinite(law.predict({"code": 1.0}, scale=Scale(1e7, 1e9)).values.mean).all()


# What a notebook shows


@pytest.mark.parametrize("flow", ["run", "search", "scale"])
def test_a_decision_shows_its_verdict_and_no_markup_of_others(study: OpenedStudy, flow: str) -> None:
    decision = study.decisions[flow]
    text = shown(decision)
    assert decision.verdict.title in text and decision.verdict.why in text
    first, *rest = decision.mixture
    assert f"{100 * first.share:.1f}" in text and f"{100 * first.low:.1f}" in text
    unknown = replace(decision, mixture=tuple(replace(one, low=np.nan) for one in decision.mixture))
    assert "nan" not in shown(unknown) and "–" in shown(unknown)
    said = replace(decision, headline=(HOSTILE,))
    if flow != "run":  # whose other parts name the sources, too
        said = replace(said, mixture=(replace(first, source=HOSTILE), *rest))
    spelt = '<script>alert("x")</script>\\u202e'
    assert shown(said).count(spelt) == (1 if flow == "run" else 2)


def test_an_opened_study_shows_its_decision(study: OpenedStudy, fitted: OpenedFit) -> None:
    for opened in (study, fitted):
        assert isinstance(opened, Opened)
        assert shown(opened) == shown(opened.decision)
        assert str(opened.root) in repr(opened)


def test_observations_show_a_few_rows(study: OpenedStudy) -> None:
    runs = study.observations
    text = shown(runs)
    assert repr(runs) in text and "more rows" in text
    hostile = HOSTILE.rstrip("\u202e")  # what turns text, no table of runs takes
    assert hostile in shown(replace(runs, sources=(hostile, *runs.sources[1:])))
    assert "0 sources" in shown(Observations.empty())


def test_open_is_found_when_it_is_asked_for() -> None:
    assert "open" in cuvee.__all__ and cuvee.open is not open
    with pytest.raises(AttributeError, match="'cuvee' has no attribute 'opne'"):
        _ = cuvee.opne
    assert os.fspath(Path(cuvee.__file__).parent).endswith("cuvee")


def test_a_law_is_asked_only_at_sizes_that_it_knows(fitted: OpenedFit) -> None:
    law = fitted.fit("joint_scaling")
    sources = fitted.observations.sources
    even = {name: 1.0 / len(sources) for name in sources}
    own = Scale(float(fitted.observations.params[0]), float(fitted.observations.tokens[0]))
    assert np.isfinite(law.predict(even, scale=own).values.mean).all()
    for scale in (Scale(1e12, 1e14), Scale(own.params, 1e14)):
        with pytest.raises(ConfigError, match="they say nothing of"):
            law.predict(even, scale=scale)
    for scale in (Scale(0.0, 0.0), Scale(-1.0, 5.0), Scale(math.inf, 1e9)):
        with pytest.raises(ConfigError, match="must be positive numbers"):
            law.optimum(scale)
    with pytest.raises(ConfigError, match="knows no sizes"):
        fitted.fit("effective_data").predict(even, scale=own)


def test_a_study_file_of_another_name_is_the_one_that_is_read(answered: Path, tmp_path: Path) -> None:
    root = unpacked("answered", tmp_path)
    settings = yaml.safe_load((root / "study.yaml").read_text())
    (root / "other.yaml").write_text(yaml.safe_dump(settings | {"name": "another"}))
    opened = cuvee.open(root / "other.yaml")
    assert isinstance(opened, OpenedStudy)
    assert opened.config.name == "another" and opened.root.samefile(root)
