"""Valuing the documents of a study for a target, by any methods, and training on what they keep."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from cuvee.decisions.interval import Interval
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.value.decision import Valuation
from cuvee.decisions.value.result import (
    MethodAgreement,
    Retraining,
    SourceGame,
    Valued,
    ValuedDocument,
    ValuedSource,
)
from cuvee.decisions.verdict import UNJUDGED
from cuvee.errors import ConfigError, TrainingError
from cuvee.execution.interface import Executor
from cuvee.flows.value.question import ValueQuestion
from cuvee.flows.value.retraining import check_share, retrained
from cuvee.flows.value.source_values import source_games
from cuvee.flows.value.value_table import FILE, write_values
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.question.question import OF_TRANSPORT
from cuvee.search.allocation import allocate, allocated_ends
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import (
    check_target,
    check_unseen,
    pool_documents,
    target_documents,
    without_copies,
)
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan.mixtures import region_of
from cuvee.study.provenance import provenance
from cuvee.study.runner import Runner
from cuvee.study.seed_moments import check_valuers
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.embeddings import Embedder
from cuvee.valuation.judge import LanguageJudge
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.mixture_transport import transport_planes
from cuvee.valuation.substrates import NotAtHand, Substrates
from cuvee.valuation.valuer import Valuer
from cuvee.valuation.values import Values

TRANSPORT = "transport.json"
"""Distances of mixtures, beside the values of projektor."""
SHOWN = 8
"""Documents shown at each end."""
SHOWN_CHARACTERS = 600


def run(
    config: StudyConfig,
    folder: StudyFolder,
    question: ValueQuestion,
    progress: Progress | None = None,
    executor: Executor | None = None,
    judge: LanguageJudge | None = None,
    encoder: Embedder | None = None,
) -> Valuation:
    """Value all documents of the pool; what is there is not made again.

    Args:
        config: of the study.
        folder: of the study.
        question: target and methods.
        progress: listens.
        executor: where trainings run; default worker processes of its own.
        judge: a language model, for the methods that ask one.
        encoder: embeds documents; default the study's own proxy.

    Raises:
        ConfigError: an unknown evaluation or method, or no method could be run.
        CuveeError: anything that cannot go on; what is made so far is kept.
    """
    check_target(config, question.target)
    check_valuers(config, question.all_methods)
    valuers = [valuer_named(name) for name in question.all_methods]
    with opened(config, folder, progress, executor) as runner:
        target = target_documents(runner.plan.material, question.target)
        if question.retrain:
            check_unseen(runner.plan.material, question.target)
        pool = pool_documents(runner.plan)
        check_share(runner, pool, question)
        substrates = at_hand(runner, pool, judge, encoder)
        found = _values(valuers, pool, target, substrates, config.seed)
        _check_asked(question, found)
        known = {name: one.of_document for name, one in found.values.items()}
        place = folder.valued(question.target)
        place.mkdir(parents=True, exist_ok=True)
        write_values(place / FILE, pool, known, {one.name: one.unit for one in valuers})
        if OF_TRANSPORT in known:
            planes = transport_planes(pool, target, question.target, substrates, config.seed)
            planes.write(place / TRANSPORT)
            runner.progress.message(
                f"distances of mixtures: {place / TRANSPORT}; `cuvee fit TABLE --transport FILE` uses them"
            )
        games = source_games(runner, question.target, question.confidence) if question.sources else ()
        trained = _trained(runner, pool, known, question) if question.retrain else None
        found_all = _Found(valuers, found, pool, target)
        return runner.concluded(_concluded(runner, found_all, question, games, trained))


def _trained(
    runner: Runner, pool: DocumentTable, values: Mapping[str, FloatArray], question: ValueQuestion
) -> Retraining:
    alone = without_copies(pool, runner.plan.config)
    return retrained(runner, pool.select(alone), {name: one[alone] for name, one in values.items()}, question)


@dataclass(frozen=True, eq=False)
class _Run:
    values: Mapping[str, Values]
    not_run: Mapping[str, str]


def _values(
    valuers: list[Valuer], pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
) -> _Run:
    found: dict[str, Values] = {}
    not_run: dict[str, str] = {}
    for valuer in valuers:
        substrates.progress.stage(f"valuing by {valuer.name}", len(pool), "documents")
        try:
            values = valuer.value(pool, target, substrates, seed)
        except (NotAtHand, ConfigError, TrainingError) as error:  # the other methods go on
            not_run[valuer.name] = str(error).removeprefix(f"{valuer.name}: ")
            substrates.progress.message(f"{valuer.name} is not run: {not_run[valuer.name]}")
            continue
        found[valuer.name] = Values(valuer.name, valuer.unit, values, pool.key)
    return _Run(found, not_run)


def _check_asked(question: ValueQuestion, found: _Run) -> None:
    if not any(name in found.values for name in question.methods):
        first = question.methods[0]
        raise ConfigError(f"no method could be run; {first}: {found.not_run[first]}")


@dataclass(frozen=True, eq=False)
class _Found:
    valuers: list[Valuer]
    run: _Run
    pool: DocumentTable
    target: DocumentTable

    def rows(self, confidence: float) -> tuple[Valued, ...]:
        """A row for every method."""
        return tuple(
            self._row(valuer, confidence)
            if valuer.name in self.run.values
            else Valued(
                valuer.name, valuer.paper, valuer.unit, self.run.not_run[valuer.name], math.nan, (), (), ()
            )
            for valuer in self.valuers
        )

    def _row(self, valuer: Valuer, confidence: float) -> Valued:
        values = self.run.values[valuer.name]
        sources = tuple(
            ValuedSource(one.source, one.documents, one.tokens, Interval(one.mean, *one.interval))
            for one in values.by_source(self.pool, confidence)
        )
        known = np.flatnonzero(values.known)
        order = known[np.argsort(-values.of_document[known], kind="stable")]
        best, worst = order[:SHOWN], order[::-1][:SHOWN]
        return Valued(
            valuer.name, valuer.paper, valuer.unit, "", values.coverage, sources,
            tuple(self._document(int(row), values) for row in best),
            tuple(self._document(int(row), values) for row in worst),
        )  # fmt: skip

    def _document(self, row: int, values: Values) -> ValuedDocument:
        return ValuedDocument(
            self.pool.id_of(row),
            self.pool.sources[int(self.pool.source[row])],
            int(self.pool.length[row]),
            float(values.of_document[row]),
            self.pool.text(row)[:SHOWN_CHARACTERS],
        )

    def agreement(self) -> tuple[MethodAgreement, ...]:
        """Of every two methods."""
        names = list(self.run.values)
        return tuple(
            MethodAgreement(one, other, _rank(self.run.values[one], self.run.values[other]))
            for place, one in enumerate(names)
            for other in names[place + 1 :]
        )


def _rank(one: Values, other: Values) -> float:
    both = one.known & other.known
    a, b = one.of_document[both], other.of_document[both]
    if len(a) < 2 or not np.ptp(a) or not np.ptp(b):
        return math.nan
    return float(spearmanr(a, b).statistic)


def _concluded(
    runner: Runner,
    found: _Found,
    question: ValueQuestion,
    games: tuple[SourceGame, ...],
    trained: Retraining | None,
) -> Valuation:
    config = runner.plan.config
    rows = found.rows(question.confidence)
    first = next(one for one in rows if not one.not_run)
    return Valuation(
        study=config.name,
        created_from=provenance(
            runner,
            runner.plan.reference(Mixture.uniform(config.pool_sources)).recipe.hash,
            question.command,
        ),
        headline=(),
        verdict=UNJUDGED,
        target=question.target,
        target_documents=len(found.target),
        documents=len(found.pool),
        tokens=found.pool.size,
        mixture=_prior(runner, first),
        methods=rows,
        agreement=found.agreement(),
        games=games,
        retraining=trained,
        warnings=_warnings(found, rows),
        confidence=question.confidence,
    ).judged()


def _prior(runner: Runner, first: Valued) -> tuple[SourceShare, ...]:
    """What UtiliMax makes of the values of the first method."""
    config = runner.plan.config
    available = available_tokens(config, runner.plan.material)
    region = region_of(config, available)
    by_name = {one.source: one.value for one in first.sources}
    values = [by_name[name].mean for name in region.names]
    ends = [(by_name[name].low, by_name[name].high) for name in region.names]
    shares = allocate(values, region).shares
    low, high = allocated_ends(values, ends, region, config.seed)
    target = config.target_run
    return tuple(
        SourceShare.of(
            name,
            float(shares[place]),
            (float(low[place]), float(high[place])),
            unique_tokens=available[name],
            target_tokens=float(target.tokens or math.nan),
            epoch_cap=float(target.max_epochs) if target.tokens else math.nan,
            largest=float(region.upper[place]),
        )
        for place, name in enumerate(region.names)
    )


def _warnings(found: _Found, rows: tuple[Valued, ...]) -> tuple[str, ...]:
    left = [f"{one.method} is not run: {one.not_run}" for one in rows if one.not_run]
    partly = [
        f"{one.method} has no value for {1.0 - one.coverage:.1%} of the documents; these are never kept."
        for one in rows
        if not one.not_run and one.coverage < 1.0
    ]
    return (*left, *partly, *_alike(found.run.values))


def _alike(values: Mapping[str, Values]) -> list[str]:
    """Methods that tell no document apart, and those that say what one before them says."""
    said: list[str] = []
    before: dict[str, Values] = {}
    for name, one in values.items():
        same = [other for other in before if np.array_equal(before[other].of_document, one.of_document, True)]
        if len(one.of_document) > 1 and not np.ptp(one.of_document[one.known]):
            said.append(f"{name} values all documents alike: which of them it keeps is chance.")
        elif same:
            said.append(f"{name} has the very values of {same[0]}: here they are one method, not two.")
        before[name] = one
    return said
