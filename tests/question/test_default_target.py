"""What is improved where nobody says it: what is left out, how perplexities enter, which way is better."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.doctor.first_lines import first_lines
from cuvee.errors import ConfigError
from cuvee.question.question import Question
from cuvee.question.runs import Runs, checked_directions, read_runs
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.purpose import COUNTER, TRAINING, no_target

COUNT = 12
WEB = np.random.default_rng(0).uniform(0.05, 0.95, COUNT)
LOSS = 3.0 - WEB
NOISE = np.random.default_rng(1).normal(size=(8, COUNT))


def runs(
    folder: Path, lower: tuple[str, ...] = (), higher: tuple[str, ...] = (), **metrics: np.ndarray
) -> Runs:
    return read(folder, {name.replace("__", "/"): column for name, column in metrics.items()}, lower, higher)


def read(
    folder: Path,
    metrics: dict[str, np.ndarray],
    lower: tuple[str, ...] = (),
    higher: tuple[str, ...] = (),
    parquet: bool = False,
) -> Runs:
    columns = {
        "run": [f"r{i}" for i in range(COUNT)],
        "w:web": WEB.tolist(),
        "w:code": (1 - WEB).tolist(),
        **{f"m:{name}": np.asarray(column, dtype=float).tolist() for name, column in metrics.items()},
    }
    path = folder / ("runs.parquet" if parquet else "runs.csv")
    if parquet:
        pq.write_table(pa.table(columns), path)
    else:
        lines = [columns, *zip(*columns.values(), strict=True)]
        path.write_text(
            "".join(",".join("" if cell != cell else str(cell) for cell in line) + "\n" for line in lines)
        )
    return read_runs([path], {}, lower, higher)


def weights(found: Runs) -> dict[str, float]:
    question = checked_directions(found, Question())
    target = question.target(found.observations.metrics)
    return {name: weight for name, weight in target.items() if weight > 0}


TEXTS = ("docs", "row_documents", "steps")


@pytest.mark.parametrize(
    ("name", "texts", "why"),
    [
        ("docs", TEXTS, ""),
        ("steps", TEXTS, ""),
        ("eval/docs", TEXTS, ""),
        ("quality_docs", TEXTS, ""),
        ("my_row_documents", TEXTS, ""),
        ("eval_loss_docs", (), ""),
        ("eval_nll_steps", (), ""),
        ("bits_per_byte_docs", (), ""),
        ("train_loss_docs", (), TRAINING),
        ("docs", (), COUNTER),
        ("quality_docs", (), COUNTER),
        ("num_docs", TEXTS, COUNTER),
        ("documents", TEXTS, COUNTER),
        ("loss_tokens", (), COUNTER),
        ("eval_loss_count", (), COUNTER),
    ],
)
def test_a_name_that_is_a_text_or_stands_behind_a_loss_is_no_counter(
    name: str, texts: tuple[str, ...], why: str
) -> None:
    assert no_target(name, texts) == why


def test_losses_on_a_source_called_docs_count(tmp_path: Path) -> None:
    columns = {"run": [f"r{i}" for i in range(COUNT)], "w:docs": WEB.tolist(), "w:code": (1 - WEB).tolist()}
    columns |= {"m:eval_loss_docs": LOSS.tolist(), "m:on_docs": (LOSS * 1.1 + 0.1 * WEB**2).tolist()}
    path = tmp_path / "runs.csv"
    lines = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    found = read_runs([path], {})
    assert set(weights(found)) == {"eval_loss_docs", "on_docs"} and found.left_out == ""
    assert not [line for line in first_lines(found, Question()) if "no measure of a mixture" in line]


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "train/loss", "train_loss", "metric/train_loss", "loss/train", "training_loss", "eval/train_loss",
        "reduced_train_loss", "train/CrossEntropyLoss", "train_perplexity", "loss/train/web", "train/acc",
    ],
)  # fmt: skip
def test_losses_on_training_text_are_known(name: str) -> None:
    assert no_target(name) == TRAINING


@pytest.mark.parametrize(
    "name",
    [
        "runtime", "train_runtime", "eval/total_time", "eval/loading_time", "eval/samples_per_second",
        "epoch",
        "tokens_per_second", "tokens_per_s", "train/global_step", "total_flos", "gpu_hours", "GPU-hours",
        "mfu(%)", "throughput(tps)", "learning_rate", "train/grad_norm", "acc_stderr", "memory/peak",
        "System/Peak GPU Memory (MB)", "consumed_samples", "eval_steps_per_second", "loss_time", "step",
    ],
)  # fmt: skip
def test_timers_rates_and_counters_are_known(name: str) -> None:
    assert no_target(name) not in ("", TRAINING)


@pytest.mark.parametrize(
    "name",
    [
        "val/loss", "train_val_loss", "loss/sec", "loss/index", "nats_per_token", "bits_per_byte", "mmlu/acc",
        "new_york_times", "eval/new_york_times", "arxiv", "quiz_score", "win_rate", "the_pile_arxiv_val_loss",
        "time_travel_stories", "lambada/perplexity", "step_loss", "Books3", "test/acc",
    ],
)  # fmt: skip
def test_names_of_texts_and_tasks_are_no_timers(name: str) -> None:
    assert no_target(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "bleu", "bleu4", "sacrebleu", "rouge", "rougeL", "ROUGE-1", "chrf", "chrF++", "meteor",
        "pass@k",
        "pass@1", "em", "eval/EM", "reward", "win", "win_rate", "elo", "squad/F1",
    ],
)  # fmt: skip
def test_scores_are_better_when_higher(name: str) -> None:
    known = named_direction(name)
    assert known is not None and known.direction == "higher"


# --- what is left out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize(
    "name", ["train/loss", "eval/total_time", "tokens_per_second", "epoch", "val/acc_stderr"]
)
def test_what_is_no_measure_of_a_mixture_is_left_out_and_named(
    tmp_path: Path, name: str, parquet: bool
) -> None:
    found = read(tmp_path, {name: 5 + NOISE[0], "val/loss": LOSS}, parquet=parquet)
    assert weights(found) == {"val/loss": 1.0}
    assert found.left_out.startswith(f"Left out of the target: {name} (")
    named = checked_directions(found, Question(weights={"val/loss": 1.0}))
    assert named.weights == {"val/loss": 1.0}


def test_a_source_may_be_called_like_a_counter(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = "".join(f"r{i},{web},{1 - web},{3 - web},{2 + web}\n" for i, web in enumerate(WEB))
    path.write_text(f"run,w:energy,w:time,m:energy,m:time\n{rows}")
    assert set(weights(read_runs([path], {}))) == {"energy", "time"}


def test_a_constant_metric_and_one_measured_once_are_left_out(tmp_path: Path) -> None:
    once, never = np.full(COUNT, np.nan), np.full(COUNT, np.nan)
    once[3] = 2.0
    few = np.where(np.arange(COUNT) < 4, LOSS, np.nan)
    metrics = {"a_loss": np.full(COUNT, 2.0), "b_loss": once, "c_loss": LOSS, "d_loss": never, "e_loss": few}
    found = read(tmp_path, metrics)
    assert weights(found) == {"c_loss": 1.0}
    for told in ("a_loss (the same in all runs)", "b_loss (measured in only 1 of 12 runs)", "d_loss (never"):
        assert told in found.left_out
    assert "e_loss (measured in 4 of 12 runs)" in found.left_out
    with pytest.raises(ConfigError, match="nothing can be learnt of metric 'a_loss': the same in all runs"):
        checked_directions(found, Question(weights={"a_loss": 1.0}))


def test_an_average_does_not_count_beside_what_it_averages(tmp_path: Path) -> None:
    parts = {f"{name}_acc": 0.5 + 0.1 * NOISE[i] for i, name in enumerate("abc")}
    mean = np.mean(list(parts.values()), axis=0)
    assert set(weights(read(tmp_path, {"avg_acc": mean, **parts}))) == set(parts)
    assert set(weights(read(tmp_path, {**parts, "quiz_acc": mean}))) == set(parts)
    assert set(weights(read(tmp_path, {"total_acc": 3 * mean, **parts}))) == set(parts)
    assert weights(read(tmp_path, {"avg_loss": LOSS})) == {"avg_loss": 1.0}


@pytest.mark.parametrize("between", ["/", "_"])
def test_members_of_a_group_do_not_count_beside_it(tmp_path: Path, between: str) -> None:
    parts = {f"mmlu_{name}{between}acc": 0.5 + 0.1 * NOISE[i] for i, name in enumerate("abc")}
    group = np.average(list(parts.values()), axis=0, weights=(1, 2, 5))
    found = read(tmp_path, {**parts, f"mmlu{between}acc": group, "quiz/acc": 0.5 + 0.1 * NOISE[4]})
    assert set(weights(found)) == {f"mmlu{between}acc", "quiz/acc"}
    assert f"(counted in mmlu{between}acc)" in found.left_out


def test_one_form_of_a_loss_counts(tmp_path: Path) -> None:
    bits = LOSS / np.log(2)
    forms = {
        "wiki/word_perplexity": np.exp(5 * LOSS),
        "wiki/byte_perplexity": 2**bits,
        "wiki/bits_per_byte": bits,
    }
    for order in (forms, dict(reversed(forms.items()))):
        assert weights(read(tmp_path, order)) == {"wiki/bits_per_byte": 1.0}
    assert weights(read(tmp_path, {"eval/perplexity": np.exp(LOSS), "eval/loss": LOSS})) == {"eval/loss": 1.0}
    other = {"a_loss": LOSS, "a_perplexity": np.exp(3 + NOISE[0])}  # of another text, whatever its name
    assert len(weights(read(tmp_path, other))) == 2


def test_one_form_of_an_accuracy_counts(tmp_path: Path) -> None:
    forms = {
        "quiz/acc": 0.4 + 0.2 * WEB,
        "quiz/acc_norm": 0.5 + 0.3 * WEB,
        "sums/exact_match": 0.5 + NOISE[0] / 9,
    }
    assert set(weights(read(tmp_path, forms))) == {"quiz/acc", "sums/exact_match"}


def test_a_task_called_all_is_no_average(tmp_path: Path) -> None:
    metrics = {"all_nli/acc": 0.5 + NOISE[0] / 99, "a/acc": 0.3 + NOISE[1] / 99, "b/acc": 0.7 + NOISE[2] / 99}
    assert len(weights(read(tmp_path, metrics))) == 3


def test_a_copy_and_a_share_do_not_count(tmp_path: Path) -> None:
    found = read(tmp_path, {"a_loss": LOSS, "b_loss": LOSS, "web_loss": WEB, "c_loss": 2 + NOISE[0] ** 2})
    assert set(weights(found)) == {"a_loss", "c_loss"}
    assert "b_loss (has the values of a_loss)" in found.left_out


def test_perplexities_enter_by_their_logarithm(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"a_ppl": np.exp(LOSS), "b_ppl": np.exp(3 * LOSS + NOISE[0]), "c_loss": LOSS + NOISE[1] / 9}
    )
    assert set(weights(found)) == {"log(a_ppl)", "log(b_ppl)", "c_loss"}
    np.testing.assert_allclose(found.observations.metric("log(a_ppl)"), LOSS)
    assert found.observations.metrics[:3] == ("a_ppl", "b_ppl", "c_loss")
    assert weights(read(tmp_path, {"a_ppl": np.exp(LOSS)})) == {"a_ppl": 1.0}


def test_nothing_that_is_left_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no metric to choose a mixture by.*train/loss"):
        checked_directions(read(tmp_path, {"train/loss": LOSS}), Question())


# --- directions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["avg_score", "humaneval", "mmlu", "quality", "rating"])
def test_what_may_be_a_score_is_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"say --lower '{name}' or --higher '{name}'"):
        weights(read(tmp_path, {name: 2 + WEB}))


@pytest.mark.parametrize("values", [0.2 + 0.5 * WEB, 30 + WEB])
def test_values_that_are_none_of_a_loss_are_asked_for(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="--lower 'something'"):
        weights(read(tmp_path, {"something": values}))
    assert read(tmp_path, {"something": LOSS}).assumed == ("something",)
    assert read(tmp_path, {"something": LOSS}, lower=("all",)).assumed == ()


@pytest.mark.parametrize("every", ["*", "all"])
def test_all_metrics_of_unknown_direction_may_be_said_at_once(tmp_path: Path, every: str) -> None:
    metrics = {"a_score": 2 + WEB, "b_score": 2 + NOISE[0], "c_loss": LOSS, "d_acc": 0.5 * WEB}
    low = checked_directions(read(tmp_path, metrics, lower=(every,)), Question()).directions
    assert low == {"a_score": "lower", "b_score": "lower", "c_loss": "lower", "d_acc": "higher"}
    high = checked_directions(read(tmp_path, metrics, higher=(every,)), Question()).directions
    assert high == {"a_score": "higher", "b_score": "higher", "c_loss": "lower", "d_acc": "higher"}


def test_a_name_stands_before_a_pattern_and_a_pattern_before_all(tmp_path: Path) -> None:
    metrics = {"a_score": 2 + WEB, "b_score": 2 + NOISE[0], "other": 30 + NOISE[1]}
    found = read(tmp_path, metrics, lower=("all", "b_score"), higher=("*_score",))
    assert {n: found.directions[n] for n in metrics} == {
        "a_score": "higher",
        "b_score": "lower",
        "other": "lower",
    }
    with pytest.raises(ConfigError, match="named as better when lower and"):
        read(tmp_path, metrics, lower=("*_score",), higher=("a_*",))
    with pytest.raises(ConfigError, match=r"no metric 'quiz\*' in the table"):
        read(tmp_path, metrics, lower=("quiz*",))
