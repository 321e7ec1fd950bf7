"""``study.yaml`` as one checked, immutable tree.

Everything is checked before any work begins; a message names the file, the dotted key and the reason.
The smallest file that is valid says ``schema: 1`` and names its ``sources``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from cuvee.errors import ConfigError, SchemaError
from cuvee.execution.cores import usable_cores
from cuvee.hashing import digest
from cuvee.honesty.scopes import RESERVED
from cuvee.lineage.descent import Descent
from cuvee.runs.formats.task_units import BITS_PER_BYTE
from cuvee.runs.observations import check_text
from cuvee.runs.roles import OTHER_CONDITIONS
from cuvee.study.file.effort import ordered, with_defaults
from cuvee.study.file.folder import CONFIG_NAME
from cuvee.study.file.settings import (
    BranchTrainingSettings,
    CandidatesSettings,
    CheckSettings,
    Count,
    DuplicatesSettings,
    EvaluationSettings,
    EvaluationsSettings,
    LimitsSettings,
    MergingSettings,
    ModelSettings,
    OrderSettings,
    PriceSettings,
    ReferencesSettings,
    ReferenceTrainingSettings,
    ScaleSettings,
    SearchSettings,
    SeedTrainingSettings,
    Settings,
    SourceSettings,
    SplitSettings,
    TargetRunSettings,
    TargetSettings,
    TaskSettings,
    TokenizerSettings,
    Trackers,
    TrainerSettings,
)
from cuvee.types import Json
from cuvee.yaml_file import did_you_mean, in_plain_words, read_yaml

SCHEMA = 1

LARGEST_SEED = 2**62
"""Seeds stay below, so that those of references and fresh trainings, which add to it, fit into 64 bits."""

_TRAININGS = ("seed_training", "branch_training", "reference_training")
_PLACES = ("sources", "evaluations", "workers", "price", "tracking", "trainer")


class StudyConfig(Settings):
    """The study file: everything that a user decides."""

    schema_version: Literal[1] = Field(alias="schema")
    """Version of the file format."""
    name: str = Field(default="study", min_length=1)
    """Name of the study in reports."""
    effort: Literal["tiny", "small", "standard", "large"] = "small"
    """Preset of all defaults: `tiny` takes minutes on a few cores, `small` tens of minutes; on one GPU (H100)
    `standard` takes about 25 minutes, `large` 70."""
    seed: int = Field(default=0, ge=0, lt=LARGEST_SEED)
    """Random seed of the study."""
    workers: Count = Field(default_factory=usable_cores)
    """Number of worker processes. Default: one for each processor core."""
    price: PriceSettings = PriceSettings()
    """Prices of computing, for the amounts of money in plans, status and reports."""
    tracking: Trackers = ()
    """Trackers that show training curves, stages and the decision: `tensorboard`, `wandb` (offline) or
    `trackio`, one or a list (`pip install 'cuvee[track]'`). No result depends on them."""
    sources: dict[str, SourceSettings] = Field(min_length=1)
    """The data sources whose shares are decided: `name: path`, or the keys below."""
    evaluations: EvaluationsSettings = EvaluationsSettings()
    """Evaluation sets: held-out parts, and `name: {source: ...}` or `name: {paths: ...}`."""
    downstream: tuple[TaskSettings, ...] = ()
    """Downstream tasks of lm-evaluation-harness (extra `eval`): names, or `{task: PATH.yaml, limit: 500}`.
    They are measured on every model; where `target.weights` names one, it decides, too."""
    pool: tuple[str, ...] = ()
    """Sources that may enter the mixture. Default: all. Other sources only train the seed model; their
    held-out parts show how a mixture affects text outside it."""
    duplicates: DuplicatesSettings = DuplicatesSettings()
    """Documents that are in the sources more than once. Exact copies are always left out."""
    split: SplitSettings = SplitSettings()
    """How documents are split into training and evaluation parts."""
    tokenizer: TokenizerSettings
    """`vocabulary` trains a tokenizer, `folder` uses an existing one."""
    model: ModelSettings
    """`parameters` trains a new seed model, `folder` uses an existing causal language model."""
    seed_training: SeedTrainingSettings
    """Training of the seed model, from which all branches start."""
    branch_training: BranchTrainingSettings
    """Training of the pool: one branch of the seed model for each unit of data. With a tiny `learning_rate`
    (1e-5 to 1e-6), which is published to rank the recipes of larger models best (arXiv 2512.24503), give
    `reference_training.learning_rate` its usual value, as it is taken from here otherwise, and say float32 in
    `numerics.json` (docs/trust.md)."""
    reference_training: ReferenceTrainingSettings
    """Training of the reference runs. Missing keys are those of the branches."""
    merging: MergingSettings = MergingSettings()
    """How the branches of the pool are merged."""
    references: ReferencesSettings
    """Reference mixtures: models are trained on them to calibrate and judge the proxies."""
    candidates: CandidatesSettings
    """Candidate mixtures: scored by proxies, never trained."""
    check: CheckSettings
    """Check of the decision: the pick, equal shares and proportional shares are trained with fresh seeds."""
    order: OrderSettings
    """Does the order of mixtures survive? Some references are trained again under one other condition each
    time: another seed, learning rate, number of tokens and size. A factor of 1 leaves a condition out."""
    evaluation_tokens: Count
    """Maximum tokens of each evaluation for choosing a mixture, spread over half of its documents. The check
    uses as many from the other half."""
    target: TargetSettings = TargetSettings()
    """The objective: a weighted mean of the evaluation losses, to be minimised."""
    target_run: TargetRunSettings = TargetRunSettings()
    """The target run: the training run that the decision is for."""
    scale: ScaleSettings
    """Settings of `cuvee scale`: how optima at affordable scales are extrapolated to the target run."""
    search: SearchSettings
    """Settings of `cuvee search`: sequential experiments within a budget of FLOPs."""
    trainer: TrainerSettings = TrainerSettings()
    """Settings of `cuvee swarm`: mixtures trained by a trainer of your own (docs/trainers.md)."""
    limits: LimitsSettings = LimitsSettings()
    """Constraints on the mixture, in token shares."""
    estimand: Literal["equal_budget", "union"] = "equal_budget"
    """Compare mixtures at equal training tokens (equal_budget) or at the sum of their units (union)."""
    averaging_bonus: bool = True
    """Correct merges for the gain that averaging gives for any data."""

    @classmethod
    def load(cls, path: Path) -> "StudyConfig":
        """Read a study from its YAML file, or from the folder in which ``study.yaml`` lies.

        Raises:
            ConfigError: the file cannot be read or says something impossible.
            SchemaError: it was written for another version.
        """
        file = path / CONFIG_NAME if path.is_dir() else path
        return cls.parse(read_yaml(file), file.absolute().parent, str(file))

    @classmethod
    def parse(cls, raw: Mapping[str, Any], folder: Path, name: str = CONFIG_NAME) -> "StudyConfig":
        """The same from a mapping; relative paths are meant from ``folder``, messages say ``name``."""
        if "by" in raw and "mixture" in raw:
            raise ConfigError(f"{name} is an answer of cuvee and no study file; name the folder of the study")
        _check_schema(raw, name)
        try:
            return cls.model_validate(with_defaults(raw), context={"folder": folder})
        except ValidationError as error:
            raise in_plain_words(error, cls, raw, name) from None

    def searching(self, changes: Mapping[str, Any]) -> "StudyConfig":
        """The same with other settings of ``search``, such as a budget given on the command line.

        Raises:
            ConfigError: a value that makes no sense.
        """
        try:
            changed = SearchSettings.model_validate({**self.search.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(f"search.{first['loc'][0]}: {first['msg']}") from None
        return self.model_copy(update={"search": changed})

    def checking(self, seeds: int) -> "StudyConfig":
        """The same with another number of fresh trainings, such as one given on the command line."""
        return self.model_copy(update={"check": CheckSettings(seeds=seeds)})

    @model_validator(mode="after")
    def _names_agree(self) -> "StudyConfig":
        problems = list(self._name_problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _name_problems(self) -> Iterable[str]:
        sources = list(self.sources)
        yield from _unknown("pool", self.pool, sources, "source")
        yield from self._descent_problems()
        if len(set(self.pool)) < len(self.pool):
            yield "pool: a source stands twice"
        if isinstance(self.seed_training.mixture, dict):
            seen = list(self.seed_sources)
            yield from _unknown(
                "seed_training.mixture", self.seed_training.mixture, seen, "source of the seed"
            )
        if self.seed_training.tokens and not self.seed_sources:
            yield "sources: the seed model is trained, so at least one needs `in_seed: true`"
        for name, evaluation in self.evaluations.named.items():
            if evaluation.source is not None:
                yield from _unknown(f"evaluations.{name}", [evaluation.source], sources, "source")
            elif self.evaluations.held_out and name in self.sources:
                yield f"evaluations.{name}: a source has that name, and its held-out part too; choose another"
        yield from _unprintable("sources", sources)
        yield from _unprintable("evaluations", self.evaluations.named)
        for name in self.evaluation_sets:
            if name in RESERVED:
                where = "evaluations" if name in self.evaluations.named else "sources"
                yield f'{where}.{name}: reports call the weighted mean "{name}"; give another name'
        if not self.evaluation_sets:
            yield "evaluations: there is none; name one or let `held_out` be true"
        yield from self._task_problems()
        pool = list(self.pool_sources)
        yield from _unknown("limits.minimum", self.limits.minimum, pool, "source of the pool")
        yield from _unknown("limits.maximum", self.limits.maximum, pool, "source of the pool")
        for index, group in enumerate(self.limits.ratios):
            yield from _unknown(f"limits.ratios.{index}", group, pool, "source of the pool")
        for name, training in self._continued.items():
            if training.optimizer_state == "restored" and training.optimizer != self.seed_training.optimizer:
                yield (
                    f"{name}.optimizer: the moments of {self.seed_training.optimizer}, by which the seed is "
                    f"trained, are not those of {training.optimizer}; say `optimizer_state: fresh` there"
                )
        for section in _TRAININGS:
            one = getattr(self, section)
            if one.processes > 1 and one.optimizer != "adamw":
                yield (
                    f"{section}.processes: {one.optimizer} needs whole matrices and is not shared by "
                    "processes; say `processes: 1` or `optimizer: adamw`"
                )
        if self.model.adapters is not None and self.merging.key:
            yield f"merging.method: {self.merging.method} does not merge adapters; leave it out"
        if self.order.mixtures > self.references.count:
            yield f"order.mixtures: {self.order.mixtures} of {self.references.count} references"
        if self.seed_training.tokens == 0 and self.model.folder is None:
            yield "seed_training.tokens: a new model has to be trained; give more than 0"
        if self.model.folder is None and self.tokenizer.folder is None and self.tokenizer.vocabulary is None:
            yield "tokenizer: a new model needs `vocabulary` or `folder`"
        if self.seed_training.tokens and not self.split.seed:
            yield "split.seed: the seed model is trained, so it needs a share of the documents above 0"

    def _task_problems(self) -> Iterable[str]:
        for place, task in enumerate(self.downstream):
            if task.called in (*self.evaluation_sets, *self.sources, *self.tasks[:place], *RESERVED):
                yield f'downstream.{place}: the name "{task.called}" is taken; give the task a `name`'
        yield from _unprintable("downstream", self.tasks)
        for key in self.target.weights:
            name, _, metric = key.rpartition(":")
            if name in self.tasks and metric != BITS_PER_BYTE:
                yield (
                    f'target.weights: "{key}" cannot decide: accuracies move by whole questions, and '
                    f'mixtures are chosen by likelihoods; name "{name}", that of its right answers'
                )
            else:
                yield from _unknown(
                    "target.weights", [self._weighed(key)], list(self.evaluation_names), "evaluation"
                )

    def _weighed(self, key: str) -> str:
        """The evaluation that a key of the target's weights means."""
        name, _, metric = key.rpartition(":")
        return name if name in self.tasks and metric == BITS_PER_BYTE else key

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the downstream tasks."""
        return tuple(task.called for task in self.downstream)

    @property
    def evaluation_names(self) -> tuple[str, ...]:
        """Everything that losses are measured on: the evaluation sets, then the downstream tasks."""
        return (*self.evaluation_sets, *self.tasks)

    def _descent_problems(self) -> Iterable[str]:
        above: list[str] = []
        for name, source in self.sources.items():
            yield from _unknown(f"sources.{name}.made_from", source.made_from, above, "source above it")
            yield from _unknown(
                f"sources.{name}.selected_from", source.selected_from, above, "source above it"
            )
            if source.selected_from and source.made_from:
                yield f"sources.{name}: is either made from other sources or selected from them"
            if source.selected_from and source.in_seed:
                yield f"sources.{name}.in_seed: what is selected is for training alone; say false"
            if source.made_from and source.in_seed:
                yield f"sources.{name}.in_seed: the seed model sees what it was made from; say false"
            above.append(name)
        if any(origin not in self.sources for one in self.sources.values() for origin in one.made_from):
            return
        for step in self.descent.steps:
            if step.is_split and len(step.after) == 1:
                yield f"sources.{step.after[0]}.made_from: a source has at least two parts; name another"
        pool = self.pool_sources
        for name in pool:
            if both := sorted(self.descent.ancestors(name).intersection(pool)):
                yield f'pool: "{name}" holds text of "{both[0]}"; leave one of them out'

    @property
    def descent(self) -> Descent:
        """Which sources were split off or merged from which others."""
        return Descent({name: source.made_from for name, source in self.sources.items()})

    def same_text(self, name: str) -> frozenset[str]:
        """The sources above whose documents are no duplicates of those of a source, though they are the
        same."""
        selected = self.sources[name].selected_from
        origins = self.descent.ancestors(name).union(selected)
        return origins.union(*(self.descent.ancestors(one) for one in selected))

    def seen_by_seed(self, name: str) -> bool:
        """Whether the seed model sees a source, or what it was made from."""
        return any(self.sources[one].in_seed for one in (name, *self.descent.ancestors(name)))

    @property
    def pool_sources(self) -> tuple[str, ...]:
        """The sources that may be in the mixture, in the order of the file."""
        return tuple(name for name in self.sources if not self.pool or name in self.pool)

    @property
    def seed_sources(self) -> tuple[str, ...]:
        """The sources that the seed model (and a tokenizer trained here) may see, in the file's order."""
        return tuple(name for name, source in self.sources.items() if source.in_seed)

    @property
    def evaluation_sets(self) -> dict[str, EvaluationSettings]:
        """All evaluations by name: the held-out part of each source, then those the file adds.

        The parts of a source that was split stand in its place; merged sources go on to stand for themselves.
        """
        named = self.evaluations.named
        renamed = {evaluation.source for evaluation in named.values()}
        held_out = {
            name: EvaluationSettings(source=name)
            for name in self.descent.measured
            if self.evaluations.held_out
            and not self.sources[name].selected_from
            and (name not in renamed or name in named)
        }
        return held_out | named

    @property
    def _continued(self) -> dict[str, ReferenceTrainingSettings]:
        """Trainings that go on with the moments of a seed that is trained here."""
        if not self.seed_training.tokens:
            return {}
        return {"branch_training": self.branch_training, "reference_training": self.reference_training}

    @property
    def own_sources(self) -> dict[str, str | None]:
        """For each evaluation the source of the pool that it was held out of, or that this was merged into;
        None is out of pool."""
        pool, descent = self.pool_sources, self.descent
        found = {
            name: None if evaluation.source is None else descent.home(evaluation.source, pool)
            for name, evaluation in self.evaluation_sets.items()
        }
        return found | dict.fromkeys(self.tasks)

    @property
    def own_columns(self) -> tuple[int, ...]:
        """For each evaluation the place of that source in ``pool_sources``; -1 is out of pool."""
        return tuple(
            self.pool_sources.index(source) if source is not None else -1
            for source in self.own_sources.values()
        )

    @property
    def processes(self) -> int:
        """The most processes that share a training."""
        trainings = (self.seed_training, self.branch_training, self.reference_training)
        return max(one.processes for one in trainings)

    @property
    def replicates(self) -> int:
        """References that are trained twice, also where that is to see whether their order survives."""
        return max(self.references.replicates, self.order.mixtures)

    @property
    def other_conditions(self) -> dict[str, float]:
        """Under which references are trained again: role of such runs -> factor; none where nobody asks."""
        order, given = self.order, self.model.folder is not None  # a given checkpoint has one size
        factors = (order.learning_rate, order.tokens, 1.0 if given else order.parameters)
        asked = zip(OTHER_CONDITIONS, factors, strict=True)
        return {role: factor for role, factor in asked if order.mixtures and factor != 1.0}

    @property
    def target_weights(self) -> dict[str, float]:
        """Weight of every evaluation, summing to one; those not named count nothing."""
        said = self.target.weights or dict.fromkeys(self.evaluation_sets, 1.0)
        given: dict[str, float] = dict.fromkeys(self.evaluation_names, 0.0)
        for key, weight in said.items():
            given[self._weighed(key)] += weight
        total = sum(said.values())
        return {name: weight / total for name, weight in given.items()}

    def as_json(self) -> Json:
        """Everything, defaults filled in, as plain JSON under the keys of the file.

        Paths are absolute and ``workers`` is this machine's: neither belongs into a key.
        """
        return self.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> str:
        """Hash of all that was decided; where text lies, how many work and for what price aside. Runs of
        `cuvee swarm` have keys of their own."""
        left_out = set(_PLACES) if self.merging.key else {*_PLACES, "merging"}
        if self.search.trainer_tokens:
            left_out.remove("trainer")  # a search rests on it
        said = {key: value for key, value in self.as_json().items() if key not in left_out}
        # Files of before these keys were known keep their digest.
        if self.model.adapters is None:
            del said["model"]["adapters"]
        if self.search.document_values is None:
            del said["search"]["document_values"]
        if not self.search.trainer_tokens:
            del said["search"]["trainer_tokens"]
        for section in _TRAININGS:
            for key, default in (("accumulation", 1), ("processes", 1), ("optimizer", "adamw")):
                if said[section][key] == default:
                    del said[section][key]
        if self.duplicates == DuplicatesSettings():
            del said["duplicates"]
        del said["downstream"]
        if self.downstream:
            said["downstream"] = [[task.called, task.limit] for task in self.downstream]
        if self.order == OrderSettings(mixtures=ordered(self.effort, self.references.count)):
            del said["order"]
        return digest(said)


def _check_schema(raw: Mapping[str, Any], name: str) -> None:
    if "schema" not in raw:
        raise ConfigError(f"{name}: schema: is missing; write `schema: {SCHEMA}` at the top")
    version = raw["schema"]
    if isinstance(version, bool) or not isinstance(version, int):
        raise ConfigError(f"{name}: schema: must be a whole number, not {version!r}")
    if version > SCHEMA:
        raise SchemaError(
            f"{name}: schema: {version} is newer than this cuvee knows ({SCHEMA}); install a newer one"
        )
    if version < SCHEMA:
        raise SchemaError(f"{name}: schema: {version} is unknown; the first is 1")


def _unprintable(where: str, names: Iterable[str]) -> Iterable[str]:
    """Names that the store and tables of runs would refuse, after the first training."""
    for name in names:
        if not name.strip():
            yield f"{where}: {name!r} is no name"
        try:
            check_text("the name", name)
        except ConfigError as error:
            yield f"{where}: {error}"


def _unknown(where: str, names: Iterable[str], known: list[str], what: str) -> Iterable[str]:
    for name in names:
        if name not in known:
            yield f'{where}: "{name}" is no {what}{did_you_mean(name, known)}'
