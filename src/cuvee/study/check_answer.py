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
from cuvee.study.check import STAGE, Check
from cuvee.study.checking import check, replicated
from cuvee.study.config import StudyConfig
from cuvee.study.decision import Decision
from cuvee.study.folder import StudyFolder
from cuvee.study.headline import with_headline
from cuvee.study.laboratory import Laboratory
from cuvee.study.mixtures import compared_with, region_of
from cuvee.study.opening import available_tokens, opened
from cuvee.study.outdated import outdated
from cuvee.study.scale.decision import ScaleDecision
from cuvee.study.search.decision import SearchDecision
from cuvee.training.run import TrainingRun
from cuvee.types import FloatArray

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
    if not config.check.seeds:
        raise ConfigError("check.seeds: 0 trainings check nothing; give 1 or more")
    shares = {entry.source: entry.share for entry in answer.mixture}
    if set(shares) != set(config.pool_sources):
        raise ConfigError(
            f"the answer mixes {', '.join(shares)}, but the study has {', '.join(config.pool_sources)}; "
            "run it again"
        )
    with opened(config, folder, progress, executor) as lab:
        pick = Mixture.of(shares).reindexed(config.pool_sources)
        available = available_tokens(config, lab.plan.material)
        compared = compared_with(pick, region_of(config, available), available)
        found = check(
            lab,
            pick,
            compared,
            _Trainings(lab, answer).run,
            _layouts(lab, answer),
            _confidence(answer),
            STAGE if isinstance(answer, Decision) else f"{STAGE} ({answer.by})",
            unseen=not outdated(folder.root, [answer_of(answer)], None),
        )
    assert found is not None  # there are seeds
    return _with_check(answer, found)


class _Trainings:
    """How mixtures are trained to be compared with an answer's."""

    def __init__(self, lab: Laboratory, answer: AnyDecision) -> None:
        self._plan = lab.plan
        self._size = None if isinstance(answer, Decision) else _size(answer)

    def run(self, mixture: Mixture, replica: int) -> TrainingRun:
        if self._size is None:
            return self._plan.reference(mixture, replica)
        parameters, tokens = self._size
        return self._plan.alone(mixture, self._plan.built(parameters), tokens, tokens, replica)


def _size(answer: SearchDecision | ScaleDecision) -> tuple[int, int]:
    """Parameters and tokens of the largest trainings that the answer rests on."""
    if isinstance(answer, SearchDecision):
        return answer.levels[-1].parameters, answer.levels[-1].tokens
    if answer.check_tokens:
        return answer.check_parameters, answer.check_tokens
    return answer.rungs[-1].parameters, answer.rungs[-1].tokens


def _layouts(lab: Laboratory, answer: AnyDecision) -> list[FloatArray]:
    if not isinstance(answer, Decision):
        return []
    names = lab.plan.config.pool_sources
    return replicated(
        lab, [Mixture.of(dict(zip(names, one.shares, strict=True))) for one in answer.references]
    )


def _confidence(answer: AnyDecision) -> float:
    return answer.confidence if isinstance(answer, Decision) else 0.95


def _with_check(answer: AnyDecision, found: Check) -> AnyDecision:
    if isinstance(answer, Decision):
        return with_headline(replace(answer, check=found, verdict=found.verdict))
    return answer.with_check(found)
