"""Tokenizing the parts of a corpus in parallel, each into its shard (sources).

One job makes one shard and reads its source once. Shards are keyed by what they are made of, so
those that exist are kept and a killed run goes on where it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cuvee.execution.interface import Executor, Report
from cuvee.hashing import digest
from cuvee.progress import Progress, Silent
from cuvee.sources.corpus import Corpus, select_documents
from cuvee.sources.corpus_report import PartInfo
from cuvee.sources.mapped_shard import map_documents
from cuvee.sources.readers import SourceSpec, token_source
from cuvee.sources.shards import FORMAT, TokenShard, write_shard
from cuvee.sources.split import EVAL
from cuvee.sources.tokenizer import load_tokenizer, tokenizer_hash
from cuvee.types import BoolArray


@dataclass(frozen=True, eq=False)
class ShardTask:
    """One shard to be made; can be sent to another process."""

    folder: Path
    """Where the shard shall lie."""

    tokenizer_folder: Path
    """The tokenizer."""

    spec: SourceSpec
    """The source to read."""

    part: str
    """Name of the part."""

    expected: PartInfo
    """Size and identity of the part."""

    rows: BoolArray = field(repr=False)
    """Which of the documents of the source are in the part, bool [read]."""

    @property
    def stays(self) -> bool:
        """Text lies on this machine."""
        return True

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"tokenizing part '{self.part}' of source '{self.spec.name}'"


def write_part(task: ShardTask, report: Report) -> Path:
    """Make one shard (a job for an executor); reports bytes of text.

    Raises:
        SourceError: the source changed since it was prepared.
    """
    shard = write_shard(
        task.folder,
        select_documents(task.spec, task.rows),
        load_tokenizer(task.tokenizer_folder),
        source=task.spec.name,
        part=task.part,
        expected=task.expected.content_hash,
        report=report,
    )
    return shard.folder


def shard_folder(root: Path, corpus: Corpus, source: str, part: str, tokenizer: str) -> Path:
    """Where the shard of a part lies: a folder named by the hash of all that determines it.

    Args:
        root: the folder of all shards.
        corpus: the prepared sources.
        source: name of the source.
        part: name of the part.
        tokenizer: hash of the tokenizer.
    """
    key = {
        "format": FORMAT,
        "source": source,
        "part": part,
        "content": corpus.part(source, part).content_hash,
        "tokenizer": tokenizer,
    }
    return root / digest(key)


def tokenize(
    corpus: Corpus,
    tokenizer_folder: Path,
    root: Path,
    executor: Executor,
    progress: Progress | None = None,
    only: Iterable[tuple[str, str]] | None = None,
) -> dict[tuple[str, str], TokenShard]:
    """The shards of a corpus, made where they do not exist.

    Args:
        corpus: the prepared sources.
        tokenizer_folder: the tokenizer.
        root: the folder of all shards.
        executor: where the jobs run.
        progress: called with the bytes of text done.
        only: the (source, part) pairs wanted; None takes all, those of evaluations included.

    Returns:
        The shard of each (source, part), in the order of the corpus.
    """
    progress = progress or Silent()
    hash_ = tokenizer_hash(tokenizer_folder)
    wanted = list(only) if only is not None else [(s, part) for s in corpus.specs for part in corpus.parts(s)]
    folders = {(source, part): shard_folder(root, corpus, source, part, hash_) for source, part in wanted}
    made = _of_tokens(corpus, tokenizer_folder, folders)
    missing = [pair for pair, folder in folders.items() if pair not in made and not folder.exists()]
    # Largest first keeps all workers busy to the end.
    missing.sort(key=lambda pair: -corpus.part(*pair).bytes)
    tasks = [
        ShardTask(
            folder=folders[source, part],
            tokenizer_folder=tokenizer_folder,
            spec=corpus.specs[source],
            part=part,
            expected=corpus.part(source, part),
            rows=corpus.rows(source, part),
        )
        for source, part in missing
    ]
    if tasks:
        progress.stage("tokenizing", sum(task.expected.bytes for task in tasks), "bytes")
        for _ in executor.map(write_part, tasks, lambda _, amount, note: progress.advance(amount, note)):
            pass
    shards = {pair: made.get(pair) or TokenShard.open(folder) for pair, folder in folders.items()}
    vocabulary = load_tokenizer(tokenizer_folder).vocabulary_size
    for shard in shards.values():
        shard.check_vocabulary(vocabulary)
    return shards


def _of_tokens(
    corpus: Corpus, tokenizer_folder: Path, folders: Mapping[tuple[str, str], Path]
) -> dict[tuple[str, str], TokenShard]:
    """Shards of sources that hold nothing but tokens: nothing is tokenized, so no job is worth its start.

    Training text is referred to. Evaluations are copied: they are small, and read token by token.
    """
    found = {}
    for (source, part), folder in folders.items():
        documents = corpus.kept(source, part)
        if documents is None:
            continue
        spec, tokenizer = corpus.specs[source], load_tokenizer(tokenizer_folder)
        if part == EVAL:
            expected = corpus.part(source, part).content_hash
            read = corpus.documents(source, part)
            shard = write_shard(folder, read, tokenizer, source=source, part=part, expected=expected)
        else:
            shard = map_documents(folder, documents, token_source(spec), tokenizer, source, part)
        found[source, part] = shard
    return found
