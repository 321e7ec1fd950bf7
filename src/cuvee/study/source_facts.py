"""Source facts: what a study knows of its sources that a trainer wants to know."""

from pathlib import Path

from cuvee.exporters.interface import SourceFacts
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder, study_around


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
        facts[name] = SourceFacts(
            tokens=tokens,
            documents=0 if source.chunk_characters else documents,
            text=tuple(map(_absolute, source.paths)),
            text_field=source.text_field,
            by_study=True,
        )
    return facts


def _absolute(place: str) -> str:
    """A place without steps upwards: a study that lies beside its data says ``../texts``."""
    if place.startswith("hub:") or ".." not in Path(place).parts:
        return place
    return str(Path(place).resolve())
