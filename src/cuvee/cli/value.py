"""``cuvee value`` and ``cuvee select``: what documents are worth for a target, and which of them to keep."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cuvee.cli.executors import Address, Artifacts, ExecutorName, ExecutorOption, JobMemory, Place
from cuvee.cli.models_at_hand import Encoder, Judge, encoder_of, judge_of
from cuvee.cli.names import DEFAULT_VALUER, VALUER_WITHOUT_MOMENTS, VALUERS, one_of
from cuvee.cli.options import HERE, AsJson, Study, Target


def value(
    target: Target,
    study: Study = HERE,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help=f"Method of valuation; repeat it for several, the first decides. {one_of(VALUERS)} "
            f"Default: {DEFAULT_VALUER}, or {VALUER_WITHOUT_MOMENTS} where the seed model leaves no moments.",
        ),
    ] = None,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources",
            help="Also value sources exactly, by merges and ensembles of every coalition of them.",
        ),
    ] = False,
    retrain: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Train models on this share of the pool's tokens, as each method keeps it, and compare. "
            "0 trains nothing.",
        ),
    ] = 0.0,
    encoder: Encoder = "",
    judge: Judge = "",
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each selection.")] = 3,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the trainings, FLOPs and time that this takes, and exit.")
    ] = False,
    executor: ExecutorName = ExecutorOption.local,
    address: Address = None,
    job_memory: JobMemory = 0.0,
    artifacts: Artifacts = None,
    as_json: AsJson = False,
) -> None:
    """Value the documents of a study for a target, beside DSIR and random values."""
    from cuvee.cli.output import print_json, show
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import forbid_the_hub, look_ahead, print_outlook
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

    place = Place(executor, address, job_memory, artifacts).check()
    folder, config = StudyFolder.of(study), StudyConfig.load(study)

    from cuvee.flows.value import flow  # torch with it: a study that is wrong is refused before
    from cuvee.flows.value.outlook import outlook
    from cuvee.flows.value.question import ValueQuestion
    from cuvee.report.reports import Beside, printout_of, write_reports
    from cuvee.study.seed_moments import default_valuer

    methods = tuple(method or (default_valuer(config),))
    question = ValueQuestion(target, methods, sources, retrain, seeds)
    if plan:
        look_ahead(config, folder, partial(outlook, question=question), print_outlook, as_json)
        return
    embedder, asked = encoder_of(encoder), judge_of(judge)
    forbid_the_hub(config)
    with folder.locked(), place.open(config, folder) as where, progress_display() as progress:
        answer = flow.run(config, folder, question, progress, where, judge=asked, encoder=embedder)
        page, *_ = write_reports(answer, folder.valued(question.target), Beside(folder=folder.root.name))
    if as_json:
        print_json(answer.as_json())
        return
    show(printout_of(answer))
    print(f"report: {page}")


def select(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new source.")],
    target: Target,
    budget: Annotated[
        float,
        typer.Option("--budget", min=1, max=1e18, metavar="TOKENS", help="Tokens to keep, such as 2e6."),
    ],
    study: Annotated[
        Path, typer.Option("--study", metavar="STUDY", help="A study.yaml, or its folder.")
    ] = HERE,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help=f"Whose values decide. {one_of(VALUERS)} Default: as of `cuvee value`.",
        ),
    ] = None,
    gate: Annotated[
        float, typer.Option(min=0, help="Share of the documents, the lowest values, that are never kept.")
    ] = 0.0,
    drop_copies: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="Share of the documents to drop as near-duplicates, the most alike first.",
        ),
    ] = 0.0,
    diversify: Annotated[
        bool,
        typer.Option(
            "--diversify", help="Pick documents unlike each other (DiSF) among those that pass the gate."
        ),
    ] = False,
    max_epochs: Annotated[
        int, typer.Option(min=1, help="How often one document may be kept, where the budget allows.")
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="0 keeps the best; else documents are drawn with odds exp(value / it). Default: as the "
            "method's paper does.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep the documents of the highest values as a new source of the study."""
    from cuvee.cli.output import print_json
    from cuvee.cli.progress_display import progress_display
    from cuvee.cli.run import forbid_the_hub
    from cuvee.quantities import counted, quantity
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import CONFIG_NAME, StudyFolder

    folder, config = StudyFolder.of(study), StudyConfig.load(study)
    file = study / CONFIG_NAME if study.is_dir() else study

    from cuvee.flows.value.selecting import SelectionRequest, keep
    from cuvee.study.seed_moments import default_valuer

    method = method or default_valuer(config)
    request = SelectionRequest(
        name, target.removeprefix("evaluations."), method, round(budget), gate, temperature, max_epochs,
        drop_copies, diversify,
    )  # fmt: skip

    forbid_the_hub(config)
    with folder.locked(), progress_display() as progress:
        kept = keep(config, folder, file, request, progress)
    if as_json:
        print_json(kept.as_json())
        return
    parts = ", ".join(f"{quantity(tokens)} of {source}" for source, tokens in kept.sources.items())
    print(f"{kept.name}: {counted(kept.documents, 'document')}, {quantity(kept.tokens)} tokens ({parts})")
    print(f"written to {kept.file}, and added to {file}; `cuvee run` trains its branch")
