"""A training run as a value, and the job that carries it out.

A run knows everything that determines its result and hashes it into its key. The key names its
checkpoint folder, so a run that is done is never done again, in this study or in the next.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError, NonFiniteLoss
from cuvee.execution.resident import Resident
from cuvee.execution.work_time import WorkTime
from cuvee.files import discard, write_json
from cuvee.hashing import digest
from cuvee.mixture.mixture import Mixture
from cuvee.models.adapted import AdaptedModel
from cuvee.models.adapters import Adapters
from cuvee.models.checkpoint import PASSPORT, Checkpoint, content_hash, save_checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.flops import TRAINING_PASSES
from cuvee.models.hugging_face import open_model
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from cuvee.models.stacked_llama import StackedLlama
from cuvee.sources.shards import TokenShard
from cuvee.sources.stream import MixedStream
from cuvee.training.launched import SharedWork, launched
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.stack import Stack
from cuvee.training.state import TrainingState
from cuvee.training.together import Together, shape_of, train_together
from cuvee.types import IntArray, Json

TRAINING_VERSION = 2
"""Raised whenever a change of code changes what a run with the same inputs gives."""

MOMENTS = "optimizer.safetensors"
SNAPSHOTS = "snapshots.safetensors"
LOG = "training.json"

_STACK = "stack"
STACKS = Resident({_STACK: 2})
"""Those that this process trained in last: of a seed model, and of what branches from it. They take memory of
a device: whoever needs that drops them."""


Evaluation = tuple[Callable[[Tensor], dict[str, float]] | None, int]
"""What measures a run on its way, and after every how many steps; None with 0 does not."""


@dataclass(frozen=True)
class Start:
    """The checkpoint that a run branches from."""

    key: str
    """Of the run that made it, or the content hash of a given checkpoint."""
    folder: Path


@dataclass(frozen=True)
class AdaptedStart:
    """Adapters, and the checkpoint whose parameters they leave as they are."""

    adapters: Adapters
    seed: Start


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how it computes: a native architecture or the folder of any causal model."""

    config: ModelConfig | None = None
    folder: Path | None = None
    dtype: str = "float32"
    compiled: bool = False
    device: str = "cpu"
    stacked: int = 0
    """Models that are trained at once, see ``Recipe.stacked``."""
    kernels: int = 0
    """See ``Llama``."""
    adapted: AdaptedStart | None = None
    """Of adapters alone, if they are what is trained."""
    window: int = 0
    """Tokens of the windows for which FLOPs are counted; 0 for the longest that it reads. No key holds it."""

    def build(self) -> CausalModel:
        """The model; one object a process, so that its compiled kernels are made once."""
        return _build(self)

    def make(self, device: str) -> CausalModel:
        """A model of one's own on a device, which nothing else in this process uses."""
        return _build.__wrapped__(replace(self, device=device))

    @property
    def model_hash(self) -> str:
        """Hash of the architecture."""
        if self.config is not None and self.adapted is None:
            return self.config.model_hash
        return self.build().model_hash

    @property
    def flops_per_token(self) -> float:
        """Of a forward pass; an architecture says it without being built."""
        if self.config is None:
            return self.base.build().flops_per_token
        return self.config.flops_at(self.window or self.config.context_length)

    @property
    def base(self) -> "ModelSpec":
        """The whole model, without adapters."""
        return replace(self, adapted=None)

    @property
    def parameters(self) -> int:
        """N, of the whole model; few of them are trained where it is adapted."""
        return self.base.build().layout.size


@lru_cache(maxsize=4)
def _build(spec: ModelSpec) -> CausalModel:
    if spec.adapted is not None:
        base, seed = spec.base.build(), spec.adapted.seed
        frozen = partial(_parameters, seed, base)
        return AdaptedModel(base, spec.adapted.adapters, seed.key, frozen, seed.folder)
    dtype = torch.bfloat16 if spec.dtype == "bfloat16" else torch.float32
    if spec.config is not None:
        return Llama(spec.config, dtype, spec.compiled, spec.device, spec.kernels, spec.window)
    if spec.folder is None:
        raise CheckpointError("a model needs an architecture or a folder")
    return open_model(spec.folder, dtype, spec.compiled, spec.device, spec.window)


def _parameters(start: Start, model: CausalModel) -> Tensor:
    return Checkpoint.load(start.folder).read_flat(model)


