"""The demonstration: a study of real text that needs no download.

    FOLDER/corpus/NAME.jsonl.zst   documents of one domain, at most ``DOMAIN_BYTES`` of text
    FOLDER/corpus/manifest.json    which files they came from, with hashes, and the versions installed
    FOLDER/study.yaml              a study of them; two domains are kept out of the pool

Making the corpus takes some ten seconds and 20 MB of reading.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cuvee.decisions.provenance import versions
from cuvee.errors import EmptySource
from cuvee.files import atomic_folder, write_json, write_text
from cuvee.hashing import digest_file
from cuvee.progress import Progress
from cuvee.quantities import counted
from cuvee.study.file.folder import CONFIG_NAME
from cuvee.study.file.template import commented_study
from cuvee.study.start.demo_text import DOMAINS, Domain, Installation
from cuvee.types import Json

CORPUS = "corpus"
DOMAIN_BYTES = 3_000_000
"""Most text of one domain."""
SMALLEST_BYTES = 1_500_000
"""A domain with less is left out: its held-out part would be too short to decide by."""
HELD_OUT = 0.18
"""Part of each domain that is held out: 80,000 tokens and more."""
MOST_DOMAINS = 8
FEWEST_DOMAINS = 6
OUT_OF_POOL = ("ml_docs", "stubs")
"""Near enough to the pool that a good mixture helps them."""
TARGET_TOKENS = 3_000_000
DEMO_EFFORT = "tiny"


def make_demo(
    folder: Path,
    progress: Progress,
    effort: str = DEMO_EFFORT,
    installation: Installation | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> Path:
    """Write the corpus and its ``study.yaml``, and return the path of the latter.

    What is already there is kept, so that a demonstration goes on where it stopped.

    Raises:
        EmptySource: fewer than ``FEWEST_DOMAINS`` domains have enough text here.
    """
    corpus = folder / CORPUS
    if not (corpus / "manifest.json").is_file():
        with atomic_folder(corpus) as temporary:
            _write_corpus(temporary, installation or Installation.here(), smallest_bytes, progress)
    config = folder / CONFIG_NAME
    if not config.exists():
        manifest = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))
        write_text(config, _study(manifest["domains"], effort))
    return config


def _write_corpus(folder: Path, installation: Installation, smallest: int, progress: Progress) -> None:
    progress.stage("gather text", MOST_DOMAINS * DOMAIN_BYTES, "bytes")
    written: dict[str, Json] = {}
    seen: set[bytes] = set()
    for domain in DOMAINS:
        if len(written) == MOST_DOMAINS:
            break
        documents = _new_documents(domain, installation, seen)
        size = sum(len(text.encode()) for _, text in documents)
        if size < smallest:
            progress.message(f"demo: {domain.about}: only {size / 1e6:.2f} MB here, left out")
            continue
        path = folder / f"{domain.name}.jsonl.zst"
        _write_documents(path, domain.name, documents)
        progress.advance(DOMAIN_BYTES, f"{domain.name}: {counted(len(documents), 'document')}")
        files: dict[str, str] = {}
        for name, text in documents:
            files[name] = hashlib.sha256((files.get(name, "") + text).encode()).hexdigest()[:16]
        written[domain.name] = {
            "about": domain.about,
            "documents": len(documents),
            "bytes": size,
            "hash": digest_file(path),
            "files": files,
        }
    if len(written) < FEWEST_DOMAINS:
        raise EmptySource(
            f"only {len(written)} kinds of text have at least {smallest / 1e6:g} MB in this installation, "
            f"and the demonstration needs {FEWEST_DOMAINS}; use your own text with `cuvee init FOLDER`"
        )
    write_json(folder / "manifest.json", {"domains": written, "versions": _versions()})


def _new_documents(domain: Domain, installation: Installation, seen: set[bytes]) -> Sequence[tuple[str, str]]:
    """The documents of a domain whose text no earlier one has."""
    documents = []
    for name, text in domain.documents(installation, DOMAIN_BYTES):
        key = hashlib.sha256(text.encode()).digest()
        if key not in seen:
            seen.add(key)
            documents.append((name, text))
    return documents


def _write_documents(path: Path, source: str, documents: Sequence[tuple[str, str]]) -> None:
    import pyarrow as pa

    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for name, text in documents:
            record = {"text": text, "source": source, "location": name}
            stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def _versions() -> dict[str, str]:
    packages = sorted({place for domain in DOMAINS for place in domain.places})
    return versions(packages)


def _study(domains: dict[str, Json], effort: str) -> str:
    names = list(domains)
    outside = [name for name in OUT_OF_POOL if name in names]
    outside += [name for name in reversed(names) if name not in outside][: 2 - len(outside)]
    given = {
        "schema": 1,
        "name": "demo",
        "effort": effort,
        "sources": {name: f"{CORPUS}/{name}.jsonl.zst" for name in names},
        "pool": [name for name in names if name not in outside],
        "split": {"evaluation": HELD_OUT},
        "target_run": {"tokens": TARGET_TOKENS},
    }
    notes = {name: f"{domain['about']}, {domain['bytes'] / 1e6:.1f} MB" for name, domain in domains.items()}
    return commented_study(given, notes)
