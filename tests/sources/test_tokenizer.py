"""Tokenizer folders: trained here, opened by others, and the other way round."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError, EmptySource, MissingSource
from cuvee.sources.tokenizer import END_OF_TEXT, Tokenizer, load_tokenizer, tokenizer_hash, train_tokenizer

TEXTS = [f"the quick brown fox {i} jumps over the lazy dog; naïve café {i * i}\n" for i in range(200)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(TEXTS, 400, tmp_path_factory.mktemp("tokenizer") / "t")


def test_training_learns_merges(trained: Tokenizer) -> None:
    assert 300 < trained.vocabulary_size <= 400
    (tokens,) = trained.encode_batch([TEXTS[0]])
    assert len(tokens) < len(TEXTS[0]) / 2
    assert min(tokens) >= 0
    assert max(tokens) < trained.vocabulary_size


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=3))
def test_any_text_comes_back(trained: Tokenizer, texts: list[str]) -> None:
    assert [trained.decode(tokens) for tokens in trained.encode_batch(texts)] == texts


def test_end_of_text_spelled_out_is_ordinary_text(trained: Tokenizer) -> None:
    (tokens,) = trained.encode_batch([f"a{END_OF_TEXT}b"])
    assert trained.end_of_text not in tokens
    assert trained.decode(tokens) == f"a{END_OF_TEXT}b"
    assert trained.decode([trained.end_of_text]) == END_OF_TEXT


def test_training_is_deterministic_across_processes(trained: Tokenizer, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cuvee.sources.tokenizer import train_tokenizer\n"
        f"texts = {TEXTS!r}\n"
        "print(train_tokenizer(iter(texts), 400, Path(sys.argv[1])).hash)"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "7",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == trained.hash
    ours, theirs = (folder / "tokenizer.json" for folder in (trained.folder, tmp_path / "t"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_hugging_face_opens_the_folder(trained: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(trained.folder), local_files_only=True)
    assert theirs.eos_token == END_OF_TEXT
    assert theirs.eos_token_id == trained.end_of_text
    texts = [TEXTS[3], " spaces  and\ttabs ", "ünïcödé"]
    assert theirs(texts, add_special_tokens=False)["input_ids"] == trained.encode_batch(texts)
    assert theirs.decode(trained.encode_batch(texts)[2]) == texts[2]


def test_a_folder_saved_again_by_hugging_face_is_the_same_tokenizer(
    trained: Tokenizer, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(str(trained.folder), local_files_only=True).save_pretrained(str(tmp_path))
    again = load_tokenizer(tmp_path)
    assert (again.hash, again.end_of_text) == (trained.hash, trained.end_of_text)


def test_an_older_folder_without_tokenizer_json(tmp_path: Path) -> None:
    letters = {token: i for i, token in enumerate(["<|endoftext|>", *"abcdĠ", "ab", "Ġab"])}
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\nĠ ab\n")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"})
    )
    older = load_tokenizer(tmp_path)
    assert older.encode_batch(["ab abc"]) == [[6, 7, 3]]
    assert older.end_of_text == 0
    assert older.hash == tokenizer_hash(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert older.hash == tokenizer_hash(tmp_path)


def test_the_hash_covers_the_tokens_and_not_the_layout(trained: Tokenizer, tmp_path: Path) -> None:
    content = json.loads((trained.folder / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content, indent=7))
    assert tokenizer_hash(tmp_path) == trained.hash
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "the"}}))
    assert tokenizer_hash(tmp_path) != trained.hash
    content["model"]["merges"] = content["model"]["merges"][:-1]
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert tokenizer_hash(tmp_path) != trained.hash


def test_truncation_padding_and_templates_of_the_folder_are_off(trained: Tokenizer, tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(trained.folder / "tokenizer.json"))
    backend.enable_truncation(3)
    backend.enable_padding(length=50)
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, trained.end_of_text)]
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).encode_batch(TEXTS[:2]) == trained.encode_batch(TEXTS[:2])


def test_pickling_opens_the_folder_again(trained: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(trained))
    assert copy.hash == trained.hash
    assert copy.encode_batch(["the fox"]) == trained.encode_batch(["the fox"])


def test_mistakes_are_told(trained: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exceed 256"):
        train_tokenizer(TEXTS, 256, tmp_path / "small")
    with pytest.raises(EmptySource, match="no text"):
        train_tokenizer([], 300, tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
    with pytest.raises(ConfigError, match="exists"):
        train_tokenizer(TEXTS, 300, trained.folder)
    with pytest.raises(MissingSource, match="no tokenizer"):
        load_tokenizer(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": ' + "[" * 100_000)
    for reads in (load_tokenizer, tokenizer_hash):
        with pytest.raises(ConfigError, match=r"tokenizer\.json (cannot be read|is no valid JSON)"):
            reads(tmp_path)
    content = (trained.folder / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(content)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    with pytest.raises(ConfigError, match="no token '</s>'"):
        load_tokenizer(tmp_path)


def test_code_of_a_tokenizer_folder_is_never_asked_about_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "strange.py").write_text(f"open({str(marker)!r}, 'w')\nclass Strange: pass\n")
    names = {"AutoTokenizer": ["strange.Strange", "strange.Strange"]}
    config = {"tokenizer_class": "Strange", "auto_map": names}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 10))
    with pytest.raises(ConfigError, match="code of its own"):
        load_tokenizer(tmp_path)
    assert not marker.exists()
    assert "y/N" not in "".join(capsys.readouterr())