@dataclass(frozen=True)
class TrainingRun:
    """Model, start, data and recipe of one run; equal keys give equal bytes."""

    model: ModelSpec
    start: Start | None
    """None trains from fresh parameters."""
    mixture: Mixture
    shards: Mapping[str, tuple[Path, ...]]
    """Source -> token shards; the sources of ``mixture`` with a positive share must be there."""
    content: Mapping[str, tuple[str, ...]]
    """Source -> content hashes of these shards."""
    recipe: Recipe
    tokenizer_folder: Path
    tokenizer: str
    """Hash of the tokenizer."""
    root: Path
    """The folder that holds all checkpoints."""
    fractions: Mapping[str, float] = field(default_factory=dict)
    """Source -> part of its windows that may be used (simulated epoching)."""
    keep_moments: bool = False
    """Keep the Adam moments beside the checkpoint, so that others can branch with them."""

    @cached_property
    def key(self) -> str:
        """Hash of all that determines the result."""
        used = self.mixture.support
        kernels = {"kernels": self.model.kernels} if self.model.kernels else {}
        return digest(
            {
                **kernels,
                "version": TRAINING_VERSION,
                "model": self.model.model_hash,
                "start": self.start.key if self.start else None,
                "mixture": self.mixture.key,
                "content": {name: sorted(self.content[name]) for name in used},
                "fractions": {name: self.fractions.get(name, 1.0) for name in used},
                "recipe": self.recipe.as_json(),
                "tokenizer": self.tokenizer,
            }
        )

    @property
    def folder(self) -> Path:
        return self.root / self.key

    @property
    def done(self) -> bool:
        """The checkpoint is there, whole."""
        return self.folder.is_dir()

    @property
    def state_file(self) -> Path:
        """Where it is saved while it is under way."""
        return self.root / f".{self.key}.state"

    @property
    def flops(self) -> float:
        """Of all of it; see ``flops_of``."""
        return self.flops_of(self.recipe.tokens)

    def flops_of(self, tokens: int) -> float:
        """Of training on so many tokens, by formula: three forward passes each."""
        return TRAINING_PASSES * self.model.flops_per_token * tokens

    @property
    def as_start(self) -> Start:
        """Let other runs branch from this one."""
        return Start(self.key, self.folder)


@dataclass(frozen=True)
class TrainedModel:
    """The result of a finished run."""

    key: str
    checkpoint: Checkpoint
    seconds: float
    """Work time of its device (``execution/work_time.py``); 0 if the run was there already."""
    flops: float
    """``TrainingRun.flops``."""
    log: Json
    """Learning rates and losses by step, realised tokens and epochs by source."""


def execute(
    run: TrainingRun,
    report: Callable[[float, str], None] = lambda tokens, note: None,
    evaluate: Callable[[Tensor], dict[str, float]] | None = None,
    evaluate_every: int = 0,
) -> TrainedModel:
    """Carry out ``run`` unless it is done; a killed or frozen run goes on from its last saved state.

    The state lies beside the checkpoint folder while the run is under way and is removed at the end.
    """
    model = run.model.build()
    if run.done:
        checkpoint = Checkpoint.load(run.folder)
        return TrainedModel(run.key, checkpoint, 0.0, run.flops, _log_of(checkpoint))
    state, seconds = _trained(run, model, report, evaluate, evaluate_every)
    return _kept(run, model, state, seconds)


def execute_together(
    runs: Sequence[TrainingRun],
    report: Callable[[float, str], None] = lambda tokens, note: None,
    evaluations: Sequence[Evaluation] = (),
) -> Iterator[tuple[int, TrainedModel | NonFiniteLoss]]:
    """Carry out runs of one stack (``Recipe.stacked`` of them at once); yields their numbers as they end.

    What comes out of each is what ``execute`` gives. One that diverges fails alone. The work time of a stack
    is divided among its runs by their tokens.

    Args:
        runs: of one shape.
        report: called with tokens done and a note.
        evaluations: of each run on its way; empty: none is measured.

    Raises:
        ConfigError: runs of different shapes.
    """
    model, work = runs[0].model.build(), WorkTime.begin(runs[0].model.device)
    tokens = 0.0

    def counted(amount: float, note: str) -> None:
        nonlocal tokens
        tokens += amount
        report(amount, note)

    together = [
        replace(_together(run, model), evaluate=evaluate, evaluate_every=every)
        for run, (evaluate, every) in zip(runs, evaluations or [(None, 0)] * len(runs), strict=True)
    ]
    for one in train_together(stack_of(runs[0].model, runs[0].recipe), together, report=counted):
        if isinstance(one.result, NonFiniteLoss):
            yield one.number, one.result
            continue
        seconds = work.seconds * one.tokens / max(tokens, 1.0)
        yield one.number, _kept(runs[one.number], model, one.result, seconds)


