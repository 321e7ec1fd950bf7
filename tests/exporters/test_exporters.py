"""Every exporter: bytes as kept, shares as asked, and what is missing told.

After a wanted change, ``CUVEE_WRITE_GOLD=1 python -m pytest tests/exporters`` writes the gold files anew;
read the difference before committing it.
"""

import ast
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.ablation.result import TiedMixture
from cuvee.errors import ConfigError
from cuvee.exporters import EXPORTERS, Exporter, ExportRequest, SourceFacts, exporter_named
from cuvee.exporters.decided import read_decided
from cuvee.exporters.interface import number
from cuvee.exporters.loading import FIRST_IMPORTS, loader
from cuvee.exporters.quoting import yaml_text
from cuvee.exporters.rounding import rounded
from cuvee.mixture.mixture import Mixture
from cuvee.runs.store import RunStore, SourceRecord
from tests.report.cases import choosing
from tests.sources.token_writers import arrow, datatrove, megatron, numpy_array, olmo

GOLD = Path(__file__).with_name("gold")
FACTS = {
    "web": SourceFacts("data/web", 2_000_000_000, 1_000_000),
    "code": SourceFacts("data/source#code", 300_000_000, 100_000),
    "bücher": SourceFacts("data/bücher:'alt'", 50_000_000, 500),
    "spam": SourceFacts("data/spam", 10_000_000, 10_000),
}
MIXTURE = Mixture.of({"web": 0.62, "code": 0.3, "bücher": 0.08, "spam": 0.0})
RECIPE = ExportRequest(MIXTURE, FACTS, target_tokens=1e9, sequence_length=2048, seed=7)


def weights_written(
    exporter: Exporter, text: str, facts: dict[str, SourceFacts] | None = None
) -> dict[str, float]:
    """Path -> weight, read back from the file by a reader that shares nothing with the writer."""
    if exporter.name == "megatron":
        words = text.split()
        return dict(zip(words[1::2], map(float, words[::2]), strict=True))
    if exporter.filename.endswith(".py"):
        tree = ast.parse(text)
        (sources,) = (
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOURCES"
        )
        found: dict[str, float] = ast.literal_eval(sources)
        return found
    document: Any = yaml.safe_load(text)
    rows_there = {fact.path: fact.documents for fact in (facts or FACTS).values()}
    match exporter.name:
        case "megatron-bridge" | "nemo-automodel":
            blend = document["dataset"]["data_path" if exporter.name == "megatron-bridge" else "paths"]
            assert all(isinstance(word, str) for word in blend)
            return dict(zip(blend[1::2], map(float, blend[::2]), strict=True))
        case "olmo-core":
            return {entry["paths"][0]: entry["target_ratio"] for entry in document["sources"]}
        case "levanter":
            parts = document["data"]["components"]
            assert {part["source"]["type"] for part in parts.values()} == {"url"}
            paths = {name: part["source"]["train_urls"][0] for name, part in parts.items()}
            return {paths[name]: weight for name, weight in document["data"]["train_weights"].items()}
        case "lingua":
            return dict(document["data"]["sources"])
        case "mosaicml":
            streams = document["train_loader"]["dataset"]["streams"].values()
            return {s.get("local") or s["remote"]: s["proportion"] for s in streams}
        case "gpt-neox":
            return dict(zip(document["train-data-paths"], document["train-data-weights"], strict=True))
        case "llama-factory":
            names = document["dataset"].split(",")
            return dict(zip(names, map(float, document["interleave_probs"].split(",")), strict=True))
        case "axolotl":
            rows: dict[str, float] = {}
            for entry in document["datasets"]:
                part = re.fullmatch(r"train(?:\[:(\d+)\])?", entry["split"])
                assert part and entry["type"] == "completion"
                read = int(part[1]) if part[1] else rows_there[entry["path"]]
                rows[entry["path"]] = rows.get(entry["path"], 0) + read * document["num_epochs"]
            return rows
        case "ms-swift":
            return dict(zip(document["dataset"], document["interleave_prob"], strict=True))
        case "trl":
            assert {entry["split"] for entry in document["datasets"]} == {"train"}
            return {e.get("data_files", e["path"]): e["fraction"] for e in document["datasets"]}
    raise AssertionError(f"no reader for {exporter.name}: write one here")


