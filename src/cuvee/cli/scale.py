"""``cuvee scale``: the best mixture at a scale that cannot be tried out."""

from typing import Annotated

import typer

from cuvee.cli.executors import Address, Artifacts, ExecutorName, ExecutorOption, JobMemory, Place
from cuvee.cli.options import HERE, AsJson, Study


def scale(
    study: Study = HERE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, FLOPs and time of every scale, and exit.")
    ] = False,
    executor: ExecutorName = ExecutorOption.local,
    address: Address = None,
    job_memory: JobMemory = 0.0,
    artifacts: Artifacts = None,
    as_json: AsJson = False,
) -> None:
    """Optimise the mixture at several small scales and extrapolate it to the target run."""
    from cuvee.cli.run import carry_out, look_ahead, print_outlook
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    place = Place(executor, address, job_memory, artifacts).check()
    folder, config = StudyFolder.of(study), StudyConfig.load(study)

    from cuvee.flows.scale import flow  # torch with it: a study that is wrong is refused before

    if plan:
        look_ahead(config, folder, flow.outlook, print_outlook, as_json)
    else:
        carry_out(config, folder, flow.run, as_json, place=place)
