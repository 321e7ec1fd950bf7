"""The text of a study, ready for training: tokenizer, shards and evaluation sets.

Everything here is keyed by content, so a second call only reads and hashes the sources again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cuvee.execution.interface import Executor
from cuvee.hashing import digest
from cuvee.progress import Progress
from cuvee.quantities import agreeing, counted
from cuvee.sources.contamination import overlap_sentence
from cuvee.sources.corpus import Corpus
from cuvee.sources.evaluation_set import HALVES, EvaluationSet, Half
from cuvee.sources.near_duplicates import NearOptions
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import SourceSpec
from cuvee.sources.shards import TokenShard
from cuvee.sources.split import EVAL, SEED, SplitOptions, unit_part
from cuvee.sources.tokenization import tokenize
from cuvee.sources.tokenizer import tokenizer_hash, train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import TextSettings
from cuvee.study.plan.tasks import StudyTask, prepare_tasks

SAMPLE_CHARACTERS = 1_500_000
"""Text that each source gives to a tokenizer that is trained here."""


@dataclass(frozen=True, eq=False)
class Material:
    """Sources as token shards, and what losses are measured on."""

    corpus: Corpus
    tokenizer_folder: Path
    tokenizer: str
    """Hash of the tokenizer."""
    shards: dict[tuple[str, str], TokenShard]
    """(source, part) -> shard; the parts are ``seed``, ``unit-0`` and on, and ``eval``."""
    halves: Mapping[Half, tuple[EvaluationSet, ...]]
    """Both halves of all evaluations."""
    half: Half = "choosing"
    """The one that is measured on."""
    tasks: tuple[StudyTask, ...] = ()
    """Downstream tasks. Their right answers are evaluations, too, behind the others."""

    @property
    def evaluations(self) -> tuple[EvaluationSet, ...]:
        """What losses are measured on."""
        return self.halves[self.half]

    @property
    def checking(self) -> "Material":
        """The same, measured on the documents that no choice has seen."""
        return replace(self, half="checking")

    def seed_shards(self, source: str) -> tuple[TokenShard, ...]:
        """What the seed model sees of a source: its own part, or the units where there is none."""
        own = self.shards.get((source, SEED))
        return (own,) if own is not None else self.unit_shards(source)

    def unit_shards(self, source: str) -> tuple[TokenShard, ...]:
        """The units of a source in order."""
        units = (part for part in self.corpus.parts(source) if part not in (SEED, EVAL))
        return tuple(self.shards[source, part] for part in units)

    def training_shards(self, source: str) -> tuple[TokenShard, ...]:
        """All text of a source that may be trained on, the seed model's part first."""
        own = self.shards.get((source, SEED))
        return (*((own,) if own is not None else ()), *self.unit_shards(source))

    def tokens(self, source: str) -> int:
        """Unique training tokens of a source: its units and the seed's part."""
        return sum(
            len(shard.tokens)
            for (name, part), shard in self.shards.items()
            if name == source and part != EVAL
        )

    @property
    def unit_tokens(self) -> dict[str, int]:
        """Tokens of the units of each source: what branches and references read of it."""
        return {name: sum(len(one.tokens) for one in self.unit_shards(name)) for name in self.corpus.training}

    @property
    def content(self) -> str:
        """Hash of all text, that of evaluations included."""
        parts = {f"{name}/{part}": shard.content_hash for (name, part), shard in self.shards.items()}
        return digest(parts)


