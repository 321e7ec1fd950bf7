"""``cuvee run``: answer a study, or go on where it stopped (floor 9)."""

import os
from typing import TYPE_CHECKING

from cuvee.cli.options import HERE, AsJson, Study

if TYPE_CHECKING:
    from cuvee.study.config import StudyConfig
    from cuvee.study.folder import StudyFolder


def run(study: Study = HERE, as_json: AsJson = False) -> None:
    """Answer a study, or go on where it stopped: train, blend, judge, decide."""
    from cuvee.study.config import StudyConfig
    from cuvee.study.folder import StudyFolder

    folder = StudyFolder.of(study)
    decide(StudyConfig.load(study), folder, as_json)


def decide(config: "StudyConfig", folder: "StudyFolder", as_json: bool) -> None:
    """Run the flow, write its reports, and print the decision."""
    from cuvee.cli.output import print_decision, print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.report import write
    from cuvee.study import ablation

    forbid_the_hub(config)
    with folder.locked(), progress_display() as progress:
        decision = ablation.run(config, folder, progress)
        write(decision, folder)
    if as_json:
        print_json(decision.as_json())
    else:
        print_decision(decision, folder.report)


def forbid_the_hub(config: "StudyConfig") -> None:
    """Keep the Hugging Face libraries from looking things up in the network, unless a source lies there."""
    evaluations = config.evaluations.named.values()
    paths = [path for text in (*config.sources.values(), *evaluations) for path in text.paths]
    if not any(path.startswith("hub:") for path in paths):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
