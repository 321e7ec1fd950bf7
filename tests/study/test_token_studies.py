"""Studies of sources that are tokens already: the decision is that of their text, byte for byte."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan.material import Material, prepare_material
from tests.sources.token_writers import arrow, datatrove, megatron, olmo
from tests.study.tiny_study import LANGUAGES, Listener, run, settings, texts, timeless, write_study

WRITERS: dict[str, Callable[..., Path]] = dict(
    zip(LANGUAGES, (megatron, olmo, datatrove, arrow), strict=True)
)
TINY: dict[str, Any] = {
    "references": {"count": 4, "replicates": 0},
    "candidates": {"count": 6},
    "check": {"seeds": 0},
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    every = [text for name in LANGUAGES for text in texts(name)]
    return train_tokenizer(every, 300, tmp_path_factory.mktemp("tokenizer") / "t")


def token_study(root: Path, made_by: Tokenizer, **changes: Any) -> StudyFolder:
    """The four languages as tokens, each in another format."""
    for name, write in WRITERS.items():
        write(root / "tokens" / name, made_by.encode_batch(texts(name)), made_by.end_of_text)
    sources: dict[str, Any] = {name: f"tokens/{name}" for name in LANGUAGES}
    sources |= changes.pop("sources", {})
    folder = write_study(root, sources=sources, **changes)
    given = yaml.safe_load((root / "study.yaml").read_text())
    if "tokenizer" not in changes:
        given["tokenizer"] = {"folder": str(made_by.folder)}
    (root / "study.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    return folder


def material(folder: StudyFolder, listener: Listener | None = None) -> Material:
    config = StudyConfig.load(folder.root)
    return prepare_material(config, folder, InProcess(), listener or Listener())


@pytest.mark.slow
def test_the_decision_of_tokens_is_that_of_their_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokens = token_study(tmp_path / "tokens", tokenizer, **TINY)
    text = write_study(tmp_path / "text", **TINY)
    given = settings(**TINY) | {"tokenizer": {"folder": str(tokenizer.folder)}}
    (text.root / "study.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    listener = Listener()
    assert timeless(run(tokens, listener)) == timeless(run(text))
    assert "ka: tokens (megatron), 1 file, 60 documents" in " ".join(listener.said)


def test_a_sample_of_tokens_says_how_large_the_whole_is(tmp_path: Path, tokenizer: Tokenizer) -> None:
    whole = {"mi": {"paths": "tokens/mi", "tokens": 7_000_000}}
    folder = token_study(tmp_path, tokenizer, sources=whole)
    found = material(folder)
    available = available_tokens(StudyConfig.load(folder.root), found)
    assert available["mi"] == 7_000_000 and available["ka"] == found.tokens("ka")


@dataclass(frozen=True)
class Apart(InProcess):
    """As if its jobs ran where no file of this machine is seen."""

    apart: bool = True


def test_tokens_that_nodes_do_not_see_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = token_study(tmp_path, tokenizer)
    with (
        pytest.raises(ConfigError, match=r"sources\.ka: .*leave --artifacts out"),
        opened(StudyConfig.load(folder.root), folder, Listener(), Apart()),
    ):
        pass


def test_the_bytes_of_an_evaluation_are_those_of_its_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    found = material(token_study(tmp_path, tokenizer))
    for name in LANGUAGES:
        shard = found.shards[name, "eval"]
        decoded = [tokenizer.decode(shard.document(one)[:-1]) for one in range(shard.documents)]
        np.testing.assert_array_equal(shard.document_bytes, [len(one.encode()) for one in decoded])


def test_a_tokenizer_to_be_trained_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = token_study(tmp_path, tokenizer, tokenizer={"vocabulary": 300})
    with pytest.raises(ConfigError, match=r"source 'ka': .*holds tokens; name the tokenizer that made them"):
        material(folder)
