"""Ensembles of a pool: arithmetic on the probabilities of its members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.scores import Scores
from cuvee.execution.devices import PROCESSOR
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.proxy_job import EnsembleTask, score_ensembles
from cuvee.study.producers.producer import Producer, Results
from cuvee.study.producers.weighted import Weighted, weighted_key, weighted_run

KIND = "ensembled"

_PROXY = "ensemble"
_ENSEMBLES_A_TASK = 2048


@dataclass(frozen=True, eq=False)
class Ensembles(Producer[Weighted]):
    """Scores ensembles. Their documents are not kept: ten thousand of them are scored in a second."""

    plan: Plan
    ensemble: Ensemble

    def key(self, request: Weighted) -> str:
        """See ``weighted_key``."""
        return weighted_key(KIND, self.plan, self.ensemble.roster, request.weights)

    def make(
        self,
        missing: Sequence[Weighted],
        asked: Sequence[Weighted],
        executor: Executor,
        progress: Progress,
    ) -> Iterator[Results]:
        """See ``Producer.make``; on the processor in this process."""
        scores = self.scores(missing, executor)
        flops = float(2.0 * len(missing[0].weights) * scores.documents.tokens.sum())
        yield Results(
            tuple(
                weighted_run(KIND, _PROXY, self.plan, self.key(one), one, scores[place], flops)
                for place, one in enumerate(missing)
            )
        )

    def scores(self, requests: Sequence[Weighted], executor: Executor) -> Scores:
        """Nats of every document [R, D]."""
        weights = np.stack([one.weights for one in requests])
        if self.plan.model.device == PROCESSOR:
            return self.ensemble.score(weights)
        path, device = self.plan.folder.ensembles / self.ensemble.key, self.plan.model.device
        tasks = [
            EnsembleTask(path, weights[start : start + _ENSEMBLES_A_TASK], device)
            for start in range(0, len(weights), _ENSEMBLES_A_TASK)
        ]
        found = dict(executor.map(score_ensembles, tasks))
        return Scores(self.ensemble.documents, np.concatenate([found[place] for place in range(len(tasks))]))