def _kept(run: TrainingRun, model: CausalModel, state: TrainingState, seconds: float) -> TrainedModel:
    """The checkpoint of a run that came to its end, with its log."""
    stream = _stream(run)
    log = {
        "losses": state.losses,
        "gradient_norms": state.gradient_norms,
        "learning_rates": [run.recipe.learning_rate_at(step) for step in range(run.recipe.steps)],
        "evaluations": [[step, values] for step, values in state.evaluations],
        "tokens": stream.realised(run.recipe.steps),
        "epochs": stream.epochs(run.recipe.steps),
    }

    def companions(folder: Path) -> None:
        write_json(folder / LOG, log)
        if run.keep_moments:
            state.save(folder / MOMENTS, run.key)
        if state.snapshots:
            tensors = {str(step): flat for step, flat in state.snapshots.items()}
            save_file(tensors, folder / SNAPSHOTS)

    checkpoint = save_checkpoint(
        run.folder,
        model,
        state.result,
        ancestor=_ancestor(run),
        recipe=run.recipe.hash,
        tokenizer=run.tokenizer,
        tokenizer_folder=run.tokenizer_folder,
        details={"key": run.key, "mixture": run.mixture.as_dict(), "recipe": run.recipe.as_json()},
        companions=companions,
    )
    discard(run.state_file)
    return TrainedModel(run.key, checkpoint, seconds, run.flops, log)


@dataclass(frozen=True)
class Begun:
    """A run that was carried out in part, and frozen."""

    evaluations: tuple[tuple[int, dict[str, float]], ...]
    """Steps with what was measured after them."""
    seconds: float
    """Work time of its device; 0 if the run had come that far already."""


def begin(
    run: TrainingRun,
    until: int,
    report: Callable[[float, str], None],
    evaluate: Callable[[Tensor], dict[str, float]],
    evaluate_every: int,
) -> Begun:
    """Carry out ``run`` up to a step and freeze it: ``execute`` goes on from there, to the same bytes."""
    if run.done:
        return Begun(_measured(_log_of(Checkpoint.load(run.folder))["evaluations"], until), 0.0)
    state, seconds = _trained(run, run.model.build(), report, evaluate, evaluate_every, until)
    return Begun(_measured(state.evaluations, until), seconds)


def _measured(evaluations: Iterable[Any], until: int) -> tuple[tuple[int, dict[str, float]], ...]:
    return tuple((int(step), dict(values)) for step, values in evaluations if step <= until)


def _log_of(checkpoint: Checkpoint) -> Json:
    file = checkpoint.companion(LOG)
    try:
        log: Json = json.loads(file.read_text(encoding="utf-8"))
        _ = log["evaluations"], log["epochs"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"{file}: damaged; delete the folder to have it made again ({error!r})"
        ) from error
    return log


def _stream(run: TrainingRun) -> MixedStream:
    return MixedStream(
        {name: [TokenShard.open(path) for path in run.shards[name]] for name in run.mixture.support},
        run.mixture,
        context_length=run.recipe.context_length,
        batch_sequences=run.recipe.batch_sequences,
        seed=run.recipe.seed,
        fractions=run.fractions,
    )


