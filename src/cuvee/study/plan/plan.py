"""From what the user wrote to the runs that have to be made. Plans only; nothing is trained."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.evaluation.task_scores import METRICS, TaskShape
from cuvee.execution.devices import processes_of
from cuvee.merging.roster import Member
from cuvee.mixture.mixture import Mixture
from cuvee.models.adapters import Adapters
from cuvee.models.checkpoint import Checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.flops import TRAINING_PER_PARAMETER
from cuvee.models.interface import CausalModel
from cuvee.runs.formats.task_units import of_task
from cuvee.runs.metric_names import BITS, NATS
from cuvee.sources.evaluation_set import HALVES
from cuvee.sources.request_windows import Cut
from cuvee.sources.shards import TokenShard
from cuvee.sources.split import EVAL
from cuvee.sources.tokenizer import load_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.effort import learning_rate
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import ReferenceTrainingSettings, TrainingSettings
from cuvee.study.plan.job import Bench, EvaluationRef
from cuvee.study.plan.material import Material
from cuvee.study.plan.numerics import Numerics
from cuvee.training.recipe import ADAMW, Recipe
from cuvee.training.run import AdaptedStart, ModelSpec, Start, TrainingRun

REFERENCE_SEEDS = 1000
"""Added to the study's seed for references: they must not see the same windows as the branches, in the
same order, or proxies would agree with them by more than what the mixture does."""

FRESH_WARMUP, FRESH_WARMUP_STEPS = 0.2, 200
"""Fresh parameters need many steps at lower rates, a fifth of a short training. Measured on 900 steps of a
model of 0.4M: with a twentieth it ended 0.25 nats higher, and trainings differed five times as much."""

EPOCHING_OFF = "Simulated epoching is off: small runs repeat sources less often than the target run will."
"""What reports say then."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The model, the recipes and the runs of a study."""

    config: StudyConfig
    folder: StudyFolder
    material: Material
    model: ModelSpec
    bench: Bench
    seed: TrainingRun | None
    """None where the seed is a folder that is used as it is."""
    start: Start
    """What branches and references start from."""
    shapes: Mapping[str, TaskShape] = field(default_factory=dict)
    """Where all requests of downstream tasks are measured: which belong together, by task."""

    @classmethod
    def of(cls, config: StudyConfig, folder: StudyFolder, material: Material) -> "Plan":
        """Plan the study.

        Raises:
            ConfigError: the model cannot be built to size, or does not fit the tokenizer.
        """
        architecture = None
        vocabulary = load_tokenizer(material.tokenizer_folder).vocabulary_size
        if config.model.folder is None:
            assert config.model.parameters is not None  # the configuration requires one of the two
            architecture = ModelConfig.for_parameters(
                config.model.parameters, vocabulary, config.model.context_length
            )
        plain = ModelSpec(architecture, config.model.folder)
        numerics = Numerics.of(folder, _training_flops(config, plain))
        model = numerics.spec(plain, config.model.context_length)
        if config.model.folder is not None:
            _check_fit(config, model.build(), vocabulary)
        bench = _bench(config, material, model)
        plan = cls(config, folder, material, model, bench, None, Start("", Path()))
        if config.seed_training.tokens:
            seed = plan._seed_run()
            plan = replace(plan, seed=seed, start=seed.as_start)
        else:
            assert config.model.folder is not None  # as above
            given = Checkpoint.load(config.model.folder)
            plan = replace(plan, start=Start(given.content_hash, config.model.folder))
        if config.model.adapters is not None:
            plan.branch_model.build()  # modules that are not there are refused before anything is trained
        return plan

    @property
    def checking(self) -> "Plan":
        """The same, measured on the halves of the evaluations that no choice has seen."""
        material = self.material.checking
        return replace(self, material=material, bench=_bench(self.config, material, self.model))

    def answering(self, names: Collection[str]) -> "Plan":
        """The same, measured on all requests of these downstream tasks in place of the evaluations."""
        tasks = [task for task in self.material.tasks if task.name in names]
        length = min(self.config.model.context_length, max(one.longest for one in tasks))
        refs = tuple(replace(one.every, cut=Cut(length)) for one in tasks)
        sets = tuple(one.open() for one in refs)
        material = replace(self.material, halves=dict.fromkeys(HALVES, sets))
        shapes = {task.name: task.shape for task in tasks}
        return replace(self, material=material, bench=Bench(self.model, refs), shapes=shapes)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is measured: all nats per token, then all bits per byte; or those of the tasks."""
        if self.shapes:
            return tuple(
                of_task(one, task) for task, shape in self.shapes.items() for one in METRICS[shape.kind]
            )
        return tuple(unit + name for unit in (NATS, BITS) for name in self.evaluations)

    @property
    def evaluations(self) -> dict[str, str]:
        """Keys of what losses are measured on, by name."""
        return {one.name: one.key for one in self.material.evaluations}

    @property
    def parameters(self) -> int:
        return self.model.build().layout.size

    @property
    def branch_model(self) -> ModelSpec:
        """What branches are: whole models, or adapters of the one that they start from."""
        settings = self.config.model.adapters
        if settings is None:
            return self.model
        alpha = settings.alpha if settings.alpha is not None else 2.0 * settings.rank
        adapters = Adapters(settings.rank, alpha, settings.target_modules, self.config.seed)
        return replace(self.model, adapted=AdaptedStart(adapters, self.start))

    @property
    def merge_depth(self) -> int:
        """Products a parameter that one member adds to a merge: more than one where it is made of factors."""
        return 1 if self.config.model.adapters is None else self.config.model.adapters.rank

    @property
    def processes(self) -> int:
        """How many trainings, or blocks of merges, are made side by side."""
        return processes_of(self.model.device, self.config.workers, self.config.processes)

    @property
    def branch_tokens(self) -> int:
        """Tokens that one branch is trained on."""
        settings = self.config.branch_training
        return (
            _steps(settings)
            * (settings.batch_tokens // self.config.model.context_length)
            * (self.config.model.context_length)
        )

    def branch(self, source: str, unit: int, replica: int = 0) -> TrainingRun:
        """The branch of one unit; ``replica`` > 0 is the same with another order of the data."""
        settings = self.config.branch_training
        steps = _steps(settings)
        snapshots = tuple(sorted({max(1, round(fraction * steps)) for fraction in settings.snapshots}))
        recipe = replace(self._recipe(settings, replica, self.model.stacked), snapshots=snapshots)
        shards = {source: (self.material.unit_shards(source)[unit],)}
        run = self._adapted(self._run(Mixture.vertex((source,), source), shards, recipe))
        # No target run is of this source alone: it is repeated here as the largest share allowed would be
        # there.
        longer = round(recipe.tokens / self.largest_share(source))
        return replace(run, fractions=self.fractions(longer, shards))

    def largest_share(self, source: str) -> float:
        """The most of the target run that a source may be, by its cap in epochs and its limit."""
        target = self.config.target_run
        largest = self.config.limits.maximum.get(source, 1.0)
        if target.tokens is not None:
            available = self.config.sources[source].tokens or self.material.tokens(source)
            largest = min(largest, target.max_epochs * available / target.tokens)
        return min(1.0, largest) or 1.0

    def branch_epochs(self, source: str) -> float:
        """How often a branch of a source reads its text, at most."""
        run = self.branch(source, 0)
        here = len(self.material.unit_shards(source)[0].tokens)
        return run.recipe.tokens / (here * run.fractions.get(source, 1.0))

    def branches(self, replica: int = 0) -> dict[Member, TrainingRun]:
        """One branch for every unit of the pool, in the order of the file."""
        runs: dict[Member, TrainingRun] = {}
        for source in self.config.pool_sources:
            for unit, shard in enumerate(self.material.unit_shards(source)):
                run = self.branch(source, unit, replica)
                name = f"{source}/unit-{unit}" if self.config.sources[source].units > 1 else source
                runs[Member(name, source, len(shard.tokens), run.key)] = run
        return runs

    def reference(self, mixture: Mixture, replica: int = 0) -> TrainingRun:
        """A model really trained on ``mixture``; in the union estimand as long as its parts together."""
        settings = self.config.reference_training
        recipe = self._recipe(settings, REFERENCE_SEEDS + replica, self.model.stacked)
        if self.config.estimand == "union":
            recipe = replace(recipe, steps=recipe.steps * len(mixture.support))
        shards = {name: self.material.unit_shards(name) for name in mixture.support}
        run = self._run(mixture, shards, recipe)
        adapters = self.config.model.adapters
        return self._adapted(run) if adapters is not None and adapters.references else run

    def sized(self, parameters: int) -> ModelSpec:
        """The study's model, or a new one of another size.

        Raises:
            ConfigError: no model of that size can be built, or the study's is a given checkpoint.
        """
        if self.model.config is None or parameters == self.config.model.parameters:
            return self.model
        config = self.model.config
        return replace(
            self.model,
            config=ModelConfig.for_parameters(parameters, config.vocabulary_size, config.context_length),
        )

    def varied(self, *, learning_rate: float = 1.0, tokens: float = 1.0, parameters: float = 1.0) -> "Plan":
        """The same with references trained otherwise, by factors of what the study file says.

        A model of another size has a seed model of its own, trained by the same rule: its tokens are in
        proportion to its size, and learning rates fall as the default does. References keep their tokens.

        Raises:
            ConfigError: no model of that size can be built, or the study's is a given checkpoint.
        """
        plan = self if parameters == 1.0 else self._resized(parameters)
        training = plan.config.reference_training
        changes = {
            "learning_rate": training.learning_rate * learning_rate,
            "tokens": max(1, round(training.tokens * tokens)),
        }
        other = training.model_copy(update=changes)
        return replace(plan, config=plan.config.model_copy(update={"reference_training": other}))

    def _resized(self, factor: float) -> "Plan":
        config = self.config
        if config.model.parameters is None or self.model.config is None:
            raise ConfigError(f"{config.model.folder}: a given checkpoint has one size")
        try:
            model = self.sized(round(config.model.parameters * factor))
        except ConfigError as error:
            raise ConfigError(
                f"order.parameters: {factor:g} times the model ({error}); give another factor, or 1 to leave "
                "the size out"
            ) from None
        assert model.config is not None  # it is a new one
        size, before = model.config.parameters, self.model.config.parameters
        slower = learning_rate(size) / learning_rate(before)
        seed, references = (
            training.model_copy(update={"learning_rate": training.learning_rate * slower})
            for training in (config.seed_training, config.reference_training)
        )
        seed = seed.model_copy(update={"tokens": max(1, round(seed.tokens * size / before))})
        changes = {"seed_training": seed, "reference_training": references}
        plan = replace(
            self,
            config=config.model_copy(update=changes),
            model=model,
            bench=replace(self.bench, model=model),
        )
        run = plan._seed_run()
        return replace(plan, seed=run, start=run.as_start)

    def built(self, parameters: int) -> ModelSpec:
        """The model of exactly so many parameters, as an answer names them; the study's where it has as many.

        Raises:
            ConfigError: there is none, as the study has another vocabulary or model than it had.
        """
        if parameters == self.parameters or self.model.config is None:
            return self.model
        config = self.model.config
        return replace(
            self.model,
            config=ModelConfig.of_size(parameters, config.vocabulary_size, config.context_length),
        )

    def alone(
        self, mixture: Mixture, model: ModelSpec, tokens: int, scale_tokens: int, replica: int = 0
    ) -> TrainingRun:
        """A run that owes nothing to a pool: all training text, from scratch or from a given checkpoint.

        It is trained as references are; from scratch with a warm-up no shorter than the seed model's, and at
        another size with a learning rate that falls as the default does.

        Args:
            mixture: what it reads.
            model: see ``sized``.
            tokens: how much.
            scale_tokens: tokens of the run of this scale that stands for the target run, by which
                repetition is matched.
            replica: another order of the data, and other initial parameters.
        """
        settings = self.config.reference_training
        recipe = self._recipe(settings, REFERENCE_SEEDS + replica)
        steps = max(1, round(tokens / recipe.batch_tokens))
        warmup, rate = settings.warmup * steps, settings.learning_rate
        if self.config.model.folder is None:
            least = min(FRESH_WARMUP * steps, FRESH_WARMUP_STEPS)
            warmup = max(warmup, self.config.seed_training.warmup * steps, least)
        if model.config is not None and self.model.config is not None:
            rate *= learning_rate(model.config.parameters) / learning_rate(self.model.config.parameters)
        recipe = replace(
            recipe,
            steps=steps,
            warmup_steps=round(warmup),
            learning_rate=rate,
            optimizer_state="fresh",
        )
        shards = {name: self.material.training_shards(name) for name in mixture.support}
        run = self._run(mixture, shards, recipe, start=None)
        return replace(run, model=model, fractions=self.fractions(scale_tokens, shards))

    def _adapted(self, run: TrainingRun) -> TrainingRun:
        """The same run of what branches are; adapters begin without moments, as the seed has none of them."""
        model = self.branch_model
        fresh = run.recipe if model.adapted is None else replace(run.recipe, optimizer_state="fresh")
        return replace(run, model=model, recipe=fresh)

    def _seed_run(self) -> TrainingRun:
        settings = self.config.seed_training
        names = self.config.seed_sources
        shards = {name: self.material.seed_shards(name) for name in names}
        if isinstance(settings.mixture, dict):
            mixture = Mixture.normalised(settings.mixture)
        elif settings.mixture == "proportional":
            tokens = {name: sum(len(shard.tokens) for shard in shards[name]) for name in names}
            mixture = Mixture.proportional(tokens)
        else:
            mixture = Mixture.uniform(names)
        run = self._run(mixture, shards, self._recipe(settings, 0), start=None)
        return replace(run, keep_moments=True)

    def _run(
        self,
        mixture: Mixture,
        shards: Mapping[str, tuple[TokenShard, ...]],
        recipe: Recipe,
        start: Start | str | None = "seed",
    ) -> TrainingRun:
        from_folder = self.config.model.folder
        origin = self.start if start == "seed" else None
        if origin is None and from_folder is not None:
            origin = Start(Checkpoint.load(from_folder).content_hash, from_folder)
        return TrainingRun(
            model=self.model,
            start=origin,
            mixture=mixture,
            shards={name: tuple(shard.folder for shard in own) for name, own in shards.items()},
            content={name: tuple(shard.content_hash for shard in own) for name, own in shards.items()},
            recipe=recipe,
            tokenizer_folder=self.material.tokenizer_folder,
            tokenizer=self.material.tokenizer,
            root=self.folder.checkpoints,
            fractions=self.fractions(recipe.tokens, shards),
        )

    def fractions(self, tokens: int, shards: Mapping[str, tuple[TokenShard, ...]]) -> dict[str, float]:
        """Simulated epoching: the part of each source that is repeated here as often as the source there.

        Args:
            tokens: of the run that stands for the target run here.
            shards: the text of each source that is at hand.

        Returns:
            Parts below one; a source of which there is no more here than its part is left out.
        """
        target = self.config.target_run
        if target.tokens is None or not target.simulated_epoching:
            return {}
        found = {}
        for name, own in shards.items():
            here = sum(len(shard.tokens) for shard in own)
            there = self.config.sources[name].tokens or self.material.tokens(name)
            part = tokens / target.tokens * there / here
            if part < 1.0:
                found[name] = max(part, min(1.0, self.config.model.context_length * 2 / here))
        return found

    def _recipe(self, settings: TrainingSettings, replica: int, most_stacked: int = 1) -> Recipe:
        context = self.config.model.context_length
        if settings.batch_tokens < context:
            raise ConfigError(
                f"batch_tokens {settings.batch_tokens} must be at least model.context_length {context}"
            )
        if settings.batch_tokens // context % (settings.accumulation * settings.processes):
            shared = f" times processes {settings.processes}" if settings.processes > 1 else ""
            raise ConfigError(
                f"accumulation {settings.accumulation}{shared} must divide the "
                f"{settings.batch_tokens // context} "
                f"sequences of a batch (batch_tokens {settings.batch_tokens}, model.context_length {context})"
            )
        steps = _steps(settings)
        recipe = Recipe(
            steps=steps,
            batch_sequences=settings.batch_tokens // context,
            context_length=context,
            learning_rate=settings.learning_rate,
            schedule=settings.schedule,
            decay=settings.decay,
            warmup_steps=round(settings.warmup * steps),
            weight_decay=settings.weight_decay,
            beta1=settings.betas[0],
            beta2=settings.betas[1],
            clip=settings.clip,
            accumulation=settings.accumulation,
            processes=settings.processes,
            dtype=self.model.dtype,
            compiled=self.model.compiled,
            optimizer=settings.optimizer,
            stacked=min(self._stacked(settings), most_stacked),
            seed=self.config.seed + replica,
        )
        if isinstance(settings, ReferenceTrainingSettings):
            return replace(
                recipe, tail_average=settings.tail_average, optimizer_state=settings.optimizer_state
            )
        return recipe

    def _stacked(self, settings: TrainingSettings) -> int:
        """Models in a stack, where they can be stacked."""
        alone = settings.optimizer != ADAMW or settings.processes > 1
        return 0 if self.model.config is None or alone else self.model.stacked


def _bench(config: StudyConfig, material: Material, model: ModelSpec) -> Bench:
    homes = material.corpus.evaluations
    tasks = {task.name: task.right(material.half) for task in material.tasks}
    refs = tuple(
        tasks[one.name]
        if one.name in tasks
        else EvaluationRef(
            one.name,
            material.shards[homes[one.name], EVAL].folder,
            config.model.context_length,
            config.evaluation_tokens,
            material.half,
        )
        for one in material.evaluations
    )
    return Bench(model, refs)


def _check_fit(config: StudyConfig, model: CausalModel, vocabulary: int) -> None:
    """Refuse a given checkpoint that cannot do what the study asks."""
    folder = config.model.folder
    if vocabulary > model.vocabulary_size:
        raise ConfigError(
            f"tokenizer: it has {vocabulary} tokens, but the model in {folder} only {model.vocabulary_size}; "
            "take the tokenizer of that model"
        )
    if config.model.context_length > model.context_length:
        raise ConfigError(
            f"model.context_length: {config.model.context_length} is more than the {model.context_length} "
            f"of the model in {folder}"
        )


def _steps(settings: TrainingSettings) -> int:
    return max(1, round(settings.tokens / settings.batch_tokens))


def _training_flops(config: StudyConfig, model: ModelSpec) -> float:
    """All training of the study, roughly: six FLOPs a parameter and token."""
    parameters = model.config.parameters if model.config is not None else model.build().layout.size
    units = sum(config.sources[name].units for name in config.pool_sources)
    references = config.references.count + config.replicates
    tokens = (
        config.seed_training.tokens
        + units * config.branch_training.tokens * config.branch_training.seeds
        + references * config.reference_training.tokens
    )
    return TRAINING_PER_PARAMETER * parameters * tokens
