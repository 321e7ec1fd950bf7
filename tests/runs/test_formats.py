"""Every format: small files of the real shapes, joined by names, with what is told and refused."""

import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.runs import ImportedTable, import_runs
from cuvee.runs.formats import FORMATS
from cuvee.runs.formats.direction import named_direction

RATIOS = """,run,name,index,dclm:health,dclm:games,wiki
0,hz0d,swarm-0000,0,0.1,0.2,0.7000000000000001
1,pj0h,swarm-0001,1,0.0,0.0,1.0
2,sqle,swarm-0002,2,0.5,0.25,0.25
"""
METRICS = """,run,name,index,arc_challenge:rc::olmes,eval/downstream/piqa (BPB v2)
0,hz0d,swarm-0000,0,1.51,0.81
1,pj0h,swarm-0001,1,1.52,0.82
2,sqle,swarm-0002,2,1.61,
"""
MIXTURES = "index,train_the_pile_arxiv,train_the_pile_pile_cc\n1,0.333,0.666\n2,1.0,0.0\n"
LOSSES = "index,metric/the_pile_arxiv_val_loss,metric/the_pile_pile_cc_val_loss\n2,1.2,4.2\n1,1.1,4.1\n"
EXPORT = """\
Name,ID,State,Created,_runtime,config.lr,mixture.web,mixture.code,eval/web/loss,eval/piqa,final_loss
good,a1,finished,2026-01-01,12,0.1,0.25,0.75,2.5,0.61,2.4
"late, better",a2,finished,2026-01-02,13,0.1,0.5,0.5,2.25,,2.3
died,a3,crashed,2026-01-03,1,0.1,,,NaN,,
going,a4,running,2026-01-04,2,0.1,1,0,3.0,0.5,3.5
"""
SHARES = "run,w:web,w:code,split\nr1,0.25,0.75,train\nr2,0.5,0.5,test\nr3,1,0,test\n"


def lines(text: str, order: Sequence[int]) -> str:
    header, *rows = text.splitlines()
    return "\n".join([header, *(rows[i] for i in order)]) + "\n"


def results(acc: float, **more: Any) -> str:
    return json.dumps(
        {
            "results": {
                "piqa": {
                    "alias": "piqa", "sample_len": 1838, "acc,none": acc, "acc_stderr,none": 0.01,
                    "exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": "N/A",
                },
                "lambada": {"alias": " - lambada", "perplexity,none": 20.5, "perplexity_stderr,none": "N/A"},
                "blimp": {" ": "", "score,none": 3.0},
            },
            "higher_is_better": {
                "piqa": {"acc": True, "exact_match": True},
                "lambada": {"perplexity": False},
            },
            "n-samples": {"piqa": {"original": 1838, "effective": 1838}},
            "config": {"model": "hf", "model_args": "pretrained=/a/b", "random_seed": 0},
            "model_name": "/models/any",
            **more,
        }
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, **files: str) -> list[Path]:
    """Write ``stem="text"`` as CSV, or as JSON where the text begins with a brace."""
    paths = []
    for stem, text in files.items():
        path = folder / f"{stem}{'.json' if text.startswith('{') else '.csv'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def test_the_table_names_every_format_once() -> None:
    assert sorted(known.name for known in FORMATS) == [
        "doremi",
        "lm_eval",
        "marked",
        "olmix",
        "regmix",
        "tidy",
        "wandb",
        "wandb_chart",
    ]


# --- Olmix ----------------------------------------------------------------------------------------------


def test_olmix_is_joined_by_run_in_any_order(folder: Path) -> None:
    straight = import_runs(put(folder, ratios=RATIOS, metrics=METRICS))
    seen = straight.observations
    assert (straight.format, straight.notes, straight.ignored) == ("olmix", (), ())
    assert seen.keys == ("hz0d", "pj0h", "sqle")
    assert seen.sources == ("dclm:health", "dclm:games", "wiki")
    np.testing.assert_array_equal(seen.values, [[1.51, 0.81], [1.52, 0.82], [1.61, np.nan]])
    # The values are bits per byte, but only one name says so; the other has to be asked for.
    assert straight.directions == {"eval/downstream/piqa (BPB v2)": "lower"}
    assert straight.unknown == ("arc_challenge:rc::olmes",)
    assert straight.labels["name"] == ("swarm-0000", "swarm-0001", "swarm-0002")
    for order in permutations(range(3)):
        shuffled = import_runs(put(folder, ratios=RATIOS, metrics=lines(METRICS, order)))
        assert shuffled.observations == seen