def windows_read(run: TrainingRun, count: int) -> IntArray:
    """The first windows that a run reads, inputs and the last target, int64 [W, T + 1]; all where it reads no
    more."""
    recipe = run.recipe
    steps = min(recipe.steps, -(-count // recipe.batch_sequences))
    spans = _stream(run).spans(0, steps)
    return spans.reshape(-1, spans.shape[-1])[:count]


def _trained(
    run: TrainingRun,
    model: CausalModel,
    report: Callable[[float, str], None],
    evaluate: Callable[[Tensor], dict[str, float]] | None,
    evaluate_every: int,
    until: int | None = None,
) -> tuple[TrainingState, float]:
    """The state at the end, and the work time that it took."""
    if run.recipe.processes > 1:
        shared = replace(shared_work(run), evaluate=evaluate, evaluate_every=evaluate_every, until=until)
        made = launched(shared, report)
        return made.state, made.seconds
    work = WorkTime.begin(run.model.device)
    state = _trained_here(run, model, report, evaluate, evaluate_every, until)
    return state, work.seconds


def shared_work(run: TrainingRun) -> SharedWork:
    """A run for several processes, not measured on its way."""
    begin, batches = partial(start_of, run), partial(_stream, run)
    model, device = run.model.make, run.model.device
    return SharedWork(model, device, run.recipe, run.key, begin, batches, run.state_file)


def _trained_here(
    run: TrainingRun,
    model: CausalModel,
    report: Callable[[float, str], None],
    evaluate: Callable[[Tensor], dict[str, float]] | None,
    evaluate_every: int,
    until: int | None,
) -> TrainingState:
    if run.recipe.stacked:
        one = replace(_together(run, model), evaluate=evaluate, evaluate_every=evaluate_every, until=until)
        [found] = train_together(stack_of(run.model, run.recipe), [one], report=report)
        if isinstance(found.result, NonFiniteLoss):
            raise found.result
        return found.result
    stream = _stream(run)
    return train(
        model,
        start_of(run, model),
        stream,
        run.recipe,
        key=run.key,
        state_file=run.state_file,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        until=until,
        report=report,
        realised=stream.realised if len(stream.sources) > 1 else None,
        device=run.model.device,
    )


def read_snapshots(folder: Path) -> dict[int, Tensor]:
    """The parameters kept on the way of a finished run: step -> float32 [N]; none where it kept none.

    Raises:
        CheckpointError: they are damaged, or gone.
    """
    if not (folder / PASSPORT).is_file():
        return {}
    checkpoint = Checkpoint.load(folder)
    if SNAPSHOTS not in checkpoint.files and not (folder / SNAPSHOTS).is_file():
        return {}
    file = checkpoint.companion(SNAPSHOTS)
    try:
        return {int(step): flat for step, flat in load_file(file).items()}
    except Exception as error:  # safetensors raises its own untyped error for a damaged file
        raise CheckpointError(
            f"{file}: damaged; delete the folder to have it made again ({error})"
        ) from error


def _together(run: TrainingRun, model: CausalModel) -> Together:
    return Together(run.key, partial(start_of, run, model), partial(_stream, run), run.recipe, run.state_file)


def stack_of(spec: ModelSpec, recipe: Recipe) -> Stack:
    """As many places as a recipe says; the last one stays, with what it compiled and recorded.

    Raises:
        ConfigError: it is a model of somebody else's architecture.
    """
    if spec.config is None:
        raise ConfigError("only models of the native architecture are stacked; train this one by itself")
    shape = shape_of(recipe)
    return STACKS.get(_STACK, (spec, shape), partial(_stack, spec, spec.config, shape))


def _stack(spec: ModelSpec, config: ModelConfig, recipe: Recipe) -> Stack:
    dtype = torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
    model = StackedLlama(config, recipe.stacked, dtype, spec.device, spec.compiled, spec.kernels)
    return Stack(model, recipe, spec.compiled)


def _ancestor(run: TrainingRun) -> str | None:
    """Content hash of the checkpoint that a run branches from; of adapters, that of those not trained yet."""
    if run.start is None:
        return None
    if run.model.adapted is not None:
        return content_hash(run.model.build().initial(run.recipe.seed))
    return Checkpoint.load(run.start.folder).content_hash


def start_of(run: TrainingRun, model: CausalModel) -> TrainingState:
    """The state to begin with.

    Raises:
        CheckpointError: the checkpoint or its moments are damaged.
    """
    if run.start is None or run.model.adapted is not None:  # the seed has no moments of adapters
        return TrainingState.fresh(model.initial(run.recipe.seed))
    checkpoint = Checkpoint.load(run.start.folder)
    flat = checkpoint.read_flat(model)
    # A model that was given has none, or those of another study.
    if run.recipe.optimizer_state == "fresh" or run.start.key == checkpoint.content_hash:
        return TrainingState.fresh(flat)
    # Going on without them would give another result under the same key.
    moments = checkpoint.companion(MOMENTS)
    state = TrainingState.load(moments, run.start.key)
    if state is None:
        raise CheckpointError(f"{moments}: damaged; delete the folder to have it made again")
    # A branch starts where the seed is judged: at its (tail-averaged) result, not at its last step.
    state.flat = flat
    return state.branch(keep_moments=True)
