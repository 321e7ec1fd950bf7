"""Source facts: what a study knows of its sources that a trainer wants to know."""

from pathlib import Path

from cuvee.errors import MissingSource
from cuvee.exporters.interface import SourceFacts
from cuvee.runs.store import RunStore
from cuvee.sources import megatron_tokens, separated_tokens
from cuvee.sources.source_files import files_of
from cuvee.sources.token_source import format_of
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder, study_around
from cuvee.study.file.settings import SourceSettings


def facts_beside(path: Path) -> dict[str, SourceFacts]:
    """Of every source of the study in whose folder, or its ``swarm``, an answer lies; empty where there is no
    study.

    Documents and tokens are those that the study read, in its own tokens. Documents of a source that is cut
    into pieces stay unknown: a trainer reads them whole.

    Args:
        path: the folder, or a file in it.

    Raises:
        ConfigError: there is a study that cannot be read.
        StoreError: there is a store that cannot be read.
    """
    root = study_around(path if path.is_dir() else path.parent)
    if root is None:
        return {}
    config, folder = StudyConfig.load(root), StudyFolder.of(root)
    counted: dict[str, tuple[int, int]] = {}
    if folder.store.exists():
        with RunStore(folder.store) as store:
            counted = {one.name: (one.tokens, one.documents) for one in store.sources()}
    facts = {}
    for name, source in config.sources.items():
        tokens, documents = counted.get(name, (0, 0))
        token_format, token_files = _tokens_of(name, source)
        facts[name] = SourceFacts(
            tokens=tokens,
            documents=0 if source.chunk_characters else documents,
            text=tuple(map(_absolute, source.paths)),
            text_field=source.text_field,
            by_study=True,
            token_format=token_format,
            token_files=token_files,
            read_tokens=tokens,
        )
    return facts


def _tokens_of(name: str, source: SourceSettings) -> tuple[str, dict[str, int]]:
    """The format of the tokens of a source, and its files as trainers call them; of text nothing.

    Files that are not on this machine stay unknown.

    Raises:
        BrokenRecord: an index of Megatron cannot be read.
    """
    try:
        files = [
            file
            for path in source.paths
            if not path.startswith("hub:")
            for file in files_of(path, name).files
        ]
    except MissingSource:
        return source.format or "", {}
    formats = {format_of(file, source.format) or "" for file in files}
    if formats == {megatron_tokens.NAME}:
        # Megatron calls its two files by what their names have in common.
        return megatron_tokens.NAME, {
            _absolute(str(file.with_suffix(""))): megatron_tokens.tokens_in(file) for file in files
        }
    if formats == {separated_tokens.NAME}:
        if any(map(separated_tokens.has_header, files)):
            return "NumPy with a header", {}
        return separated_tokens.NAME, {_absolute(str(file)): file.stat().st_size for file in files}
    return " and ".join(sorted(formats - {""})), {}


def _absolute(place: str) -> str:
    """A place without steps upwards: a study that lies beside its data says ``../texts``."""
    if place.startswith("hub:") or ".." not in Path(place).parts:
        return place
    return str(Path(place).resolve())
