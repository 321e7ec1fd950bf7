"""The flow of ``cuvee search``: one batch of experiments after another, until it stops by rule.

    baseline at the target fidelity -> ask, write down, make, observe -> ... -> try the best -> conclude

A method is a pure function of what was tried, so a search that was killed goes on from its journal and the
store, and tries what it would have tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.search.result import Why
from cuvee.errors import StoreError
from cuvee.execution.interface import Executor
from cuvee.flows.search.conclude import conclude
from cuvee.flows.search.findings import Made, SearchFindings
from cuvee.flows.search.journal import Asked, Journal
from cuvee.flows.search.measuring import Measuring
from cuvee.flows.search.menu import Menu
from cuvee.flows.search.messages import experiment_line
from cuvee.flows.search.outlook import SearchOutlook, outlook_of
from cuvee.flows.search.search_checks import check_search
from cuvee.flows.search.trainings import losses_of
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.search.loop import Loop, Outcome
from cuvee.search.methods.registry import method_named
from cuvee.search.proposer import History, Proposer
from cuvee.search.regret import Regret, believed
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, untried
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.rechecking import rechecked
from cuvee.study.runner import Runner
from cuvee.study.seed_moments import check_valuers

LEAST_OBSERVED = 8
"""Experiments before the posterior is used for mixtures that were not tried."""
SURE = 0.05
"""The search stops when a better mixture is less probable than this ..."""
SURE_TIMES = 2
"""... so many times in a row."""


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
    emit: Path | None = None,
) -> SearchDecision:
    """Search, or go on where it was left.

    Args:
        config: what the user wrote.
        folder: where everything is kept.
        progress: where work is reported; a line for every experiment.
        executor: where jobs run; by default ``config.workers`` processes on this machine.
        emit: where runs of the user's trainer are written as scripts for a scheduler; None launches them.

    Raises:
        RunsAwaited: such runs are written and have not ended; the same call goes on when they have.
        TrainingError: several runs of the user's trainer failed in a row; the same call tries them again.
        ConfigError: the budget is too small (the message names what it would take), or an unknown method.
        CuveeError: anything else that cannot go on; what is done so far is kept. A training that fails is
            no error: it is an experiment that measured nothing.
    """
    _check_methods(config)
    check_search(config, emit)
    with opened(config, folder, progress, executor) as runner:
        search = _Search.of(runner, emit)
        for line in (outlook_of(search.menu).statement, *search.menu.warnings):
            runner.progress.message(line)
        findings = search.finished()
        with threadpool_limits(limits=1):
            return runner.concluded(rechecked(runner, conclude(findings, runner)))


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> SearchOutlook:
    """What can be asked for, at which price; text is prepared and steps are timed, nothing is trained."""
    _check_methods(config)
    check_search(config)
    with opened(config, folder, progress, executor, looking=True) as runner:
        return outlook_of(Menu.of(runner))


def _check_methods(config: StudyConfig) -> None:
    """Raises: ConfigError, before any text is read, where a method is unknown or cannot be."""
    method_named(config.search.method)
    if config.search.document_values:
        check_valuers(config, [config.search.document_values], "search.document_values")


@dataclass(eq=False)
class _Search:
    """What a search asks for, and what came of it."""

    menu: Menu
    measuring: Measuring
    journal: Journal
    loop: Loop
    again: list[Asked]
    """Batches of the journal that are still to be gone through again."""
    batch: Asked | None = None
    """That is being made."""
    made: list[Made] = field(default_factory=list)
    sure: int = 0
    """How often in a row nothing better was probable."""
    regret: Regret | None = None
    """After the last batch; None before there are enough experiments."""
    stopped: str = ""
    """Why it ended."""

    @classmethod
    def of(cls, runner: Runner, emit: Path | None) -> Self:
        config, menu = runner.plan.config, Menu.of(runner, emit)
        menu.charge.write()
        measuring = Measuring(menu)
        method, metrics = method_named(config.search.method), measuring.metrics
        weights = np.array([config.target_weights[name] for name in metrics])
        path = runner.plan.folder.searches / f"{menu.question(method)}.jsonl"
        journal = Journal.opened(path, menu.pool_flops, menu.known())
        proposer = Proposer(method, menu.space, metrics, weights, config.seed)
        loop = Loop(proposer, measuring, config.search.budget_flops, journal.pool_flops)
        return cls(menu, measuring, journal, loop, list(journal.asked))

    @property
    def _runner(self) -> Runner:
        return self.menu.runner

    def finished(self) -> SearchFindings:
        """Ask and make until a rule says stop."""
        self.measuring.prepare()
        self._observe_known()
        self._runner.progress.stage("searching", self.loop.budget, "FLOPs")
        self._runner.progress.done_before(self.loop.spent)
        self.loop.run(self)
        return SearchFindings(self.menu, self.loop.history, tuple(self.made), self.loop.spent, self.stopped)

    def _observe_known(self) -> None:
        """What earlier searches of this study measured, where it still stands on the menu."""
        by_key = {run.key: run for run in self._runner.store.runs(key=list(self.journal.known))}
        for key in self.journal.known:
            if key not in by_key:
                raise StoreError(
                    f"{self.journal.path}: begun with run {key}, which is not in the store any more; move "
                    "the file away to search anew"
                )
        runs = [by_key[key] for key in self.journal.known]
        found = [one for run in runs if (one := self.menu.experiment(run)) is not None]
        assert len(found) == len(runs)  # else another question would have been asked
        self.loop.proposer.tell(found, losses_of(runs, self.measuring.metrics))

    def ask(self) -> Sequence[Experiment]:
        """The next batch: of the journal, then a new one, which is written down before it is made."""
        self._check_failures()
        found = self._asked_before() if self.again else self._new()
        if isinstance(found, str):
            self.stopped = found
            return ()
        self.batch, self.sure = found, found.sure
        return found.experiments

    def _check_failures(self) -> None:
        """Raises: TrainingError where so many trainings failed in a row that something is broken."""
        trained = [one for one in reversed(self.made) if self.menu.trains(one.experiment.fidelity)]
        failed = list(takewhile(lambda one: one.error, trained))
        if failed:
            requests = [self.menu.request(one.experiment) for one in reversed(failed)]
            self.menu.trainings.check_failures(requests, failed[0].error)

    def record(self, outcome: Outcome) -> None:
        """Tell of an experiment."""
        assert self.batch is not None  # it was asked for
        made = Made(
            outcome.experiment,
            self.batch.why[outcome.place],
            outcome.costs,
            outcome.price,
            self.batch.gain,
            self.measuring.error(outcome.experiment),
            outcome.observed,
        )
        self.made.append(made)
        progress = self._runner.progress
        # A batch of the journal behind which another stands was made by an earlier command.
        (progress.done_before if self.again else progress.advance)(outcome.price)
        self._runner.progress.message(
            experiment_line(self.menu, self.loop.proposer, self.made, self.loop.spent)
        )

    def _asked_before(self) -> Asked | str:
        batch = self.again.pop(0)
        if sum(map(self.loop.price, batch.experiments)) > self.loop.left:
            return "budget"  # a smaller one than before: what lies beyond it is not counted
        return batch

    def _new(self) -> Asked | str:
        found = self._next()
        if not isinstance(found, str):
            self.journal.write(found)
        return found

    def _next(self) -> Asked | str:
        """The next batch, or why there is none."""
        target, history = self.menu.space.target, self.loop.history
        if not self.made:
            even = self.menu.space.region.project(Mixture.uniform(self.menu.space.sources).shares)
            first = Experiment(tuple(even.shares.tolist()), target)
            if not history.tried(first.row[None], target)[0]:
                more = self._asked(history.plus(first), self._side_by_side - 1, self.loop.price(first))
                return self._batch([first, *more], ["baseline", *self._by_method(more)])
        price_of_target = self.menu.space.fidelities[target].flops
        self._believe()
        if self.sure >= SURE_TIMES:
            return "nothing better is probable"
        if self.loop.left < price_of_target:
            return "budget"
        asked = self._asked(history, self._side_by_side)
        after = self.loop.left - sum(map(self.loop.price, asked))
        if asked and (after >= price_of_target or any(one.fidelity == target for one in asked)):
            return self._batch(asked, self._by_method(asked))
        # Another cheap experiment would leave nothing to try the best mixture with: try it now.
        if verified := self._verified(int(self.loop.left // price_of_target)):
            return self._batch(verified, ["verify"] * len(verified))
        return "budget" if asked else "nothing is left to ask"

    @property
    def _side_by_side(self) -> int:
        config = self._runner.plan.config
        return config.search.batch or config.workers

    def _by_method(self, asked: Sequence[Experiment]) -> list[Why]:
        return ["method"] * len(asked)

    def _batch(self, experiments: Sequence[Experiment], why: Sequence[Why]) -> Asked:
        gain = self.regret.expected if self.regret is not None else float("nan")
        return Asked(tuple(experiments), tuple(why), gain, self.sure, self.loop.spent, self.loop.budget)

    def _asked(self, history: History, count: int, spent: float = 0.0) -> list[Experiment]:
        """What the method asks for that the budget allows. Of one training only one part at a time."""
        found: list[Experiment] = []
        if not count:
            return found
        with threadpool_limits(limits=1):  # products are small: more threads cost more than they give
            asked = self.loop.proposer.method.ask(history, count, self.loop.proposer.seed)
        for one in asked:
            spent += self.loop.price(one)
            under_way = [*history.running, *found]
            same = any(o.shares == one.shares and self._trains(o) and self._trains(one) for o in under_way)
            if spent <= self.loop.left and not same:
                found.append(one)
        return found

    def _trains(self, one: Experiment) -> bool:
        """At the target fidelity, or on the way there."""
        return one.fidelity in self.menu.space.on_the_way(self.menu.space.target)

    def _verified(self, count: int) -> list[Experiment]:
        """The mixtures of the lowest posterior mean that were not run at the target fidelity yet."""
        history, target = self.loop.history, self.menu.space.target
        if len(history.trials.measured) < LEAST_OBSERVED:
            return []
        regret = self._regret(tested_only=False)
        left = untried(history, np.stack([regret.pick, *regret.winners]), target)
        return at_fidelity(left[: min(count, self._side_by_side)], target)

    def _believe(self) -> None:
        history, tolerance = self.loop.history, self._runner.plan.config.search.tolerance
        if len(history.trials.measured) < LEAST_OBSERVED:
            return
        self.regret = self._regret()
        quiet = tolerance > 0 and self.regret.tested and self.regret.probability(tolerance) < SURE
        self.sure = self.sure + 1 if quiet else 0

    def _regret(self, tested_only: bool = True) -> Regret:
        with threadpool_limits(limits=1):
            return believed(self.loop.history, self.loop.proposer.seed, tested_only)
