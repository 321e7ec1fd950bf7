"""Tokenizing a corpus into shards through an executor, and on to batches."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import SourceError
from cuvee.execution.local import LocalProcesses
from cuvee.mixture.mixture import Mixture
from cuvee.sources.corpus import Corpus
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec
from cuvee.sources.split import SplitOptions
from cuvee.sources.stream import MixedStream
from cuvee.sources.tokenization import shard_folder, tokenize
from cuvee.sources.tokenizer import Tokenizer, train_tokenizer
from tests.sources.helpers import Recorder, Serial, write_lines

NAMES = ("a", "b")


def texts(name: str) -> list[str]:
    return [f"document {i} of source {name}, about {i * i} things" for i in range(80)]


def make(folder: Path) -> Corpus:
    specs = [
        SourceSpec(name, (str(write_lines(folder / name / "x.jsonl.gz", texts(name))),)) for name in NAMES
    ]
    own = SourceSpec("own", (str(write_lines(folder / "own.jsonl", ["an own evaluation"])),))
    return prepare(specs, {"a": "a", "own": own}, SplitOptions(eval_fraction=0.2))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(texts("a") + texts("b"), 300, tmp_path_factory.mktemp("tokenizer") / "t")


def test_every_part_becomes_a_shard_of_its_documents(tmp_path: Path, tokenizer: Tokenizer) -> None:
    corpus, progress = make(tmp_path), Recorder()
    shards = tokenize(corpus, tokenizer.folder, tmp_path / "shards", Serial(), progress)
    parts = ("eval", "seed", "unit-0")
    assert list(shards) == [(name, part) for name in NAMES for part in parts] + [("own", "eval")]
    for (name, part), shard in shards.items():
        assert (shard.source, shard.part, shard.tokenizer_hash) == (name, part, tokenizer.hash)
        info = corpus.part(name, part)
        assert (shard.documents, shard.bytes, shard.content_hash) == (
            info.documents,
            info.bytes,
            info.content_hash,
        )
        decoded = [tokenizer.decode(shard.document(i)[:-1]) for i in range(shard.documents)]
        assert sorted(decoded) == sorted(d.text for d in corpus.documents(name, part))
        assert all(shard.document(i)[-1] == tokenizer.end_of_text for i in range(shard.documents))
    total = sum(corpus.part(name, part).bytes for name, part in shards)
    assert progress.stages == [("tokenizing", total, "bytes")]
    assert progress.done == [total]


def test_what_exists_is_skipped_and_only_new_parts_are_made(tmp_path: Path, tokenizer: Tokenizer) -> None:
    corpus, root = make(tmp_path), tmp_path / "shards"
    first = Serial()
    some = tokenize(corpus, tokenizer.folder, root, first, only=[("b", "unit-0"), ("a", "eval")])
    assert list(some) == [("b", "unit-0"), ("a", "eval")]
    assert [(task.spec.name, task.part) for task in first.items] == [("b", "unit-0"), ("a", "eval")]
    second, third = Serial(), Serial()
    tokenize(corpus, tokenizer.folder, root, second)
    assert len(second.items) == 5
    sizes = [task.expected.bytes for task in second.items]
    assert sizes == sorted(sizes, reverse=True)
    tokenize(corpus, tokenizer.folder, root, third, progress := Recorder())
    assert third.items == []
    assert progress.stages == []


def test_a_task_travels_to_another_process(tmp_path: Path, tokenizer: Tokenizer) -> None:
    corpus, executor = make(tmp_path), Serial()
    tokenize(corpus, tokenizer.folder, tmp_path / "shards", executor)
    task = executor.items[0]
    copy = pickle.loads(pickle.dumps(task))
    assert (copy.folder, copy.part, copy.expected) == (task.folder, task.part, task.expected)
    np.testing.assert_array_equal(copy.rows, task.rows)


def test_real_processes_make_the_same_shards(tmp_path: Path, tokenizer: Tokenizer) -> None:
    corpus, progress = make(tmp_path), Recorder()
    here = tokenize(corpus, tokenizer.folder, tmp_path / "here", Serial())
    there = tokenize(corpus, tokenizer.folder, tmp_path / "there", LocalProcesses(2), progress)
    assert progress.done == [sum(shard.bytes for shard in here.values())]
    for pair, shard in here.items():
        assert shard.folder.name == there[pair].folder.name
        for file in shard.folder.iterdir():
            assert file.read_bytes() == (there[pair].folder / file.name).read_bytes()


def test_folders_are_keyed_by_content_and_tokenizer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    one = make(tmp_path / "one")
    write_lines(tmp_path / "two" / "x.jsonl", reversed(texts("a")))
    same = prepare([SourceSpec("a", (str(tmp_path / "two"),))], {}, SplitOptions(eval_fraction=0.2))
    root = tmp_path / "shards"
    folders = {
        shard_folder(root, corpus, "a", part, hash_)
        for corpus in (one, same)
        for part in ("seed", "unit-0")
        for hash_ in (tokenizer.hash, "another")
    }
    assert len(folders) == 4


def test_text_that_changed_under_way_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    corpus = make(tmp_path)
    write_lines(tmp_path / "a" / "x.jsonl.gz", [text.upper() for text in texts("a")])
    with pytest.raises(SourceError, match="'a' changed while"):
        tokenize(corpus, tokenizer.folder, tmp_path / "shards", Serial(), only=[("a", "seed")])
    assert list((tmp_path / "shards").iterdir()) == []


def test_from_files_to_batches(tmp_path: Path, tokenizer: Tokenizer) -> None:
    shards = tokenize(make(tmp_path), tokenizer.folder, tmp_path / "shards", Serial())
    stream = MixedStream(
        {name: [shards[name, "unit-0"], shards[name, "seed"]] for name in NAMES},
        Mixture.of({"a": 0.25, "b": 0.75}),
        context_length=16,
        batch_sequences=8,
        seed=1,
    )
    inputs, _ = stream.batch(0)
    drawn = [tokenizer.decode(row) for row in inputs]
    assert sum("source b" in text or " b," in text for text in drawn) >= 4
    assert stream.realised(4) == {"a": 8 * 16, "b": 24 * 16}
    evaluation = EvaluationSet.from_shard("a", shards["a", "eval"], context_length=16)
    assert evaluation.tokens == len(shards["a", "eval"].tokens)