def test_olmix_files_are_told_apart_by_their_rows_where_names_do_not(folder: Path) -> None:
    named = import_runs(put(folder, ratios=RATIOS, metrics=METRICS))
    assert import_runs(put(folder, b=RATIOS, a=METRICS)) == named
    assert import_runs(put(folder, y=METRICS.replace(",run,", ",run_id,"), x=RATIOS)).observations.keys == (
        named.observations.keys
    )


def test_olmix_runs_of_one_file_only_are_told_and_left_out(folder: Path) -> None:
    metrics = METRICS.replace("pj0h", "else")
    table = import_runs(put(folder, ratios=RATIOS, metrics=metrics))
    assert table.observations.keys == ("hz0d", "sqle")
    np.testing.assert_array_equal(table.observations.values[:, 0], [1.51, 1.61])
    assert table.notes == (
        f"{folder / 'metrics.csv'}: 1 of 3 runs has no shares in {folder / 'ratios.csv'} and was left out:"
        " else.",
        f"{folder / 'ratios.csv'}: 1 of 3 runs has no metrics in {folder / 'metrics.csv'} and was left out:"
        " pj0h.",
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ratios": RATIOS}, "there are shares in .*ratios.csv, but no file has metrics"),
        ({"metrics": METRICS}, "there are metrics in .*metrics.csv, but no file has the shares"),
        (
            {
                "ratios": RATIOS,
                "metrics": METRICS.replace(",hz0d", ",x").replace("pj0h", "y").replace("sqle", "z"),
            },
            "no run of .*metrics.csv is in .* .by run.: there are metrics of x, y, z, and shares of hz0d",
        ),
        (
            {"ratios": RATIOS.replace("pj0h", "hz0d"), "metrics": METRICS},
            "ratios.csv, row 2: run 'hz0d' is already in row 1",
        ),
        (
            {"ratios": RATIOS, "metrics": METRICS.replace("sqle", "hz0d")},
            "metrics.csv, row 3: run 'hz0d' is already in row 1",
        ),
        ({"ratios": RATIOS.replace("pj0h", ""), "metrics": METRICS}, "row 2: run is empty"),
        ({"ratios": RATIOS.replace("0.25\n", "0.2\n"), "metrics": METRICS}, "row 3: shares .* sum to 0.95"),
        (
            {"ratios": RATIOS, "metrics": METRICS.replace("1.52", "oops")},
            "row 2, arc_.*: 'oops' is not a number",
        ),
    ],
)
def test_olmix_halves_and_cells_are_refused(folder: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_runs(put(folder, **files))


# --- RegMix ---------------------------------------------------------------------------------------------


def test_regmix_is_joined_by_index(folder: Path) -> None:
    table = import_runs(put(folder, train_mixture_1m=MIXTURES, train_pile_loss_1m=LOSSES))
    seen = table.observations
    assert (table.format, table.renormalised) == ("regmix", 1)
    assert seen.keys == ("train_1m_1", "train_1m_2")
    assert seen.mixtures()[0] == Mixture.normalised({"the_pile_arxiv": 0.333, "the_pile_pile_cc": 0.666})
    assert seen.metrics == ("the_pile_arxiv_val_loss", "the_pile_pile_cc_val_loss")
    np.testing.assert_array_equal(seen.values, [[1.1, 4.1], [1.2, 4.2]])
    assert set(table.directions.values()) == {"lower"} and not table.unknown
    assert table.labels == {"size": ("1m",) * 2, "split": ("train",) * 2, "index": ("1", "2")}


def test_regmix_sets_are_not_mixed_up(folder: Path) -> None:
    other = LOSSES.replace("1.1", "7.1").replace("1.2", "7.2").replace("\n2,", "\n2.0,")
    paths = put(
        folder,
        test_mixture_1m=MIXTURES,
        test_pile_loss_1m=other,
        train_pile_loss_1m=LOSSES,
        train_mixture_1m=MIXTURES,
    )
    for given in (paths, paths[::-1]):
        seen = import_runs(given).observations
        values = dict(zip(seen.keys, seen.values[:, 0].tolist(), strict=True))
        assert values == {"test_1m_1": 7.1, "test_1m_2": 7.2, "train_1m_1": 1.1, "train_1m_2": 1.2}


def test_regmix_files_of_other_names_are_joined_and_that_is_told(folder: Path) -> None:
    table = import_runs(put(folder, shares=MIXTURES, values=LOSSES))
    assert table.observations.keys == ("shares_1", "shares_2")
    assert "were joined by index; their names do not confirm it" in table.notes[0]
    assert import_runs(put(folder, mixture=MIXTURES, losses=LOSSES)).observations.keys == ("1", "2")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"test_mixture_1m": MIXTURES, "test_pile_loss_60m": LOSSES},
            "is of the set test_1m, .* of test_60m: the same index means other runs",
        ),
        (
            {"a_mixture": MIXTURES, "b_mixture": MIXTURES, "a_loss": LOSSES},
            "b_mixture.csv is of the set b, and 0 of the tables of losses are",
        ),
        (
            {"a_mixture": MIXTURES, "a_loss": LOSSES, "a_losses": LOSSES},
            "a_mixture.csv is of the set a, and 2 of the tables of losses are",
        ),
        ({"a_mixture": MIXTURES}, "there are shares in .*but no file has metrics"),
        ({"a_loss": LOSSES}, "there are metrics in .*but no file has the shares"),
        ({"a_mixture": MIXTURES.replace("\n2,", "\n,"), "a_loss": LOSSES}, "row 2: index is empty"),
        (
            {"a_mixture": MIXTURES, "a_loss": LOSSES.replace("\n1,", "\n2,")},
            "row 2: run 'a_2' is already in row 1",
        ),
    ],
)
def test_regmix_halves_are_refused(folder: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_runs(put(folder, **files))


# --- DoReMi ---------------------------------------------------------------------------------------------


def test_doremi_is_a_mixture_without_metrics(folder: Path) -> None:
    weights = {"train_domain_weights": {"web": 0.6, "code": 0.405}, "eval_domain_weights": {"web": 1.0}}
    table = import_runs(put(folder, round2=json.dumps(weights)))
    seen = table.observations
    assert (table.format, seen.keys, seen.metrics) == ("doremi", ("round2",), ())
    assert seen.mixtures() == [Mixture.normalised({"web": 0.6, "code": 0.405})]
    assert (table.renormalised, table.ignored) == (1, ("eval_domain_weights",))
    measured = import_runs(put(folder, round2=json.dumps(weights), m="run,m:loss\nround2,2.5\n"))
    assert (measured.observations.metric("loss").tolist(), measured.format) == ([2.5], "tidy+doremi")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"web": "most"}, "train_domain_weights, web: 'most' is not a number"),
        ({"web": float("nan"), "code": 1.0}, "the share of web is nan"),
        ({"web": 1.5, "code": -0.5}, "the share of code is negative"),
        ({"web": 60, "code": 40}, "sum to 100.* divide percentages by 100"),
        ({"web": [1.0]}, "is not a number"),
    ],
)
def test_doremi_weights_must_be_shares(folder: Path, weights: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_runs(put(folder, weights=json.dumps({"train_domain_weights": weights})))


# --- Weights & Biases -----------------------------------------------------------------------------------


def test_an_export_gives_its_finished_runs(folder: Path) -> None:
    table = import_runs(put(folder, export=EXPORT))
    seen = table.observations
    assert (table.format, seen.keys, seen.sources) == ("wandb", ("a1", "a2"), ("web", "code"))
    assert seen.metrics == ("eval/web/loss", "eval/piqa", "final_loss")
    np.testing.assert_array_equal(seen.values, [[2.5, 0.61, 2.4], [2.25, np.nan, 2.3]])
    assert table.directions == {"eval/web/loss": "lower", "final_loss": "lower"}
    assert table.unknown == ("eval/piqa",)
    assert table.where(Name="late, better").observations.keys == ("a2",)
    assert table.ignored == ("Created", "_runtime", "config.lr")
    assert table.notes == (
        f"{folder / 'export.csv'}: 2 of 4 runs did not finish (1 crashed, 1 running) and were left out:"
        " died, going.",
    )


@pytest.mark.parametrize("prefix", ["train.", "weights/", "config.data.mixture.", "w:"])
def test_shares_of_an_export_may_stand_under_many_names(folder: Path, prefix: str) -> None:
    export = EXPORT.replace("mixture.", prefix).replace("final_loss", "train/loss")
    table = import_runs(put(folder, export=export))
    assert table.observations.sources == ("web", "code")
    assert "train/loss" in table.directions


def test_shares_of_an_export_may_come_from_another_file(folder: Path) -> None:
    bare = "\n".join(",".join(line.split(",")[i] for i in (0, 2, 10)) for line in EXPORT.splitlines()[:2])
    table = import_runs(put(folder, export=bare, shares="run,w:web,w:code\ngood,0.25,0.75\n"))
    assert (table.observations.keys, table.observations.metric("final_loss").tolist()) == (("good",), [2.4])


def test_settings_with_the_name_of_a_metric_are_labels(folder: Path) -> None:
    table = import_runs(
        put(folder, export=EXPORT.replace("config.lr", "config.loss").replace(",0.1,", ",ce,"))
    )
    assert table.labels["config.loss"] == ("ce", "ce")


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (EXPORT.replace("finished", "failed"), "has no run that can be used.*4 of 4 runs did not finish"),
        (
            EXPORT.replace("config.lr", "ratios.web").replace(",0.1,", ",1,"),
            "several groups.*ratios., mixture.",
        ),
        (EXPORT.replace("0.75", "0.9"), "row 1: shares of 2 sources sum to 1.15"),
        (EXPORT.replace("0.25,0.75", "25,75").replace("0.5,0.5", "50,50"), "divide percentages by 100"),
        (EXPORT.replace("a2", "a1"), "row 2: run 'a1' is already in row 1"),
        (EXPORT.replace("2.4\n", "x\n"), "row 1, final_loss: 'x' is not a number"),
    ],
)
def test_exports_are_refused(folder: Path, export: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_runs(put(folder, export=export))


# --- lm-evaluation-harness ------------------------------------------------------------------------------


def evaluated(folder: Path) -> ImportedTable:
    put(folder / "evals", **{"r2/results_2026-01-05T10-00-00.123456": results(0.6)})
    put(folder / "evals", **{"r1/__a__b/results_2026-01-05T09-00-00.5": results(0.5)})
    put(folder / "evals", **{"r1/config": '{"hidden_size": 64}'})
    return import_runs([*put(folder, shares=SHARES), folder / "evals"])


def test_results_are_joined_to_shares_by_folder(folder: Path) -> None:
    table = evaluated(folder)
    seen = table.observations
    assert (table.format, seen.keys) == ("tidy+lm_eval", ("r1", "r2"))
    assert seen.metrics == ("piqa/acc", "piqa/exact_match,strict-match", "lambada/perplexity", "blimp/score")
    np.testing.assert_array_equal(seen.metric("piqa/acc"), [0.5, 0.6])
    assert table.directions == {
        "piqa/acc": "higher", "piqa/exact_match,strict-match": "higher", "lambada/perplexity": "lower",
    }  # fmt: skip
    assert table.reasons["lambada/perplexity"] == "the file says higher_is_better false"
    assert table.unknown == ("blimp/score",)
    assert table.labels["split"] == ("train", "test")
    assert table.notes == (
        f"{folder / 'evals'}: 1 JSON file of no known format was passed over: config.json.",
        f"{folder / 'shares.csv'}: 1 of 3 runs has no metrics in 2 results of lm-evaluation-harness and was"
        " left out: r3.",
    )


@pytest.mark.parametrize(
    ("stem", "more"),
    [
        ("r3", {}),
        ("r3_2026-01-05T10-00-00", {}),
        ("results_r3", {}),
        ("any/__models__r3/results_2026-01-05T10-00-00", {}),
        ("results_2026-01-05T10-00-00", {"model_name": "/models/r3"}),
    ],
)
def test_the_run_of_a_result_stands_in_its_path_or_model(
    folder: Path, stem: str, more: dict[str, str]
) -> None:
    paths = put(folder, **{stem: results(0.7, **more)}, shares=SHARES)
    assert import_runs(paths).observations.keys == ("r3",)


def test_results_add_to_a_table_that_has_metrics(folder: Path) -> None:
    shares = "run,w:web,w:code,m:loss\nr1,0.25,0.75,2\nr2,0.5,0.5,3\n"
    table = import_runs(put(folder, shares=shares, r2=results(0.6)))
    assert table.observations.keys == ("r1", "r2")
    np.testing.assert_array_equal(table.observations.metric("piqa/acc"), [np.nan, 0.6])


def test_results_may_be_joined_to_the_shares_of_any_format(folder: Path) -> None:
    mixture = json.dumps({"train_domain_weights": {"web": 1.0}})
    for shares, name in ((RATIOS, "hz0d"), (RATIOS, "swarm-0001"), (mixture, "mix_ratios")):
        paths = put(folder, mix_ratios=shares, **{f"evals/{name}/results": results(0.5)})
        assert len(import_runs(paths).observations) == 1


def test_results_on_some_samples_and_of_two_minds_are_told(folder: Path) -> None:
    some = results(0.5, **{"n-samples": {"piqa": {"original": 1838, "effective": 40}}})
    other = results(0.5, higher_is_better={"lambada": {"perplexity": True}})
    table = import_runs(put(folder, shares=SHARES, r1=some, r2=other))
    assert "lambada/perplexity" in table.unknown
    assert any("only some of the samples: piqa (40 of 1838) of r1.json" in note for note in table.notes)
    assert any("disagree about what is better: lambada/perplexity" in note for note in table.notes)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"r1": results(0.5)},
            "there are metrics in .*r1.json, but no file has the shares of the runs; add a table",
        ),
        (
            {"x1": results(0.5), "shares": SHARES},
            "no run of .*x1.json is in .*shares of r1, r2, r3; name the runs alike",
        ),
        (
            {"r1": results(0.5), "again/r1": results(0.6), "shares": SHARES},
            "r1.json: piqa/acc of run 'r1' is 0.[56], but 0.[56] in .*r1.json; keep one of them",
        ),
        (
            {"r": results(0.5), "shares": "run,step,w:a\nr,1,1\nr,2,1\n"},
            r"is of run 'r', but .*row 1 \(r@1\) and .*row 2 \(r@2\) are both called so",
        ),
        (
            {"r1": results(0.5).replace("0.5,", '"half",', 1), "shares": SHARES},
            "r1.json, results, piqa, acc,none: 'half' is not a number",
        ),
    ],
)
def test_results_without_their_run_are_refused(folder: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_runs(put(folder, **files))


# --- several files --------------------------------------------------------------------------------------


def test_tables_of_several_sources_are_put_under_each_other(folder: Path) -> None:
    table = import_runs(put(folder, a="run,w:web,m:x\nr,1,2\n", b="run,w:code,m:y\ns,1,3\n"))
    np.testing.assert_array_equal(table.observations.shares, np.eye(2))
    np.testing.assert_array_equal(table.observations.values, [[2, np.nan], [np.nan, 3]])


def test_a_run_in_two_tables_is_refused_with_both(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"b.csv, row 2: run 'r' is already in .*a.csv, row 1"):
        import_runs(put(folder, a="run,w:web,m:x\nr,1,2\n", b="run,w:web,m:x\ns,1,3\nr,1,3\n"))


def test_a_file_given_twice_is_read_once(folder: Path) -> None:
    paths = put(folder, a="run,w:web,m:x\nr,1,2\n")
    assert import_runs([*paths, folder, *paths]) == import_runs(paths)


def test_files_that_no_format_knows_tell_what_they_have(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"It has the keys a, b\. Looked for: .*doremi: a JSON object"):
        import_runs(put(folder, other='{"a": 1, "b": 2}'))
    (folder / "list.json").write_text("[1]")
    with pytest.raises(ConfigError, match="It has no object with keys"):
        import_runs([folder / "list.json"])
    (folder / "inner").mkdir()
    (folder / "inner" / "a.json").write_text("{}")
    with pytest.raises(ConfigError, match="no file is of a known format"):
        import_runs([folder / "inner"])


# --- directions by name ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("web/bits_per_byte", "lower"), ("valLoss", "lower"), ("piqa BPB v2", "lower"), ("wiki-ppl", "lower"),
        ("perplexity,none", "lower"), ("acc_norm,none", "higher"), ("humaneval pass@10", "higher"),
        ("pass_at_1", "higher"), ("squad/F1", "higher"), ("arena/win-rate", "higher"),
        ("exact_match", "higher"), ("arc_challenge:rc::olmes", None), ("accuracy_gain", None),
        ("accent", None), ("glossary", None), ("loss_drop", None),
        ("acc_stderr", None), ("loss/acc", None), ("reldrop_arxiv", None), ("grad_norm", None), ("", None),
    ],
)  # fmt: skip
def test_only_unmistakable_words_tell_a_direction(name: str, direction: str | None) -> None:
    known = named_direction(name)
    assert (known and known.direction) == direction
