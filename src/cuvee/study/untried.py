"""What a study switches on that has not been run on the hardware that it is made for."""

import json

from cuvee.study.file.folder import StudyFolder


def untried(folder: StudyFolder) -> tuple[str, ...]:
    """A sentence for each such choice in ``numerics.json``; a file that cannot be read says nothing here."""
    try:
        said = json.loads(folder.numerics.read_text(encoding="utf-8"))
        stacked = str(said["device"]).startswith("cuda") and int(said.get("stacked", 0)) > 0
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()
    if not stacked:
        return ()
    return (
        "untried on a GPU: steps recorded as CUDA graphs, and models trained in stacks (numerics.json, "
        '"stacked"); on a CPU they give what single trainings give, up to rounding',
    )
