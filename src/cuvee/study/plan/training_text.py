"""What may be trained on of each source, as JSON lines for a trainer of the user's.

Its models are measured on held-out documents. The files of the study hold these too, so such a trainer reads
copies without them. A folder is named by the content of what lies in it.
"""

import json
from dataclasses import replace
from pathlib import Path

from cuvee.exporters.interface import USUAL_FIELD, SourceFacts
from cuvee.files import atomic_path
from cuvee.hashing import digest
from cuvee.progress import Progress
from cuvee.study.plan.commanded_run import training_content, training_parts
from cuvee.study.plan.plan import Plan


def training_facts(plan: Plan, facts: dict[str, SourceFacts]) -> dict[str, SourceFacts]:
    """The facts of the sources with such files in place of those of the study."""
    return {
        name: replace(
            facts[name],
            path=str(_path(plan, name)),
            text_field=USUAL_FIELD,
            tokens=plan.material.tokens(name),
            documents=sum(
                plan.material.corpus.part(name, part).documents for part in training_parts(plan, name)
            ),
            by_study=False,
        )
        for name in plan.config.pool_sources
    }


def write_training_text(plan: Plan, progress: Progress) -> None:
    """Write the files that are missing.

    Cost: one reading of the sources and a copy of their text on disk.
    """
    progress.stage("writing text without what is held out", len(plan.config.pool_sources), "sources")
    for name in plan.config.pool_sources:
        path = _path(plan, name)
        if not path.is_file():
            _write(plan, name, path)
        progress.advance(1, name)


def _path(plan: Plan, name: str) -> Path:
    place = plan.config.pool_sources.index(name)
    return plan.folder.swarm / "text" / digest(training_content(plan, name)) / f"{place:03d}.jsonl"


def _write(plan: Plan, name: str, path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for part in training_parts(plan, name):
            for document in plan.material.corpus.documents(name, part):
                file.write(json.dumps({USUAL_FIELD: document.text}, ensure_ascii=False) + "\n")
