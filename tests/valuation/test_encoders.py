"""Encoders in folders: what is not there is named; what is there embeds."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.encoders import ENCODERS, FolderEncoder
from cuvee.valuation.substrates import NotAtHand, Substrates

TEXTS = ["the court held that", "a patient with fever", "the court of appeal", "fever and cough"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(TEXTS * 20, 300, tmp_path_factory.mktemp("tokenizer") / "t")


@pytest.mark.parametrize("library", ENCODERS)
def test_a_folder_that_is_not_there_is_named(library: str, tmp_path: Path) -> None:
    with pytest.raises(NotAtHand, match=f"nowhere: no such folder; .* save a {library} model there first"):
        FolderEncoder(library, tmp_path / "nowhere")


def test_an_unknown_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no encoder 'model2vek' \(did you mean 'model2vec'\?\)"):
        FolderEncoder("model2vek", tmp_path)


@pytest.mark.parametrize("library", ENCODERS)
def test_a_library_that_is_not_there_is_named(
    library: str, tmp_path: Path, words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library.replace("-", "_"), None)
    documents = DocumentTable.of_texts(TEXTS, words)
    with pytest.raises(NotAtHand, match=rf"needs {library}, .* pip install 'cuvee\[{library}\]'"):
        Substrates(encoder=FolderEncoder(library, tmp_path)).embeddings(documents)


def test_the_key_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"1")
    keys = [FolderEncoder(library, tmp_path).key for library in (*ENCODERS, "model2vec")]
    assert keys[0] == keys[2] != keys[1]
    (tmp_path / "model.bin").write_bytes(b"2")
    assert FolderEncoder("model2vec", tmp_path).key != keys[0]


@pytest.mark.parametrize("library", ENCODERS)
def test_a_folder_without_a_model_is_refused(library: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(library.replace("-", "_")) is None:
        pytest.skip(f"{library} is not installed")
    with pytest.raises(ConfigError, match=f"{library} cannot open it"):
        _ = FolderEncoder(library, tmp_path).width


def test_static_vectors_are_averaged(tmp_path: Path, words: Tokenizer) -> None:
    model2vec = pytest.importorskip("model2vec")
    backend = pytest.importorskip("tokenizers").Tokenizer.from_file(str(words.folder / "tokenizer.json"))
    vectors = np.random.default_rng(0).standard_normal((backend.get_vocab_size(), 12)).astype(np.float32)
    model2vec.StaticModel(vectors, backend, normalize=False).save_pretrained(tmp_path / "model")
    encoder = FolderEncoder("model2vec", tmp_path / "model")
    documents = DocumentTable.of_texts(TEXTS, words)
    found = Substrates(encoder=encoder).embeddings(documents)
    means = np.stack([vectors[documents.document(row)].mean(axis=0) for row in range(len(TEXTS))])
    assert encoder.width == 12
    assert found == pytest.approx(means / np.linalg.norm(means, axis=1, keepdims=True), abs=1e-5)


def test_a_sentence_transformer_embeds(tmp_path: Path, words: Tokenizer) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import modules

    backend = pytest.importorskip("tokenizers").Tokenizer.from_file(str(words.folder / "tokenizer.json"))
    vectors = np.random.default_rng(0).standard_normal((backend.get_vocab_size(), 12)).astype(np.float32)
    model = library.SentenceTransformer(
        modules=[modules.StaticEmbedding(backend, embedding_weights=vectors)], device="cpu"
    )
    model.save(str(tmp_path / "model"))
    documents = DocumentTable.of_texts(TEXTS, words)
    found = Substrates(encoder=FolderEncoder("sentence-transformers", tmp_path / "model")).embeddings(
        documents
    )
    means = np.stack([vectors[documents.document(row)].mean(axis=0) for row in range(len(TEXTS))])
    assert found == pytest.approx(means / np.linalg.norm(means, axis=1, keepdims=True), abs=1e-5)