def token_shares(
    exporter: Exporter, weights: dict[str, float], facts: dict[str, SourceFacts]
) -> dict[str, float]:
    """What share of the tokens each source gets if a weight counts what the exporter says."""
    by_path = {fact.path: (name, fact) for name, fact in facts.items()}
    tokens = {}
    for path, weight in weights.items():
        name, fact = by_path[path]
        each = {"samples": 1.0, "tokens": 1.0}
        tokens[name] = weight * each.get(exporter.unit, fact.tokens / max(fact.documents, 1))
    total = math.fsum(tokens.values())
    return {name: value / total for name, value in tokens.items()}


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_file_is_the_one_that_is_kept(name: str) -> None:
    exporter = EXPORTERS[name]
    written = exporter.export(RECIPE)
    text = written.text + "".join(f"# {sentence}\n" for sentence in written.cannot)
    path = GOLD / f"{name}-{exporter.filename}.txt"
    if os.environ.get("CUVEE_WRITE_GOLD"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; see {__name__}"


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_trainer_that_reads_it_gets_the_mixture(name: str) -> None:
    exporter = EXPORTERS[name]
    written = exporter.export(RECIPE)
    found = token_shares(exporter, weights_written(exporter, written.text), FACTS)
    within = 1e-12 if exporter.unit in ("samples", "tokens") else 5e-5  # six decimals of other weights
    assert found == pytest.approx({"web": 0.62, "code": 0.3, "bücher": 0.08}, abs=within)
    assert any("share of zero: spam" in sentence for sentence in written.cannot)


@given(
    shares=st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=6),
    lengths=st.lists(st.integers(1, 10**6), min_size=6, max_size=6),
)
def test_any_mixture_comes_back(shares: list[float], lengths: list[int]) -> None:
    names = [f"s{i}" for i in range(len(shares))]
    total = math.fsum(shares)
    mixture = Mixture.of({name: share / total for name, share in zip(names, shares, strict=True)})
    facts = {
        name: SourceFacts(name, length * 1000, 1000) for name, length in zip(names, lengths, strict=False)
    }
    kept = [name for name in mixture.support if mixture.share(name) >= 1e-4]
    for exporter in EXPORTERS.values():
        written = exporter.export(ExportRequest(mixture, facts)).text
        weights = weights_written(exporter, written, facts)
        found = token_shares(exporter, weights, facts)
        # Six decimals, and three digits of the smallest share of documents; of rows kept, half a row each.
        long = {name: lengths[names.index(name)] for name in kept}
        row = max(long.values()) * len(kept) / math.fsum(weights[name] * long[name] for name in kept)
        within = row if exporter.unit == "rows kept" else 2e-6
        assert found == pytest.approx(mixture.restrict(kept).as_dict(), rel=1e-2, abs=within)


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=12))
def test_rounded_shares_sum_to_one_exactly(values: list[float]) -> None:
    total = math.fsum(values)
    shares = {f"s{i}": value / total for i, value in enumerate(values)}
    found = rounded(shares)
    assert sum((Decimal(number(share)) for share in found.values()), Decimal(0)) == 1
    assert found == pytest.approx(shares, abs=1e-6)
    least = min(shares, key=lambda name: shares[name])
    assert found[least] == pytest.approx(shares[least], rel=1e-2)
    assert rounded({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {"a": 0.333334, "b": 0.333333, "c": 0.333333}


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_share_that_makes_no_difference_is_left_out_and_told(name: str) -> None:
    mixture = Mixture.of({"web": 0.7 - 4e-7, "code": 0.3, "spam": 4e-7})
    facts = {source: FACTS[source] for source in mixture.names}
    written = EXPORTERS[name].export(ExportRequest(mixture, facts))
    assert "spam" not in written.text
    assert any(
        s
        == "Left out, as less than 0.01% of the tokens or than one document: spam (4e-05%); the other shares "
        "make up for it."
        for s in written.cannot
    )
    weights = weights_written(EXPORTERS[name], written.text)
    if EXPORTERS[name].unit != "rows kept":
        assert sum((Decimal(number(weight)) for weight in weights.values()), Decimal(0)) == 1


def test_less_than_a_document_in_the_whole_run_is_left_out() -> None:
    mixture = Mixture.of({"web": 0.99, "bücher": 0.01})  # of which one has 100,000 tokens
    facts = {source: FACTS[source] for source in mixture.names}
    assert set(ExportRequest(mixture, facts, target_tokens=2e7).shares) == {"web", "bücher"}
    assert ExportRequest(mixture, facts, target_tokens=5e6).shares == {"web": 1.0}


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_row_tells_what_it_is(name: str) -> None:
    exporter = exporter_named(name)
    assert exporter.name == name
    assert exporter.documentation.startswith("https://")
    assert exporter.version and exporter.title and exporter.filename


@pytest.mark.parametrize(
    "name", [n for n, one in EXPORTERS.items() if one.unit in ("documents", "rows kept")]
)
def test_what_the_unit_needs_is_asked_for_at_once(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EXPORTERS[name].export(ExportRequest(MIXTURE, {"code": SourceFacts(tokens=5)}))
    told = str(caught.value)
    assert "depend on the tokens of web, bücher" in told
    assert "--tokens web=COUNT --tokens bücher=COUNT" in told
    documents = "--documents web=COUNT --documents code=COUNT --documents bücher=COUNT"
    assert documents in told
    assert "spam" not in told


@pytest.mark.parametrize("name", [n for n, one in EXPORTERS.items() if one.unit in ("samples", "tokens")])
def test_shares_alone_are_enough_where_weights_are_shares(name: str) -> None:
    written = EXPORTERS[name].export(ExportRequest(MIXTURE))
    assert weights_written(EXPORTERS[name], written.text) == {"web": 0.62, "code": 0.3, "bücher": 0.08}


def test_reading_again_is_told() -> None:
    written = EXPORTERS["megatron"].export(RECIPE)
    assert any("code" not in s.split(":")[0] and "bücher (1.6 times)" in s for s in written.cannot)
    olmo = yaml.safe_load(EXPORTERS["olmo-core"].export(RECIPE).text)
    ratios = {entry["source_name"]: entry["max_repetition_ratio"] for entry in olmo["sources"]}
    assert ratios == {"web": 1.0, "code": 1.0, "bücher": 1.6}


def test_axolotl_reads_as_many_rows_as_the_run_needs() -> None:
    written = EXPORTERS["axolotl"].export(RECIPE)
    document = yaml.safe_load(written.text)
    # 310,000 rows of 2,000 tokens, 100,000 of 3,000, and 800 of 100,000: books are read 1.6 times.
    splits = [(entry["path"], entry["split"]) for entry in document["datasets"]]
    assert splits == [
        ("data/web", "train[:310000]"),
        ("data/source#code", "train"),
        ("data/bücher:'alt'", "train"),
        ("data/bücher:'alt'", "train[:300]"),
    ]
    assert document["num_epochs"] == 1
    # Web alone is not read whole: 620M of 2000M tokens; all sources together have 2350M.
    assert any("59% are never read" in sentence for sentence in written.cannot)
    assert "weight" not in written.text


def test_axolotl_leaves_what_all_are_read_to_epochs() -> None:
    written = EXPORTERS["axolotl"].export(ExportRequest(MIXTURE, FACTS, target_tokens=8e9))
    document = yaml.safe_load(written.text)
    # Web 2.48, code 8, books 12.8 times: two epochs of 1.24, 4 and 6.4 times.
    assert document["num_epochs"] == 2 and len(document["datasets"]) == 2 + 4 + 7
    once = EXPORTERS["axolotl"].export(ExportRequest(MIXTURE, FACTS))
    # Nothing said of the run: the densest source is read whole once.
    assert [e["split"] for e in yaml.safe_load(once.text)["datasets"]][2] == "train"
    with pytest.raises(ConfigError, match="'bücher' would be read 16000 times"):
        EXPORTERS["axolotl"].export(
            ExportRequest(
                Mixture.of({"web": 0.2, "bücher": 0.8}), {n: FACTS[n] for n in ("web", "bücher")}, 1e12
            )
        )


@pytest.mark.parametrize("name", EXPORTERS)
def test_spaces_in_paths_are_kept_or_refused(name: str) -> None:
    facts = {source: SourceFacts(f"my data/{source}", 1000, 10) for source in MIXTURE.names}
    if name == "megatron":
        with pytest.raises(ConfigError, match="divides at spaces"):
            EXPORTERS[name].export(ExportRequest(MIXTURE, facts))
        return
    written = EXPORTERS[name].export(ExportRequest(MIXTURE, facts)).text
    assert list(weights_written(EXPORTERS[name], written, facts)) == [
        f"my data/{s}" for s in ("web", "code", "bücher")
    ]


def test_a_comma_in_a_name_is_refused_where_names_are_a_list() -> None:
    facts = {name: SourceFacts(f"a,{name}", 10, 1) for name in MIXTURE.names}
    with pytest.raises(ConfigError, match="divides names at commas"):
        EXPORTERS["llama-factory"].export(ExportRequest(MIXTURE, facts))


def test_two_sources_at_one_path_are_refused() -> None:
    facts = {"web": SourceFacts("data/all"), "code": SourceFacts("data/all")}
    with pytest.raises(ConfigError, match="'web' and 'code' have one path, 'data/all'"):
        ExportRequest(MIXTURE, facts)
    ExportRequest(MIXTURE, {"web": SourceFacts("data/all"), "spam": SourceFacts("data/all")})


@pytest.mark.parametrize("name", [n for n, one in EXPORTERS.items() if one.filename.endswith(".py")])
def test_a_name_cannot_become_a_line_of_the_program(name: str) -> None:
    hostile = "web\nraise SystemExit\n#"
    text = (
        EXPORTERS[name]
        .export(ExportRequest(Mixture.of({hostile: 1.0}), {hostile: SourceFacts("p", 9, 1)}))
        .text
    )
    assert not [node for node in ast.parse(text).body if isinstance(node, ast.Raise)]
    assert weights_written(EXPORTERS[name], text) == {"p": 1.0}


# --- what each trainer's source asks for ------------------------------------------------------------


def said(name: str, recipe: ExportRequest = RECIPE) -> str:
    return " ".join(EXPORTERS[name].export(recipe).cannot)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("megatron", "--split"),
        ("gpt-neox", "valid-data-paths"),
        ("gpt-neox", "train-epochs exclude"),
        ("lingua", "*.chunk.*.jsonl"),
        ("lingua", "dropped without a word"),
        ("olmo-core", "global_batch_size"),
        ("olmo-core", ".npy files that exist"),
        ("levanter", "experiment_budget"),
        ("levanter", "num_validation_sequences or max_train_batches"),
        ("llama-factory", "eval_dataset must list one for each"),
        ("llama-factory", "set max_steps"),
        ("llama-factory", "bücher (1.6 times)"),
        ("litdata", "here bücher first, after 625M tokens"),
        ("torchtitan-main", "holds a single source"),
        ("torchtitan-main", "Each rank draws in an order of its own"),
        ("torchtitan", "same draws on every rank"),
        ("nemo-automodel", "domain_mixture"),
        ("ms-swift", "left out by default"),
        ("trl", "for all data sets or none"),
    ],
)
def test_what_a_trainer_asks_for_is_said(name: str, words: str) -> None:
    assert words in said(name)


def test_streams_are_shuffled_together() -> None:
    dataset = yaml.safe_load(EXPORTERS["mosaicml"].export(RECIPE).text)["train_loader"]["dataset"]
    assert dataset["shuffle"] is True and dataset["shuffle_seed"] == 7


@pytest.mark.parametrize("name", ["hugging-face", "torchtitan", "torchtitan-main"])
def test_plain_text_is_a_row_a_file(name: str) -> None:
    assert 'sample_by="document"' in EXPORTERS[name].export(RECIPE).text


@pytest.mark.parametrize("name", ["a[1].jsonl", "a[1].txt", "a?.parquet", "folder"])
def test_names_of_files_are_no_patterns(name: str, tmp_path: Path) -> None:
    """Data files are patterns for datasets: a[1].jsonl would be read as a1.jsonl."""
    (tmp_path / "folder").mkdir()
    for file in (
        "a[1].jsonl",
        "a1.jsonl",
        "a[1].txt",
        "a1.txt",
        "a?.parquet",
        "ab.parquet",
        "folder/b[1].txt",
    ):
        (tmp_path / file).write_text("{}")
    asked: list[Any] = []

    def load_dataset(kind: str, data_files: Any = None, **_: Any) -> Any:
        asked.append(data_files)
        return SimpleNamespace(select_columns=lambda _: None)

    space: dict[str, Any] = {"load_dataset": load_dataset, "FIELDS": {}}
    exec("\n".join([*FIRST_IMPORTS, *loader()]), space)
    space["load"](str(tmp_path / name), streaming=False)
    patterns = asked if isinstance(asked[0], str) else asked[0]
    there = [str(file) for file in sorted(tmp_path.rglob("*"))]
    found = [file for pattern in patterns for file in there if fnmatchcase(file, pattern)]
    assert found == [str(tmp_path / ("folder/b[1].txt" if name == "folder" else name))]


@pytest.mark.parametrize("name", ["axolotl", "ms-swift", "trl", "llama-factory"])
def test_lines_are_not_taken_for_documents(name: str) -> None:
    facts = {"web": SourceFacts(tokens=1000, documents=4, text=("/t/web.txt",), by_study=True)}
    with pytest.raises(ConfigError, match=r"a row a line.*--path web=PATH, or say --documents web=LINES"):
        EXPORTERS[name].export(ExportRequest(Mixture.of({"web": 1.0}), facts))
    counted = {"web": SourceFacts("/t/web.txt", 1000, 40)}
    assert "a document a line there; so are web" in said(
        name, ExportRequest(Mixture.of({"web": 1.0}), counted)
    )


def test_the_text_field_of_a_source_is_passed_on() -> None:
    facts = {
        "web": SourceFacts("/d/web.jsonl", 1000, 10),
        "code": SourceFacts("/d/code.jsonl", 1000, 10, text_field="body"),
    }
    recipe = ExportRequest(Mixture.of({"web": 0.5, "code": 0.5}), facts)
    axolotl = yaml.safe_load(EXPORTERS["axolotl"].export(recipe).text)["datasets"]
    assert [entry.get("field") for entry in axolotl] == [None, "body"]
    levanter = yaml.safe_load(EXPORTERS["levanter"].export(recipe).text)["data"]["components"]
    assert levanter["code"]["format"] == {"type": "text", "text_key": "body"}
    assert "format" not in levanter["web"]
    assert yaml.safe_load(EXPORTERS["ms-swift"].export(recipe).text)["columns"] == {"body": "response"}
    for name in ("hugging-face", "torchtitan", "torchtitan-main"):
        assert "FIELDS = {\n    '/d/code.jsonl': 'body',\n}" in EXPORTERS[name].export(recipe).text
    assert "write code anew" in said("lingua", recipe)
    assert "(code: 'body')" in said("llama-factory", recipe)
    with pytest.raises(ConfigError, match="'web' has it in 'text', 'code' in 'body'"):
        EXPORTERS["trl"].export(recipe)
    alone = ExportRequest(Mixture.of({"code": 1.0}), {"code": facts["code"]})
    trl = yaml.safe_load(EXPORTERS["trl"].export(alone).text)
    assert trl["dataset_text_field"] == "body"
    assert trl["datasets"] == [
        {
            "path": "json",
            "data_files": "/d/code.jsonl",
            "split": "train",
            "columns": ["body"],
            "fraction": 1.0,
        }
    ]


@pytest.mark.parametrize(
    "name", [n for n, one in EXPORTERS.items() if one.filename.endswith(("yaml", "yml"))]
)
@pytest.mark.parametrize("odd", ["a\x85b", "a\x7fb", "a\u2028b", "😀", "a\tb"])
def test_odd_characters_of_paths_survive(name: str, odd: str) -> None:
    path = f"/d/{odd}"
    facts = {"web": SourceFacts(path, 1000, 10)}
    text = EXPORTERS[name].export(ExportRequest(Mixture.of({"web": 1.0}), facts)).text
    assert list(weights_written(EXPORTERS[name], text, facts)) == [path]


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_is_a_yaml_scalar(text: str) -> None:
    assert yaml.safe_load(f"key: {yaml_text(text)}\n") == {"key": text}


def test_olmo_core_gets_a_list_of_sources_and_nothing_else() -> None:
    written = EXPORTERS["olmo-core"].export(RECIPE)
    assert list(yaml.safe_load(written.text)) == ["sources"]
    assert any("requested_tokens=1000000000" in sentence for sentence in written.cannot)


def test_lingua_joins_paths_to_a_root() -> None:
    assert yaml.safe_load(EXPORTERS["lingua"].export(RECIPE).text)["data"]["root_dir"] == "."


def test_levanter_says_which_sources_a_block_leaves_out() -> None:
    mixture = Mixture.of({"web": 0.9996, "code": 0.0004})
    written = EXPORTERS["levanter"].export(ExportRequest(mixture))
    assert any("never read: code;" in sentence for sentence in written.cannot)
    assert not any("never read" in sentence for sentence in EXPORTERS["levanter"].export(RECIPE).cannot)


def test_streams_far_away_are_remote() -> None:
    facts = {"web": SourceFacts("s3://bucket/web")}
    text = EXPORTERS["mosaicml"].export(ExportRequest(MIXTURE, facts)).text
    streams = yaml.safe_load(text)["train_loader"]["dataset"]["streams"]
    assert streams["web"] == {"remote": "s3://bucket/web", "proportion": 0.62}
    assert "local" in streams["code"]


def test_torchtitan_packs_before_it_mixes() -> None:
    text = EXPORTERS["torchtitan-main"].export(RECIPE).text
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (weighted,) = (call for call in calls if ast.unparse(call.func) == "WeightedDataset")
    assert not weighted.args and {one.arg for one in weighted.keywords} == {"dataset", "weight"}
    imported = {a.name for n in ast.parse(text).body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {"WeightedDataset", "DatasetMixConfig", "ConcatThenSplitPackingConfig"} <= imported


def test_ranks_of_torchtitan_main_draw_in_orders_of_their_own() -> None:
    """Its mix draws in one order on all ranks: a step would train on a single source."""
    space = _torchtitan_main(EXPORTERS["torchtitan-main"].export(RECIPE).text)
    loader, policy = space["DATALOADER"], SimpleNamespace(seed=7, dp_rank=3)
    rows = loader["dataset"].build(context=None, dataset_iteration_policy=policy)
    assert loader["seed"] == 7 and loader["repeat"] is True
    assert (rows["window_size"], rows["seed"]) == (128, 10)


def _torchtitan_main(text: str) -> dict[str, Any]:
    """What the module defines, over recorders of the calls of torchtitan and Grain."""
    tree = ast.parse(text)
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        or ast.unparse(node).split()[1] in ("dataclasses", "pathlib")
    ]

    class Config:
        def __init__(self, **fields: Any) -> None:
            self.fields = fields

        def build(self, **_: Any) -> Any:
            return self.fields

        Config = staticmethod(lambda **fields: fields)

    names = ("ConcatThenSplitPackingConfig", "DatasetMixConfig", "GrainDataLoader", "SingleDatasetConfig")
    space: dict[str, Any] = dict.fromkeys((*names, "WeightedDataset", "TextProcessor"), Config)

    def shuffled(rows: Any, **fields: Any) -> dict[str, Any]:
        return {"rows": rows, **fields}

    space["grain"] = SimpleNamespace(experimental=SimpleNamespace(WindowShuffleIterDataset=shuffled))
    exec(compile(tree, "mixture.py", "exec"), space)
    return space


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_samples_of_litdata_come_in_the_mixture(tmp_path: Path) -> None:
    litdata = pytest.importorskip("litdata", reason="litdata is not installed")
    from litdata.streaming.cache import Cache

    torch = pytest.importorskip("torch", reason="torch is not installed")
    for token, (name, samples) in enumerate({"a": 3000, "b": 900}.items()):
        (tmp_path / name).mkdir()
        loader = litdata.TokensLoader(block_size=17)
        cache = Cache(str(tmp_path / name), chunk_size=17 * 50, item_loader=loader)
        for index in range(samples):
            cache[index] = torch.full((17,), token, dtype=torch.int32)
        cache.done()
        cache.merge()
    facts = {name: SourceFacts(str(tmp_path / name)) for name in ("a", "b")}
    recipe = ExportRequest(Mixture.of({"a": 0.7, "b": 0.3}), facts, sequence_length=16, seed=3)
    space: dict[str, Any] = {}
    exec(compile(EXPORTERS["litdata"].export(recipe).text, "mixture.py", "exec"), space)
    drawn = [int(sample[0]) for sample in space["mixture"]()]
    # It ends with b, after about 3000 draws: the share's standard deviation is .008.
    assert len(drawn) > 2000 and sum(drawn) / len(drawn) == pytest.approx(0.3, abs=0.035)


@pytest.mark.parametrize("ending", ["", ".jsonl"])
def test_rows_of_datasets_come_in_the_mixture(tmp_path: Path, ending: str) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra 'hub' is not installed")
    lengths = {"short": 10, "long": 40}
    for name, length in lengths.items():
        rows = [json.dumps({"text": "word " * length})] * 4000
        file = tmp_path / f"{name}.jsonl" if ending else tmp_path / name / "train.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(rows), encoding="utf-8")
    facts = {
        name: SourceFacts(str(tmp_path / f"{name}{ending}"), length * 4000, 4000)
        for name, length in lengths.items()
    }
    mixture = Mixture.of({"short": 0.5, "long": 0.5})
    text = EXPORTERS["hugging-face"].export(ExportRequest(mixture, facts, seed=3)).text
    space: dict[str, Any] = {}
    exec(compile(text, "mixture.py", "exec"), space)
    drawn = space["mixture"](streaming=True).take(3000)
    tokens = dict.fromkeys(lengths.values(), 0)
    for row in drawn:
        count = len(row["text"].split())
        tokens[count] += count
    # 3000 rows at a probability of .8 for the short ones: the share's standard deviation is .011.
    assert tokens[10] / sum(tokens.values()) == pytest.approx(0.5, abs=0.045)
    assert datasets.__version__


def test_a_path_may_hold_equals_signs(tmp_path: Path) -> None:
    shares = tmp_path / "shares.json"
    shares.write_text('{"web": 0.7, "code": 0.3}')

    def placed(*paths: str) -> Any:
        return export(shares, "--to", "gpt-neox", *(word for path in paths for word in ("--path", path)))

    written = json.loads(placed("web=/data/day=01/web").stdout)
    assert written["train-data-paths"] == ["/data/day=01/web", "code"]
    assert "say SOURCE=PATH; the sources are: web, code" in placed("wbe=/data").stderr
    assert "'web' was given before" in placed("web=a", "web=b").stderr


# --- what a study knows -----------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of three sources, of which one is read from two places and one is cut into pieces."""
    (tmp_path / "study.yaml").write_text(
        "schema: 1\nsources:\n  web: text/web.jsonl\n  code: [text/a, text/b]\n"
        "  law: {paths: text/law.txt, chunk_characters: 1000}\n"
    )
    decision = choosing({"web": 0.5, "code": 0.3, "law": 0.2}, {"code": 8000})
    (tmp_path / "decision.json").write_text(json.dumps(decision.as_json()))
    with RunStore(tmp_path / "store.sqlite") as store:
        store.write_sources(
            [
                SourceRecord("web", "1", 100, 4000, 9),
                SourceRecord("code", "2", 10, 4000, 9),
                SourceRecord("law", "3", 50, 4000, 9),
            ]
        )
    return tmp_path


def export(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_a_study_knows_documents_tokens_and_paths(study: Path) -> None:
    short = export(study, "--to", "hugging-face")
    assert "depend on the documents of law, which are unknown; say --documents law=COUNT" in short.stderr
    given = ("--documents", "law=40", "--path", "law=laws")
    for named in (study, study / "study.yaml", study / "decision.json"):
        written = export(named, "--to", "hugging-face", *given)
        weights = weights_written(EXPORTERS["hugging-face"], written.stdout)
        # Documents of web have 40 tokens, of code 400 (more of them in the decision), of law 100.
        parts = {str(study / "text/web.jsonl"): 0.5 / 40, "code": 0.3 / 400, "laws": 0.2 / 100}
        total = sum(parts.values())
        assert weights == pytest.approx({path: part / total for path, part in parts.items()}, abs=1e-6)
        assert "several places or from the hub: code; say --path" in written.stderr


def test_paths_of_text_are_said_to_be_such_where_a_trainer_reads_none(study: Path) -> None:
    written = export(study, "--to", "megatron", "--path", "code=/data/code")
    assert f"0.5 {study / 'text/web.jsonl'}\n0.3 /data/code\n" in written.stdout
    assert "Megatron-LM cannot use this file as it is: it reads binary files under a prefix" in written.stderr
    assert "of the study lies something else: web (text), law (text). Say --path" in written.stderr
    everything = [word for name in ("web", "code", "law") for word in ("--path", f"{name}=/data/{name}")]
    assert "cannot use this file" not in export(study, "--to", "megatron", *everything).stderr
    names = export(study, "--to", "llama-factory", "--documents", "law=40").stdout
    assert yaml.safe_load(names)["dataset"] == "web,code,law"


def test_a_study_beside_its_data_gives_absolute_paths_and_fields(tmp_path: Path) -> None:
    root = tmp_path / "texts.cuvee"
    root.mkdir()
    (root / "study.yaml").write_text(
        "schema: 1\nsources:\n  web: {paths: ../texts/web.jsonl, text_field: body}\n  code: ../texts/*.txt\n"
    )
    decision = choosing({"web": 0.5, "code": 0.5}, {})
    (root / "decision.json").write_text(json.dumps(decision.as_json()))
    with RunStore(root / "store.sqlite") as store:
        store.write_sources([SourceRecord("web", "1", 100, 4000, 9), SourceRecord("code", "2", 10, 4000, 9)])
    written = export(root, "--to", "hugging-face").stdout
    places = (str(tmp_path / "texts/web.jsonl"), str(tmp_path / "texts/*.txt"))
    assert tuple(weights_written(EXPORTERS["hugging-face"], written)) == places
    assert f"FIELDS = {{\n    '{places[0]}': 'body',\n}}" in written and ".." not in written
    # The ten documents of code are files; axolotl would read their lines.
    refused = export(root, "--to", "axolotl")
    assert refused.exit_code and "--path code=PATH, or say --documents code=LINES" in refused.stderr
    counted = export(root, "--to", "axolotl", "--documents", "code=400")
    assert counted.exit_code == 0 and "a document a line there; so are code" in counted.stderr


WRITERS: dict[str, Callable[..., Path]] = {
    "meg": megatron,
    "arr": olmo,
    "trove": datatrove,
    "disk": arrow,
    "npy": numpy_array,
}


@pytest.fixture
def token_study(tmp_path: Path) -> Path:
    """A study of sources that are tokens, two files of Megatron among them."""
    for name, write in WRITERS.items():
        write(tmp_path / "tokens" / name, [[1, 2, 3]] * 4, 0)
    megatron(tmp_path / "tokens/meg/more", [[1, 2, 3]] * 12, 0, dtype="<i4")
    sources = "".join(f"  {name}: tokens/{name}\n" for name in (*WRITERS,))
    (tmp_path / "study.yaml").write_text(f"schema: 1\nsources:\n{sources}tokenizer: {{folder: t}}\n")
    shares = {"meg": 0.4, "arr": 0.3, "trove": 0.1, "disk": 0.1, "npy": 0.1}
    (tmp_path / "decision.json").write_text(json.dumps(choosing(shares, {}).as_json()))
    with RunStore(tmp_path / "store.sqlite") as store:
        store.write_sources([SourceRecord(name, "1", 4, 12, 9) for name in WRITERS])
    return tmp_path


def test_megatron_gets_prefixes_and_weights_by_the_tokens_of_each(token_study: Path) -> None:
    root = token_study / "tokens/meg"
    for trainer in (name for name, one in EXPORTERS.items() if one.tokens == "megatron"):
        written = export(token_study, "--to", trainer)
        weights = weights_written(EXPORTERS[trainer], written.stdout)
        assert weights[str(root / "more/text_document")] == pytest.approx(0.3)
        assert weights[str(root / "text_document")] == pytest.approx(0.1)
        assert "cannot use this file as it is: it reads binary files" in written.stderr
        assert "else: arr (olmo), trove (datatrove), disk (arrow), npy (NumPy with a header). Say --path" in (
            written.stderr
        )


def test_tokens_and_text_beside_each_other_are_one_note(token_study: Path) -> None:
    (token_study / "text").mkdir()
    (token_study / "text/legal.jsonl").write_text('{"text": "a"}\n')
    file = token_study / "study.yaml"
    file.write_text(file.read_text().replace("  arr: tokens/arr", "  arr: text/legal.jsonl"))
    written = export(token_study, "--to", "megatron")
    assert f"{token_study / 'text/legal.jsonl'}\n" in written.stdout
    (said,) = (one for one in written.stderr.splitlines() if "--path" in one)
    assert "Megatron-LM cannot use this file as it is" in said
    assert "else: arr (text), trove (datatrove), disk (arrow), npy (NumPy with a header). Say" in said
    assert "arr (" not in export(token_study, "--to", "hugging-face").stderr.partition("else: ")[2]


def test_olmo_core_gets_the_arrays_of_a_study(token_study: Path) -> None:
    written = export(token_study, "--to", "olmo-core")
    paths = {one["source_name"]: one["paths"] for one in yaml.safe_load(written.stdout)["sources"]}
    assert paths["arr"] == [str(token_study / "tokens/arr/part-0.npy")]
    assert "meg (megatron), trove (datatrove), disk (arrow), npy (NumPy with a header)" in written.stderr


def test_trainers_of_text_say_which_sources_are_tokens(token_study: Path) -> None:
    said = export(token_study, "--to", "hugging-face", "--path", "disk=/data/disk.jsonl").stderr
    assert (
        "Hugging Face datasets cannot use this file as it is: it reads text, and at the paths of these "
        "sources of the study lies something else: meg (megatron), arr (olmo), trove (datatrove), npy (NumPy "
        "with a header). Say --path" in said
    )


def test_tokens_that_lie_elsewhere_are_exported_by_their_path(token_study: Path) -> None:
    for file in (token_study / "tokens/meg").rglob("text_document.*"):
        file.unlink()
    assert f"{token_study / 'tokens/meg'}\n" in export(token_study, "--to", "megatron").stdout


# --- what is exported -------------------------------------------------------------------------------


def test_shares_are_read_from_plain_files_and_decisions(tmp_path: Path) -> None:
    plain = tmp_path / "shares.json"
    plain.write_text('{"web": 0.7, "code": 0.3}')
    assert read_decided(plain).mixture == Mixture.of({"web": 0.7, "code": 0.3})
    plain.write_text('{"shares": {"web": 0.7, "code": 0.3}}')
    assert read_decided(plain).mixture.share("web") == 0.7
    decision = choosing({"web": 0.25, "code": 0.75}, {"web": 10})
    tied = (TiedMixture("tie", (0.4, 0.6), 0.0, -0.1, 0.1),)
    # With caps on epochs, as where the study names the tokens of the target run.
    capped = tuple(replace(entry, epoch_cap=4.0) for entry in decision.mixture)
    (tmp_path / "decision.json").write_text(
        json.dumps(replace(decision, mixture=capped, tied=tied).as_json())
    )
    decided = read_decided(tmp_path)
    assert (decided.mixture.share("code"), decided.tokens) == (0.75, {"web": 10})
    assert decided.target_tokens == decision.target_scale.tokens
    assert read_decided(tmp_path, "tie").mixture.share("code") == 0.6
    with pytest.raises(ConfigError, match="no mixture 'other'; there are: tie"):
        read_decided(tmp_path, "other")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", 'entry 1: an object such as {"domain"'),
        ("3", "shares are needed"),
        ("{}", "name of a source"),
        ('{"web": "much"}', 'shares.json: the share of web is "much"; write a number from 0 to 1'),
        ('{"web": true, "code": 0}', "the share of web is true"),
        ('{"web": NaN, "code": 1}', "the share of web is NaN"),
        ('{"web": 0.5}', "sum to 0.5, not to 1 within 2%"),
        ('{"web": -0.1, "code": 1.1}', "share of web is negative"),
        ('{"web": 50, "code": 30, "books": 20}', "sum to 100, so these are percentages; divide by 100"),
        ('{"web": 600, "code": 300}', "divide counts by their sum"),
        ('{"shares": 3}', "divide counts by their sum"),
        ('{"shares": null}', "shares are needed"),
        ('{"\\ud800": 1}', "holds half a character"),
        ('{"web": 0.5, "web": 0.5, "code": 0.5}', "'web' stands there twice"),
        ('[{"domain": "a", "weight": 1}, {"domain": "a", "weight": 0}]', "'a' stands there twice"),
        ('[{"domain": "a", "loss": 1}]', "entry 1: one of the keys share, weight"),
        ('{"train_domain_weights": {"web": 50, "code": 50}}', "divide percentages by 100"),
    ],
)
def test_what_is_no_mixture_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "shares.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        read_decided(path)
    message = str(caught.value)
    assert not re.search(r"Mixture|dict|NoneType|argument|str\b", message.replace(str(tmp_path), ""))


