"""Checking an answer of a study later on, whichever flow gave it.

``cuvee run`` checks its pick itself. A search and a ladder leave the FLOPs to the user, and more seeds can be
trained for any of them: trainings that are there count, only what is missing is made.
"""

import math
from dataclasses import replace

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.answers.recommendation import answer_of
from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.study.answers import AnyDecision
from cuvee.study.checking import Checking, replicated
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.ledger import ledger
from cuvee.study.opening import opened
from cuvee.study.outdated import outdated
from cuvee.study.outlook import Outlook
from cuvee.study.plan.mixtures import carried_references
from cuvee.study.rechecking import checking_of
from cuvee.study.runner import Runner
from cuvee.study.tariff import tariff_of


def check_answer(
    config: StudyConfig,
    folder: StudyFolder,
    answer: AnyDecision,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> AnyDecision:
    """The same answer with what fresh trainings say of it, ``check.seeds`` of each mixture.

    Raises:
        ConfigError: the study asks for no seeds, or its sources are not those of the answer.
        CuveeError: anything that cannot go on; what is trained so far is kept.
    """
    _check_asked(config, answer)
    with opened(config, folder, progress, executor) as runner:
        # An answer of another state of the study may have been chosen on what checks it now.
        same_text = answer.created_from.sources == runner.plan.material.content
        unseen = same_text and not outdated(folder.root, [answer_of(answer)], None)
        found = _checking(runner, answer, unseen).check(config.check.seeds)
        assert found is not None  # there are seeds
        return runner.concluded(_with_check(runner, answer, found))


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    answer: AnyDecision,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Outlook:
    """What ``check_answer`` would still take; steps are timed, nothing is trained.

    Raises:
        ConfigError: as ``check_answer``.
    """
    _check_asked(config, answer)
    with opened(config, folder, progress, executor, looking=True) as runner:
        row = _checking(runner, answer).outlook(config.check.seeds)
        return Outlook((row,), tariff=tariff_of(config, folder))


def _check_asked(config: StudyConfig, answer: AnyDecision) -> None:
    if not config.check.seeds:
        raise ConfigError("check.seeds: 0 trainings check nothing; give 1 or more")
    shares = {entry.source for entry in answer.mixture}
    if shares != set(config.pool_sources):
        raise ConfigError(
            f"the answer mixes {', '.join(entry.source for entry in answer.mixture)}, but the study has "
            f"{', '.join(config.pool_sources)}; run it again"
        )
    _check_target(config, answer)
    if isinstance(answer, SearchDecision) and answer.trainer:
        raise ConfigError(
            "the mixture was found by runs of your trainer, which `cuvee check` does not call: train it and "
            f"equal shares at other seeds by `{answer.trainer}`, and compare"
        )


def _check_target(config: StudyConfig, answer: AnyDecision) -> None:
    """A gain in one target says nothing of a mixture chosen for another."""
    asked, before = config.target_weights, answer.target
    if all(
        math.isclose(asked.get(name, 0.0), before.get(name, 0.0), rel_tol=1e-9)
        for name in asked.keys() | before.keys()
    ):
        return
    weights = ", ".join(f"{name} {weight:.3g}" for name, weight in before.items())
    raise ConfigError(
        f"target: the answer was chosen for other weights ({weights}) than those of the study file; run it "
        "again, or give them back to the file"
    )


def _checking(runner: Runner, answer: AnyDecision, unseen: bool = True) -> Checking:
    if not isinstance(answer, Decision):
        return checking_of(runner, answer, unseen)
    names = runner.plan.config.pool_sources
    mixtures = [Mixture.of(dict(zip(names, one.shares, strict=True))) for one in answer.references]
    trained = carried_references(runner.plan.config, runner.plan.folder, runner.plan.material.unit_tokens)
    references = [trained.get(one.key, one) for one in mixtures]
    return replace(
        Checking.of(runner, answer.mixture, runner.plan.reference),
        layouts=replicated(runner, references),
        confidence=answer.confidence,
        unseen=unseen,
    )


def _with_check(runner: Runner, answer: AnyDecision, found: TrainingCheck) -> AnyDecision:
    if isinstance(answer, Decision):
        answer = replace(answer, ledger=ledger(runner.store))
    return answer.with_check(found)