def prepare_material(
    config: StudyConfig, folder: StudyFolder, executor: Executor, progress: Progress
) -> Material:
    """Read, clean, divide and tokenize the sources; make what is missing.

    Raises:
        SourceError: text that cannot be used (see ``cuvee.sources``).
    """
    given = given_tokenizer(config)
    specs = [source_spec(name, source, given) for name, source in config.sources.items()]
    evaluations: dict[str, str | SourceSpec] = {
        name: one.source if one.source is not None else source_spec(f"{name} (evaluation)", one, given)
        for name, one in config.evaluation_sets.items()
    }
    options = {name: _split_options(config, name) for name in config.sources}
    same_text = {name: config.same_text(name) for name in config.sources}
    selected = [name for name, source in config.sources.items() if source.selected_from]
    near = None
    if config.duplicates.near is not None:
        near = NearOptions(config.duplicates.near, config.duplicates.found == "drop", folder.overlaps)
    corpus = prepare(specs, evaluations, options, progress, folder.overlaps, same_text, selected, near)
    for entry in corpus.report.contamination:
        if entry.exact_removed:
            progress.message(
                f"{counted(entry.exact_removed, 'document')} of source '{entry.source}' "
                f"{agreeing(entry.exact_removed, 'is', 'are')} also in evaluation '{entry.evaluation}': "
                "left out of training"
            )
        if entry.harmful:
            progress.message(overlap_sentence(entry))
    tokenizer_folder = _tokenizer(config, folder, corpus, progress)
    shards = tokenize(corpus, tokenizer_folder, folder.shards, executor, progress)
    tokenizer = tokenizer_hash(tokenizer_folder)
    tasks = prepare_tasks(config, folder, tokenizer_folder, tokenizer, progress)
    halves = {
        half: (
            *_evaluation_sets(config, corpus, shards, half),
            *(task.right(half).open() for task in tasks),
        )
        for half in HALVES
    }
    for one, other in zip(*halves.values(), strict=True):
        progress.message(
            f"evaluation '{one.name}': {counted(one.documents, 'document')} ({one.tokens:,} tokens) to "
            "choose by, "
            f"{other.documents} ({other.tokens:,}) to check with"
        )
    return Material(corpus, tokenizer_folder, tokenizer, shards, halves, tasks=tasks)


def _split_options(config: StudyConfig, name: str) -> SplitOptions:
    units = config.sources[name].units
    if config.sources[name].selected_from:  # what is held out of its origins was not there to be selected
        return SplitOptions(eval_fraction=0.0, seed_fraction=0.0, units=units)
    seen = config.seen_by_seed(name) and config.seed_training.tokens
    return SplitOptions(config.split.evaluation, config.split.seed if seen else 0.0, units)


def _evaluation_sets(
    config: StudyConfig, corpus: Corpus, shards: Mapping[tuple[str, str], TokenShard], half: Half
) -> tuple[EvaluationSet, ...]:
    return tuple(
        EvaluationSet.from_shard(
            name,
            shards[corpus.evaluations[name], EVAL],
            context_length=config.model.context_length,
            max_tokens=config.evaluation_tokens,
            half=half,
        )
        for name in config.evaluation_sets
    )


def given_tokenizer(config: StudyConfig) -> Path | None:
    """The folder of a tokenizer that is not trained here: what all tokens that are there must be made
    with."""
    return config.tokenizer.folder or (config.model.folder if config.tokenizer.vocabulary is None else None)


def source_spec(name: str, text: TextSettings, tokenizer: Path | None) -> SourceSpec:
    """How text of the study is read.

    Args:
        name: of the source.
        text: its settings.
        tokenizer: what ``given_tokenizer`` gives.
    """
    return SourceSpec(
        name=name,
        paths=text.paths,
        text_field=text.text_field,
        allow_broken=text.allow_broken,
        chunk_characters=text.chunk_characters,
        format=text.format,
        tokenizer=tokenizer,
    )


def _tokenizer(config: StudyConfig, folder: StudyFolder, corpus: Corpus, progress: Progress) -> Path:
    """The folder of the tokenizer; trained on what the seed model sees where none is given."""
    given = given_tokenizer(config)
    if given is not None:
        return given
    assert config.tokenizer.vocabulary is not None  # the configuration requires one of the two
    parts = [
        (source, SEED if SEED in corpus.parts(source) else unit_part(0)) for source in config.seed_sources
    ]
    key = digest(
        {
            "vocabulary": config.tokenizer.vocabulary,
            "characters": SAMPLE_CHARACTERS,
            "content": [corpus.part(*pair).content_hash for pair in parts],
        }
    )
    path = folder.tokenizer(key)
    if not path.is_dir():
        progress.stage("training the tokenizer", len(parts), "sources")

        def texts() -> Iterator[str]:
            for pair in parts:
                yield from _sample(corpus, pair)
                progress.advance(1, pair[0])

        train_tokenizer(texts(), config.tokenizer.vocabulary, path)
    return path


def _sample(corpus: Corpus, pair: tuple[str, str]) -> Iterator[str]:
    left = SAMPLE_CHARACTERS
    for document in islice(corpus.documents(*pair), SAMPLE_CHARACTERS):
        yield document.text[:left]
        left -= len(document.text)
        if left <= 0:
            return