@pytest.mark.parametrize(
    "text",
    [
        '{"train_domain_weights": {"web": 0.7, "code": 0.3}, "eval_domain_weights": {"web": 1}}',
        '[{"domain": "web", "weight": 0.7}, {"domain": "code", "weight": 0.3}]',
        '[{"domain": "web", "weight": "0.7"}, {"domain": "code", "weight": 0.3, "rank": 2}]',
        '{"weights": {"web": 0.7, "code": 0.3}, "loss": 2.1}',
        '{"sources": [{"name": "web", "target_ratio": 0.7}, {"name": "code", "target_ratio": 0.3}]}',
        '\ufeff{"web": 0.7, "code": 0.3}',
    ],
)
def test_mixtures_of_other_programs_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "best.json"
    path.write_text(text, encoding="utf-8")
    written = export(path, "--to", "megatron")
    assert written.stdout == "0.7 web\n0.3 code\n"
    path.write_text(text.lstrip("\ufeff"), encoding="utf-16")
    assert export(path, "--to", "megatron").stdout == written.stdout


def test_rounding_is_divided_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "thirds.json"
    path.write_text('{"web": 0.333, "code": 0.333, "books": 0.333}')
    written = export(path, "--to", "megatron")
    assert written.stdout == "0.333334 web\n0.333333 code\n0.333333 books\n"
    assert "the shares summed to 0.999 and were divided by their sum" in written.stderr
    assert json.loads(export(path, "--to", "megatron", "--json").stdout)["notes"]


