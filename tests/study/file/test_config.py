"""``study.yaml``: what is read, what is filled in, what is refused and in which words; template, edits."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cuvee.errors import ConfigError, CuveeError, MissingSource, SchemaError, StoreError
from cuvee.evaluation.race import PART, SURVIVORS
from cuvee.execution.cores import usable_cores
from cuvee.flows.ablation.merge_optimum import STARTS
from cuvee.merging.registry import MERGERS
from cuvee.study.file import settings
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.edit import append_source
from cuvee.study.file.effort import EFFORTS, learning_rate, with_defaults
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.template import commented_study, yaml_value
from cuvee.study.producers.descended import MOST_EVALUATIONS
from cuvee.study.start.inspection import inspect
from cuvee.yaml_file import parse_yaml

SMALLEST: dict[str, Any] = {"schema": 1, "sources": {"web": "web", "code": "code"}}
FULL = """
schema: 1
name: my-study
seed: 7
workers: 2
effort: tiny
sources:
  web: text/web
  code: {paths: [a.jsonl.zst, /data/b.parquet], text_field: body, units: 3, tokens: 2.1e9}
  no: hub:owner/name/en:train
evaluations:
  exams: {paths: exams.jsonl, text_field: question}
pool: [web, code]
split: {evaluation: 0.1, seed: 0.3}
tokenizer: {vocabulary: 2048}
model: {parameters: 2e6, context_length: 256}
seed_training: {tokens: 5e6, mixture: {web: 3, no: 1}, learning_rate: 1e-3}
branch_training: {tokens: 1e6, schedule: wsd, tail_average: 0.25, snapshots: [0.5], seeds: 2, clip: 0.5}
reference_training: {learning_rate: 3e-3}
references: {count: 4, replicates: 1, design: subsets}
candidates: {count: 50}
target: {weights: {exams: 3, no: 1}}
target_run: {tokens: 1e9, max_epochs: 2}
limits: {minimum: {web: 0.1}, maximum: {code: 0.6}, ratios: [{web: 2, code: 1}]}
estimand: union
averaging_bonus: false
"""


def parsed(**more: Any) -> StudyConfig:
    return StudyConfig.parse(SMALLEST | more, Path("/studies/one"))


# --- what is read -----------------------------------------------------------------------------------


def test_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(FULL)
    config = StudyConfig.load(tmp_path / "study.yaml")
    assert config == StudyConfig.load(tmp_path)
    assert config.sources["web"].paths == (str(tmp_path / "text/web"),)
    assert config.sources["code"].paths == (str(tmp_path / "a.jsonl.zst"), "/data/b.parquet")
    assert config.sources["code"].tokens == 2_100_000_000
    assert config.sources["no"].paths == ("hub:owner/name/en:train",)
    assert config.model.parameters == 2_000_000
    assert config.seed_training.mixture == {"web": 3, "no": 1}
    assert config.pool_sources == ("web", "code")
    assert list(config.evaluation_sets) == ["web", "code", "no", "exams"]
    assert config.own_sources == {"web": "web", "code": "code", "no": None, "exams": None}
    assert config.target_weights == {"web": 0, "code": 0, "no": 0.25, "exams": 0.75}
    assert config.limits.ratios == ({"web": 2, "code": 1},)
    assert json.loads(json.dumps(config.as_json()))["schema"] == 1


def test_the_smallest_file_has_all_defaults() -> None:
    config = parsed()
    assert config.pool_sources == ("web", "code")
    assert config.own_sources == {"web": "web", "code": "code"}
    assert config.target_weights == {"web": 0.5, "code": 0.5}
    assert config.workers == usable_cores() >= 1
    assert config.sources["web"].paths == ("/studies/one/web",)


def test_how_branches_are_merged_is_no_part_of_the_digest_where_studies_had_no_choice_yet() -> None:
    known = "4a1212f2d5e25683"  # as it was before there was the key
    assert (
        parsed().digest == parsed(merging={"method": "linear"}).digest == parsed(merging={}).digest == known
    )
    merging = settings.MergingSettings.model_construct(method="other")  # type: ignore[arg-type]
    other = parsed().model_copy(update={"merging": merging})
    assert other.digest != known
    assert (parsed().merging.key, other.merging.key) == ({}, {"merging": "other"})


@pytest.mark.parametrize(
    ("effort", "known"),
    [("tiny", "84bbc28ee1198db2"), ("small", "4a1212f2d5e25683"), ("standard", "6d477345ebc4297b")],
)
def test_studies_keep_their_digest(effort: str, known: str) -> None:
    """Those of f19ef9a: a default that changes would make answers outdated and trainings new."""
    assert parsed(effort=effort).digest == known
    assert parsed(effort=effort, branch_training={"accumulation": 2}).digest != known


def test_a_batch_in_parts_is_one_for_all_stages_unless_told() -> None:
    config = parsed(seed_training={"accumulation": 4}, reference_training={"accumulation": 2})
    found = config.seed_training, config.branch_training, config.reference_training
    assert [one.accumulation for one in found] == [4, 4, 2]


def test_whether_the_order_survives_is_no_part_of_the_digest_until_somebody_says_so() -> None:
    digests = {
        "tiny": "84bbc28ee1198db2",
        "small": "4a1212f2d5e25683",
        "standard": "6d477345ebc4297b",
    }  # as they were before there was the section
    for effort, known in digests.items():
        config = parsed(effort=effort)
        assert config.digest == known
        by_hand = parsed(effort=effort, order={"mixtures": config.order.mixtures})
        assert by_hand.digest == parsed(effort=effort, order={}).digest == known
        assert parsed(effort=effort, order={"mixtures": 5}).digest != known
    assert parsed(order={"tokens": 3}).digest != digests["small"]


def test_the_order_is_examined_from_standard_on() -> None:
    orders = {effort: parsed(effort=effort).order for effort in EFFORTS}
    assert {effort: one.mixtures for effort, one in orders.items()} == {
        "tiny": 0,
        "small": 0,
        "standard": 8,
        "large": 4,
    }
    config = parsed(effort="standard")
    assert config.replicates == 8 > config.references.replicates
    assert config.other_conditions == {
        "other learning rate": 0.25,
        "other tokens": 2.0,
        "other size": 0.5,
    }
    assert parsed().other_conditions == {} and parsed().replicates == parsed().references.replicates
    some = parsed(order={"mixtures": 4, "tokens": 1, "parameters": 1.0})
    assert some.other_conditions == {"other learning rate": 0.25}
    # As many as there are, unless they are too few.
    few = parsed(effort="standard", references={"count": 6})
    assert (few.order.mixtures, few.digest) == (
        6,
        parsed(effort="standard", references={"count": 6.0}).digest,
    )
    assert parsed(effort="standard", references={"count": 3, "replicates": 1}).order.mixtures == 0
    given = parsed(effort="standard", model={"folder": "model"})
    assert set(given.other_conditions) == {"other learning rate", "other tokens"}


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"mixtures": 3}, "order.mixtures: 3 have no rank correlation: give at least 4, or 0"),
        ({"mixtures": 13}, "order.mixtures: 13 of 12 references"),
        ({"mixtures": 4, "tokens": 0}, "order.tokens: "),
        ({"rate": 2}, 'order: unknown key "rate"'),
    ],
)
def test_orders_that_make_no_sense(order: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(order=order)


def test_the_methods_of_merging_are_those_of_the_table() -> None:
    known = get_args(settings.MergingSettings.model_fields["method"].annotation)
    assert known == tuple(MERGERS)


def test_paths_of_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parsed(sources={"a": "~/text"}).sources["a"].paths == ("/home/somebody/text",)


def test_nothing_can_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parsed().seed = 3  # type: ignore[misc]


def test_held_out_parts_can_be_left_out_or_renamed() -> None:
    only = parsed(evaluations={"held_out": False, "mine": {"source": "web"}})
    assert only.own_sources == {"mine": "web"}
    renamed = parsed(evaluations={"mine": {"source": "web"}})
    assert renamed.own_sources == {"code": "code", "mine": "web"}
    same = parsed(evaluations={"web": {"source": "web", "text_field": "text"}})
    assert same.own_sources == {"web": "web", "code": "code"}


# --- the dial ---------------------------------------------------------------------------------------


def test_the_dial_sets_the_model_and_the_model_sets_the_budgets() -> None:
    sizes = []
    for effort in EFFORTS:
        config = parsed(effort=effort)
        assert config.model.parameters == EFFORTS[effort].parameters
        assert config.seed_training.tokens == pytest.approx(2 * config.model.parameters, rel=0.05)
        assert config.branch_training.tokens == pytest.approx(config.model.parameters / 4, rel=0.05)
        sizes.append(config.seed_training.tokens)
    assert sizes == sorted(sizes)
    larger = parsed(model={"parameters": 8e6})
    assert larger.seed_training.tokens == 16_000_000
    assert larger.seed_training.learning_rate < parsed().seed_training.learning_rate


RATES = {1e6: 0.80e6, 1e7: 0.73e6, 3e7: 0.52e6, 1.3e8: 0.34e6}
"""Parameters -> tokens a second of training on one H100, as measured."""
MERGED_TOKENS = 1.0e6
"""Tokens a second of scoring merges there."""


@pytest.mark.parametrize(("effort", "minutes"), [("standard", 23), ("large", 70)])
def test_what_an_effort_takes_on_a_gpu_is_the_sum_of_its_stages(effort: str, minutes: float) -> None:
    sources = {f"s{place}": f"s{place}" for place in range(8)}
    config = StudyConfig.parse({"schema": 1, "sources": sources, "effort": effort}, Path("/studies/one"))
    branch = config.branch_training.tokens
    again = config.order.mixtures
    runs = len(sources) + config.references.count + config.replicates + 3 * config.check.seeds
    trained = config.seed_training.tokens + (runs + (1 + 2) * again) * branch
    other = (config.seed_training.tokens + again * branch) / 2
    size = config.model.parameters
    assert size is not None
    rate, other_rate = (
        np.exp(np.interp(np.log(one), np.log(list(RATES)), np.log(list(RATES.values()))))
        for one in (size, size / 2)
    )
    runs += 3 * again + 1
    evaluated = len(sources) * config.evaluation_tokens
    whole = config.references.count + SURVIVORS * config.candidates.count
    part = (1 - SURVIVORS) * config.candidates.count / PART
    steps = STARTS * MOST_EVALUATIONS * 3 / PART  # forward and backward
    snapshots = len(config.branch_training.snapshots)  # of each branch on its own evaluation
    scored = evaluated * (whole + part + steps + (len(sources) + runs + 1) + snapshots)
    assert (trained / rate + other / other_rate + scored / MERGED_TOKENS) / 60 == pytest.approx(
        minutes, rel=0.03
    )


def test_learning_rate_falls_with_the_fourth_root() -> None:
    assert learning_rate(1.3e6) == 2e-3
    assert learning_rate(16 * 1.3e6) == 1e-3
    assert learning_rate(1000) == 3e-3


def test_references_are_trained_as_branches_are_unless_told() -> None:
    config = parsed(
        seed_training={"learning_rate": 1e-3},
        branch_training={"tokens": 5000, "schedule": "cosine", "snapshots": [0.5], "seeds": 2},
        reference_training={"clip": 3},
    )
    assert config.branch_training.learning_rate == config.reference_training.learning_rate == 1e-3
    assert config.reference_training.tokens == 5000
    assert config.reference_training.schedule == "cosine"
    assert (config.branch_training.clip, config.reference_training.clip) == (1, 3)


def test_a_model_that_is_there_is_not_trained_first_and_brings_its_tokenizer() -> None:
    config = parsed(model={"folder": "../llama"})
    assert config.model.folder == Path("/studies/one/../llama")
    assert config.model.parameters is None
    assert config.seed_training.tokens == 0
    assert config.split.seed == 0
    assert config.tokenizer.folder is None
    assert config.tokenizer.vocabulary is None
    assert config.branch_training.learning_rate == 1e-4
    trained_on = parsed(model={"folder": "llama"}, seed_training={"tokens": 1000}, split={"seed": 0.2})
    assert trained_on.seed_training.tokens == 1000


def test_a_tokenizer_that_is_there() -> None:
    assert parsed(tokenizer={"folder": "/t"}).tokenizer.vocabulary is None


def test_empty_sections_have_their_defaults() -> None:
    assert parsed(split=None, model=None, seed=None, evaluations=None) == parsed()


def test_filling_in_changes_nothing_that_is_given() -> None:
    raw = parse_yaml(FULL, "full")
    before = json.dumps(raw)
    filled = with_defaults(raw)
    assert json.dumps(raw) == before
    for key, value in raw.items():
        given = value if isinstance(value, dict) else {}
        assert given.items() <= filled[key].items() if given else filled[key] == value


# --- what is refused --------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"sources": {"web": {"paths": "x", "txt_field": "y"}}},
        'study.yaml: sources.web: unknown key "txt_field"; did you mean "text_field"?',
    ),
    ({"sorces": {}}, 'study.yaml: unknown key "sorces"; did you mean "sources"?'),
    (
        {"target": {"zzz": 1}},
        'study.yaml: target: unknown key "zzz"; known are weights',
    ),
    ({"sources": {}}, "study.yaml: sources: is empty; name at least one"),
    ({"sources": None}, "study.yaml: sources: is missing"),
    (
        {"sources": {"web": 3}},
        "study.yaml: sources.web: must be a path, a list of paths, or keys such as `paths`",
    ),
    (
        {"sources": {"web": {"units": 2}}},
        "study.yaml: sources.web: needs `paths`: a file, a folder or a list",
    ),
    ({"sources": {"web": [""]}}, "study.yaml: sources.web.paths.0: must not be empty"),
    ({"sources": {2020: "a"}}, "study.yaml: sources.2020: must be text (put it in quotes), not 2020"),
    ({"model": 5}, "study.yaml: model: must be keys with values, not 5"),
    ({"model": {"parameters": "many"}}, "study.yaml: model.parameters: must be a whole number, not 'many'"),
    (
        {"model": {"parameters": 1.5e5 + 0.5}},
        "study.yaml: model.parameters: must be a whole number, not 150000.5",
    ),
    ({"model": {"parameters": 10}}, "study.yaml: model.parameters: must be at least 100000, not 10"),
    ({"model": {"parameters": 500_000, "folder": "a"}}, "study.yaml: model: give either `parameters`"),
    (
        {"tokenizer": {"vocabulary": 999, "folder": "a"}},
        "study.yaml: tokenizer: give `vocabulary` or `folder`",
    ),
    (
        {"tokenizer": {"vocabulary": None}},
        "study.yaml: tokenizer: a new model needs `vocabulary` or `folder`",
    ),
    ({"effort": "huge"}, "study.yaml: effort: must be 'tiny', 'small', 'standard' or 'large', not 'huge'"),
    (
        {"merging": {"method": "liner"}},
        "study.yaml: merging.method: must be 'linear', 'regmean' or 'fisher', not 'liner'",
    ),
    ({"averaging_bonus": "maybe"}, "study.yaml: averaging_bonus: must be true or false, not 'maybe'"),
    (
        {"branch_training": {"learning_rate": float("inf")}},
        "study.yaml: branch_training.learning_rate: must be a finite number, not inf",
    ),
    (
        {"branch_training": {"tail_average": 1}},
        "study.yaml: branch_training.tail_average: must be less than 1, not 1",
    ),
    ({"branch_training": {"snapshots": [2]}}, "study.yaml: branch_training.snapshots.0: must be less than 1"),
    ({"split": {"seed": 0.97}}, "study.yaml: split: `evaluation` and `seed` together must stay below 1"),
    ({"split": {"seed": 0}}, "study.yaml: split.seed: the seed model is trained, so it needs a share"),
    ({"seed_training": {"tokens": 0}}, "study.yaml: seed_training.tokens: a new model has to be trained"),
    (
        {"seed_training": {"mixture": {"wbe": 1}}},
        'study.yaml: seed_training.mixture: "wbe" is no source of the seed; did you mean "web"?',
    ),
    (
        {"seed_training": {"mixture": "equal"}},
        "study.yaml: seed_training.mixture: must be uniform, proportional or weights by source, not 'equal'",
    ),
    (
        {"seed_training": {"mixture": {"web": 0}}},
        "study.yaml: seed_training.mixture: at least one weight must be above zero",
    ),
    (
        {"sources": {"a": {"paths": "a", "in_seed": False}}},
        "study.yaml: sources: the seed model is trained, so at least one needs `in_seed: true`",
    ),
    ({"pool": ["wbe"]}, 'study.yaml: pool: "wbe" is no source; did you mean "web"?'),
    ({"pool": ["web", "web"]}, "study.yaml: pool: a source stands twice"),
    ({"pool": "web"}, "study.yaml: pool: must be a list, not 'web'"),
    ({"pool": ["web"], "limits": {"maximum": {"code": 0.5}}}, '"code" is no source of the pool'),
    ({"limits": {"minimum": {"web": 1.5}}}, "study.yaml: limits.minimum.web: must be at most 1, not 1.5"),
    ({"limits": {"maximum": {"web": 30}}}, "must be at most 1, not 30; say 0.3 for 30 percent"),
    ({"limits": {"ratios": [{"wbe": 1}]}}, 'study.yaml: limits.ratios.0: "wbe" is no source of the pool'),
    ({"evaluations": {"x": {"source": "wbe"}}}, 'evaluations.x: "wbe" is no source; did you mean "web"?'),
    ({"evaluations": {"x": {"sorce": "web"}}}, 'evaluations.x: unknown key "sorce"; did you mean "source"?'),
    ({"evaluations": {"x": {}}}, "evaluations.x: needs either `source`"),
    ({"evaluations": {"web": "other.txt"}}, "evaluations.web: a source has that name"),
    ({"evaluations": {"target": "other.txt"}}, 'evaluations.target: reports call the weighted mean "target"'),
    ({"sources": {"target": "target.txt"}}, 'sources.target: reports call the weighted mean "target"'),
    ({"sources": {"": "a.txt"}}, "study.yaml: sources: '' is no name"),
    ({"sources": {"a\u202eb": "a.txt"}}, "has a character that turns the direction of text; remove it"),
    ({"sources": {"a\nb": "a.txt"}}, "study.yaml: sources: the name 'a\\nb' has a control character"),
    ({"evaluations": {"\x1b[31m": "a.txt"}}, "evaluations: the name '\\x1b[31m' has a control character"),
    ({"evaluations": {"held_out": False}}, "study.yaml: evaluations: there is none"),
    ({"target": {"weights": {"wbe": 1}}}, 'study.yaml: target.weights: "wbe" is no evaluation; did you mean'),
    ({"target": {"weights": {"web": 0}}}, "target.weights: at least one weight must be above zero"),
    (
        {"target": {"weights": {"web": 1e308, "code": 1e308}}},
        "weights: the weights are too large to be added",
    ),
    ({"references": {"count": 2, "replicates": 3}}, "references: 3 replicates of 2 references"),
    ({"seed": 2**63 - 1}, "study.yaml: seed: must be less than 4.61169e+18"),
    ({"seed": -1}, "study.yaml: seed: must be at least 0, not -1"),
    ({"name": ""}, "study.yaml: name: "),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_wrong_is_told_with_its_key(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**wrong)
    assert message in str(caught.value)
    assert all(line.startswith("study.yaml: ") for line in str(caught.value).splitlines())


def test_several_problems_are_told_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(seed="x", pol=[], name=3)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert keys == ["seed", 'unknown key "pol"; did you mean "pool"?', "name"]


def test_a_typing_error_in_the_branches_is_told_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(branch_training={"learning_rte": 1})
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("version", [2, 99])
def test_newer_schemas(version: int) -> None:
    with pytest.raises(SchemaError, match=f"schema: {version} is newer than this cuvee knows"):
        StudyConfig.parse(SMALLEST | {"schema": version}, Path())


@pytest.mark.parametrize(
    ("version", "message"),
    [(0, "schema: 0 is unknown"), (-1, "unknown"), ("1", "must be a whole number"), (True, "whole number")],
)
def test_impossible_schemas(version: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudyConfig.parse(SMALLEST | {"schema": version}, Path())


def test_a_missing_schema() -> None:
    with pytest.raises(ConfigError, match="schema: is missing; write `schema: 1` at the top"):
        StudyConfig.parse({"sources": {"a": "a"}}, Path())


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["web", "paths", "tokens", "folder", "parameters", "held_out", "weights", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
    ),
    st.sampled_from([key for key in FULL.replace(":", "\n").split() if key.islower() and key.isidentifier()]),
)
def test_whatever_stands_in_a_key_it_is_valid_or_a_config_error(value: Any, key: str) -> None:
    # Anything else than a ConfigError fails the test.
    with contextlib.suppress(ConfigError):
        parsed(**{key: value})


# --- YAML -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9), ("2.5e6", 2.5e6), ("2.5e-6", 2.5e-6), ("1_000", 1000), ("-3", -3), (".5", 0.5),
        ("3.", 3.0),
        ("010", 10), ("0x1f", "0x1f"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("true", True),
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("~", None), ("", None), ("e9", "e9"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_yaml(f"key: {text}", "x")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: 1\nname: a\nname: b\n", 'study.yaml:3: key "name" stands twice'),
        ("sources:\n  a: x\n  b: y\n  a: z\n", 'study.yaml:4: key "a" stands twice'),
        ("sources: {a: [1, 2\n", "study.yaml:2: "),
        ("a: b: c\n", "study.yaml:1: mapping values are not allowed here"),
        ("- a\n", "study.yaml: must hold keys with values"),
        ("", "study.yaml: must hold keys with values"),
        ("a: !!python/object:os.system {}\n", "study.yaml:1: could not determine a constructor"),
        ("a: \x07\n", "study.yaml: not YAML"),
    ],
)
def test_broken_yaml_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        StudyConfig.load(path)
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        StudyConfig.load(tmp_path / "none.yaml")
    (tmp_path / "study.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        StudyConfig.load(tmp_path)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(PLAIN)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse_yaml(f"key: {yaml_value(value)}\n", "x")["key"] == value


# --- the template -----------------------------------------------------------------------------------


def uncommented(text: str) -> str:
    """Every default of the template made active."""
    return re.sub(r"(?m)^#(?=\S|  )", "", text)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"effort": "standard"},
        {"model": {"folder": "m"}},
        {"seed_training": {"tokens": 5000}, "pool": ["web"]},
    ],
)
def test_the_template_says_what_was_chosen_and_shows_the_defaults(more: dict[str, Any]) -> None:
    text = commented_study(SMALLEST | more, {"web": "3 files"})
    folder = Path("/studies/one")
    assert StudyConfig.parse(parse_yaml(text, "t"), folder) == parsed(**more)
    assert StudyConfig.parse(parse_yaml(uncommented(text), "t"), folder) == parsed(**more)
    assert "web: web  # 3 files" in text
    assert max(map(len, text.splitlines())) <= 100


def test_one_key_can_be_made_active_alone() -> None:
    text = commented_study(SMALLEST).replace("#  seeds: 1", "  seeds: 4")
    assert StudyConfig.parse(parse_yaml(text, "t"), Path()).branch_training.seeds == 4


def test_every_field_has_words_and_the_template_shows_them() -> None:
    shown = " ".join(commented_study(SMALLEST).replace("#", " ").split())
    classes = [StudyConfig] + [
        thing
        for thing in vars(settings).values()
        if isinstance(thing, type) and issubclass(thing, settings.Settings)
    ]
    for owner in classes:
        fields: dict[str, Any] = owner.model_fields if issubclass(owner, BaseModel) else {}
        for name, field in fields.items():
            assert field.description, f"{owner.__name__}.{name} has no docstring"
            if owner is StudyConfig:
                assert " ".join(field.description.split()) in shown, name


# --- adding a source to a file ----------------------------------------------------------------------

LAYOUTS = {
    "block": "schema: 1\n# ours\nsources:\n  a: x  # first\n  # about b\n  b:\n    paths:\n      - y\n"
    "      - z # last\n\n# the rest\nname: n\n",
    "no newline at the end": "schema: 1\nsources:\n    a: x",
    "flow": "schema: 1\nsources: {a: x, b: [y, z]}  # short\nseed: 3\n",
    "flow over lines": "schema: 1\nsources: {\n  a: x,  # one\n  b: y\n}\nseed: 3\n",
    "flow values": "schema: 1\nsources:\n  a: {paths: [x], units: 2} # ok\nname: n # end\n",
    "quoted": "schema: 1\nsources:\n  'a b': \"x # y\"  # no # here\n",
    "pool in a line": "schema: 1\nsources:\n  a: x\n  b: y\npool: [a, b]  # both\n",
    "pool as a list": "schema: 1\npool:\n- a\n- b # second\nsources:\n  a: x\n  b: y\n",
    "text block": "schema: 1\nsources:\n  a: x\n  b: |-\n    y\n    z\nname: n\n",
    "windows": "schema: 1\r\nsources:\r\n  a: x\r\n  b: y # end\r\nname: n\r\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_adding_a_source_keeps_everything_else(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(LAYOUTS[layout].encode())
    before = StudyConfig.load(path)
    config = append_source(path, "new one", ["data/new, 1.txt", "b"])
    assert config == StudyConfig.load(path)
    assert list(config.sources) == [*before.sources, "new one"]
    assert config.sources["new one"].paths == (str(tmp_path / "data/new, 1.txt"), str(tmp_path / "b"))
    assert config.seed_sources == tuple(before.sources)
    assert config.pool_sources == (*before.pool_sources, "new one")
    after = path.read_bytes().decode()
    comments = re.findall(r"#.*", LAYOUTS[layout])
    assert all(comment in after for comment in comments)
    pieces = iter(after)
    assert all(character in pieces for character in LAYOUTS[layout]), "something was taken away"


def test_tokens_of_a_source_are_added_with_it(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(commented_study(SMALLEST))
    assert append_source(path, "new", ["x"], tokens=2_000_000_000).sources["new"].tokens == 2_000_000_000
    assert append_source(path, "new", ["x"], tokens=2_000_000_000) == StudyConfig.load(path)
    with pytest.raises(ConfigError, match=r'"new" is there already; change its `tokens`'):
        append_source(path, "new", ["x"], tokens=1)


def test_a_template_says_whose_defaults_it_shows() -> None:
    assert "`effort: tiny`; other efforts" in commented_study(SMALLEST | {"effort": "tiny"})


def test_adding_twice_and_to_a_template(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(commented_study(SMALLEST | {"pool": ["web"]}))
    append_source(path, "one", ["x"])
    config = append_source(path, "two", ["y"])
    assert list(config.sources) == ["web", "code", "one", "two"]
    assert config.pool == ("web", "one", "two")


@pytest.mark.parametrize(
    ("name", "paths", "message"),
    [("web", ["x"], 'already a source "web"'), ("new", [], "sources.new: needs `paths`")],
)
def test_what_cannot_be_added_leaves_the_file_alone(
    tmp_path: Path, name: str, paths: list[str], message: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(commented_study(SMALLEST))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=message):
        append_source(path, name, paths)
    assert path.read_bytes() == before


# --- the folder -------------------------------------------------------------------------------------


def test_the_folder_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text("schema: 1\n")
    monkeypatch.chdir(tmp_path)
    for told in (Path("study.yaml"), Path(), tmp_path):
        folder = StudyFolder.of(told)
        assert folder.root == tmp_path
        assert folder.store == tmp_path / "store.sqlite"
        assert folder.shard("k") == tmp_path / "shards" / "k"
        assert folder.fit("k") == tmp_path / "fits" / "k.json"
    with pytest.raises(ConfigError, match="there is no study"):
        StudyFolder.of(tmp_path / "elsewhere" / "study.yaml")


def test_a_study_is_held_by_one_process(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    code = f"from cuvee.study.file.folder import *\nwith StudyFolder(Path({str(tmp_path)!r})).locked(): pass"
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    with folder.locked(), pytest.raises(StoreError, match="another cuvee"), StudyFolder(tmp_path).locked():
        pass
    with folder.locked():
        other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert "another cuvee" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


# --- looking at a folder of data --------------------------------------------------------------------


def test_sub_folders_and_files_are_sources(tmp_path: Path) -> None:
    (tmp_path / "web" / "deep").mkdir(parents=True)
    (tmp_path / "web" / "deep" / "a.jsonl").write_text('{"text": "x", "url": "long long"}\n\n{"text": "y"}\n')
    (tmp_path / "web" / "b.jsonl").write_text('{"text": "z"}\n')
    (tmp_path / "mail.jsonl").write_text('{"id": "1", "message": "hello"}\n')
    (tmp_path / "book.txt").write_text("once")
    (tmp_path / "marked.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "after a byte-order mark"}\n')
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a.txt").write_text("made by us")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.cuvee").mkdir()
    (tmp_path / "other.cuvee" / "study.yaml").touch()
    (tmp_path / "other.cuvee" / "report.md").write_text("a study")
    found = {source.name: source for source in inspect(tmp_path)}
    assert list(found) == ["book", "mail", "marked", "web"]
    assert (found["web"].files, found["web"].documents_sampled, found["web"].text_field) == (2, 3, "text")
    assert found["mail"].text_field == "message"
    assert found["book"].note == "1 file, 4 bytes of text, 1 document sampled"


def test_compressed_and_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    for name, codec in (("a.jsonl.zst", "zstd"), ("b.jsonl.gz", "gzip")):
        with pa.CompressedOutputStream(str(tmp_path / name), codec) as stream:
            stream.write(b"".join(b'{"content": "text %d"}\n' % i for i in range(70)))
    pq.write_table(pa.table({"n": [1, 2], "body": ["x", "y"]}), tmp_path / "c.parquet")
    found = {source.name: (source.documents_sampled, source.text_field) for source in inspect(tmp_path)}
    assert found == {"a": (50, "content"), "b": (50, "content"), "c": (2, "body")}


def test_the_size_of_text_is_that_of_the_text(tmp_path: Path) -> None:
    """Compression, keys and other fields are not text; what a sample says is called an estimate."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(2000)]
    texts = [" ".join(rng.choice(words, size=int(rng.integers(50, 150)))) for _ in range(4000)]
    lines = "".join(json.dumps({"id": i, "body": text}) + "\n" for i, text in enumerate(texts)).encode()
    for name, codec in (("zst.jsonl.zst", "zstd"), ("gz.jsonl.gz", "gzip"), ("bz.txt.bz2", "bz2")):
        with pa.CompressedOutputStream(str(tmp_path / name), codec) as stream:
            stream.write("\n".join(texts).encode() if ".txt" in name else lines)
    (tmp_path / "plain.jsonl").write_bytes(lines)
    pq.write_table(pa.table({"n": list(range(4000)), "body": texts}), tmp_path / "columns.parquet")
    (tmp_path / "book.txt").write_text("é" * 600_000)
    whole = sum(map(len, texts))
    found = {source.name: source for source in inspect(tmp_path)}
    assert (found["book"].text_bytes, found["book"].size) == (1_200_000, "1.2 MB")
    for name in ("zst", "gz", "bz", "plain", "columns"):
        assert found[name].text_bytes == pytest.approx(whole, rel=0.1), name
        assert found[name].size == f"about {found[name].text_bytes / 1e6:.1f} MB"
    assert found["zst"].bytes < 0.5 * whole


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{broken\n", r"a\.jsonl:1: is no valid JSON"),
        ("a.jsonl", b'{"n": 1}\n', r"a\.jsonl: no field looks like text \(`n` holds numbers\)"),
        ("a.parquet", b"no", r"a\.parquet:1: cannot read on"),
        ("a.exe", b"", "no file of a known kind"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CuveeError, match=message):
        inspect(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingSource, match="no such folder"):
        inspect(tmp_path / "none")


def test_a_template_names_the_choices_of_a_setting() -> None:
    text = commented_study(SMALLEST)
    assert "One of: mixed, subsets, dirichlet, space_filling." in " ".join(text.replace("#", "").split())
    assert "One of: 1." not in text


def test_an_optimizer_that_needs_whole_matrices_is_not_shared() -> None:
    with pytest.raises(ConfigError, match=r"seed_training\.processes: muon needs whole matrices"):
        parsed(seed_training={"processes": 2, "optimizer": "muon"})


# Adapters


def test_adapters_are_those_of_a_model_that_is_there() -> None:
    config = parsed(model={"folder": "llama", "adapters": {"rank": 8, "target_modules": ["q_proj"]}})
    assert config.model.adapters is not None
    assert (config.model.adapters.rank, config.model.adapters.alpha) == (8, None)
    assert config.model.adapters.target_modules == ("q_proj",)
    assert not config.model.adapters.references
    assert parsed(model={"folder": "llama"}).model.adapters is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"adapters": {"rank": 8}},
            "model: `adapters` are those of a model that is there: give its `folder`",
        ),
        ({"folder": "llama", "adapters": {"rank": 0}}, "model.adapters.rank: must be greater than 0, not 0"),
        ({"folder": "llama", "adapters": {}}, "model.adapters.rank: is missing"),
        ({"folder": "llama", "adapters": {"rank": 2, "alpha": 0}}, "model.adapters.alpha: must be greater"),
        ({"folder": "llama", "adapters": {"rnk": 2}}, 'unknown key "rnk"; did you mean "rank"?'),
        ({"folder": "llama", "adapters": 3}, "model.adapters: must be"),
    ],
)
def test_adapters_that_make_no_sense(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(model=model)
    assert message in str(caught.value)


def test_rates_of_adapters_are_none_for_whole_models() -> None:
    adapted = {"folder": "llama", "adapters": {"rank": 8}}
    config = parsed(model=adapted)
    assert config.branch_training.learning_rate == pytest.approx(1e-3)
    assert config.reference_training.learning_rate == 1e-4
    given = parsed(model=adapted, branch_training={"learning_rate": 5e-3, "clip": 2})
    assert given.branch_training.learning_rate == 5e-3
    assert given.reference_training.learning_rate == 1e-4
    assert given.reference_training.clip == 2
    both = parsed(
        model={"folder": "llama", "adapters": {"rank": 8, "references": True}},
        branch_training={"learning_rate": 5e-3},
    )
    assert both.reference_training.learning_rate == 5e-3


def test_adapters_are_no_part_of_the_digest_until_somebody_says_so() -> None:
    plain = parsed(model={"folder": "/llama"})
    assert parsed(model={"folder": "/llama", "adapters": None}).digest == plain.digest
    assert parsed(model={"folder": "/llama", "adapters": {"rank": 8}}).digest != plain.digest
    # As it was before there were any.
    assert plain.digest == "44e8bcc04ad588d7"


def test_duplicates_at_their_default_change_no_digest() -> None:
    plain = StudyConfig.parse({"schema": 1, "sources": {"a": "a.txt"}}, Path())
    said = {"schema": 1, "sources": {"a": "a.txt"}, "duplicates": {"near": None}}
    near = said | {"duplicates": {"near": 0.8, "found": "report"}}
    assert StudyConfig.parse(said, Path()).digest == plain.digest
    assert StudyConfig.parse(near, Path()).digest != plain.digest
    with pytest.raises(ConfigError, match=r"duplicates\.near"):
        StudyConfig.parse(said | {"duplicates": {"near": 1.5}}, Path())
