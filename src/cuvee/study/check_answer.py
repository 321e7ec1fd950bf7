"""Checking an answer of a study later on, whichever flow gave it (floor 7).

``cuvee run`` checks its pick itself. A search and a ladder leave the FLOPs to the user, and more seeds can be
trained for any of them: trainings that are there count, only what is missing is made.
"""

from dataclasses import replace

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.study.answer import answer_of
from cuvee.study.check import Check
from cuvee.study.checking import Checking, replicated
from cuvee.study.config import StudyConfig
from cuvee.study.decision import Decision
from cuvee.study.folder import StudyFolder
from cuvee.study.headline import with_headline
from cuvee.study.ledger import ledger
from cuvee.study.opening import opened
from cuvee.study.outdated import outdated
from cuvee.study.outlook import Outlook
from cuvee.study.rechecking import checking_of
from cuvee.study.runner import Runner
from cuvee.study.scale.decision import ScaleDecision
from cuvee.study.search.decision import SearchDecision

AnyDecision = Decision | SearchDecision | ScaleDecision


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
    with opened(config, folder, progress, executor) as lab:
        # An answer of another state of the study may have been chosen on what checks it now.
        same_text = answer.created_from.sources == lab.plan.material.content
        unseen = same_text and not outdated(folder.root, [answer_of(answer)], None)
        found = _checking(lab, answer, unseen).check(config.check.seeds)
        assert found is not None  # there are seeds
        return _with_check(lab, answer, found)


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
    with opened(config, folder, progress, executor, looking=True) as lab:
        return Outlook((_checking(lab, answer).outlook(config.check.seeds),))


def _check_asked(config: StudyConfig, answer: AnyDecision) -> None:
    if not config.check.seeds:
        raise ConfigError("check.seeds: 0 trainings check nothing; give 1 or more")
    shares = {entry.source for entry in answer.mixture}
    if shares != set(config.pool_sources):
        raise ConfigError(
            f"the answer mixes {', '.join(entry.source for entry in answer.mixture)}, but the study has "
            f"{', '.join(config.pool_sources)}; run it again"
        )


def _checking(lab: Runner, answer: AnyDecision, unseen: bool = True) -> Checking:
    if not isinstance(answer, Decision):
        return checking_of(lab, answer, unseen)
    names = lab.plan.config.pool_sources
    references = [Mixture.of(dict(zip(names, one.shares, strict=True))) for one in answer.references]
    return replace(
        Checking.of(lab, answer.mixture, lab.plan.reference),
        layouts=replicated(lab, references),
        confidence=answer.confidence,
        unseen=unseen,
    )


def _with_check(lab: Runner, answer: AnyDecision, found: Check) -> AnyDecision:
    if isinstance(answer, Decision):
        spent = ledger(lab.store)
        return with_headline(replace(answer, check=found, verdict=found.verdict, ledger=spent))
    return answer.with_check(found)