def test_a_table_is_no_file_of_shares(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("w:web,w:code\n0.5,0.5\n")
    with pytest.raises(ConfigError, match="`cuvee fit` reads tables of runs"):
        read_decided(table)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run `cuvee run`"):
        read_decided(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_decided(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match=r"no trainer 'megatorn' \(did you mean 'megatron'\?\)"):
        exporter_named("megatorn")
    with pytest.raises(ConfigError, match="no source 'x'"):
        ExportRequest(MIXTURE, {"x": SourceFacts()})


@pytest.fixture
def sampled(tmp_path: Path) -> Path:
    """A study whose source ``web`` is declared ten thousand times as large as the text that lies there."""
    root = tmp_path / "sampled"
    root.mkdir()
    (root / "study.yaml").write_text(
        "schema: 1\nsources:\n  web: {paths: /t/web.jsonl, tokens: 4e7}\n  code: /t/code.jsonl\n"
    )
    decision = choosing({"web": 0.5, "code": 0.5}, {"web": 40_000_000, "code": 4000})
    (root / "decision.json").write_text(json.dumps(decision.as_json()))
    with RunStore(root / "store.sqlite") as store:
        store.write_sources([SourceRecord("web", "1", 100, 4000, 9), SourceRecord("code", "2", 10, 4000, 9)])
    return root


@pytest.mark.parametrize("trainer", ["olmo-core", "megatron", "hugging-face", "levanter"])
def test_the_path_of_a_sample_is_said_to_be_one(sampled: Path, trainer: str) -> None:
    written = export(sampled, "--to", trainer, "--target-tokens", "10000")
    assert "not of the whole source: web (4.00k of 40.0M tokens)." in written.stderr
    for option in (("--path", "web=/data/web"), ("--tokens", "web=4000")):
        other = export(sampled, "--to", trainer, "--target-tokens", "10000", *option)
        assert other.exit_code == 0 and "of a sample" not in other.stderr


@pytest.mark.parametrize("trainer", ["axolotl", "trl"])
def test_rows_of_the_whole_are_not_counted_in_a_sample(sampled: Path, trainer: str) -> None:
    refused = export(sampled, "--to", trainer, "--target-tokens", "10000")
    assert refused.exit_code != 0 and not refused.stdout
    assert "a sample: /t/web.jsonl (4.00k of 40.0M tokens); say --path web=PATH" in refused.stderr
    for option in (("--path", "web=/data/web"), ("--tokens", "web=4000")):
        assert export(sampled, "--to", trainer, "--target-tokens", "10000", *option).exit_code == 0
