"""The sections of ``study.yaml``, one class a section.

Each field carries its own words: they are the documentation, and the comments of the file that
``cuvee init`` writes. A field without a default here gets it from the dial (``effort.py``).
Relative paths are resolved against the folder that the validation context names.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cuvee.honesty.statistics import MINIMUM_ROWS
from cuvee.study.file.command import CommandTemplate

Count = Annotated[int, Field(gt=0)]
NonNegativeCount = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def resolved(path: str, info: ValidationInfo) -> str:
    """Resolve ``path`` against the folder of the study file; hub names stay as they are."""
    if not path:
        raise ValueError("must not be empty")
    if path.startswith("hub:"):
        return path
    folder = (info.context or {}).get("folder", Path())
    return str(Path(folder).absolute() / Path(path).expanduser())


def resolved_folder(path: Path, info: ValidationInfo) -> Path:
    """Resolve a path that must be a folder on this machine."""
    return Path(resolved(str(path), info))


Location = Annotated[str, AfterValidator(resolved)]
Folder = Annotated[Path, AfterValidator(resolved_folder)]


class Settings(BaseModel):
    """Base class of all sections: unknown keys and infinite numbers are refused, values are immutable."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class TextSettings(Settings):
    """Where the text is stored and how it is read."""

    paths: tuple[Location, ...] = ()
    """Files, folders, glob patterns, or `hub:NAME/CONFIG:SPLIT`. Formats: .txt .md .jsonl .json (also
    .gz .zst .bz2 .xz) and .parquet. READMEs and licences are skipped unless a path names them. Tokens that
    are there are read where they lie: .bin with .idx (Megatron), .npy (OLMo-core), .ds (datatrove), and
    datasets saved to disk with a column `input_ids`; `tokenizer.folder` must be the tokenizer that made
    them."""
    format: Literal["megatron", "olmo", "datatrove", "arrow"] | None = None
    """Format of files of tokens whose names do not say it (`olmo`: an array, documents end with end-of-text).
    Default: by file type."""
    text_field: str = "text"
    """Field of a record that holds its text. Use dots for nested fields (`data.text`); chat messages are
    joined."""
    allow_broken: bool = False
    """Skip and count unreadable records instead of stopping."""
    chunk_characters: Count | None = None
    """Split longer documents into pieces of about this many characters."""

    @model_validator(mode="before")
    @classmethod
    def _from_paths_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"paths": [value]}
        if isinstance(value, list | tuple):
            return {"paths": value}
        if isinstance(value, Mapping) and isinstance(value.get("paths"), str):
            return {**value, "paths": [value["paths"]]}
        if not isinstance(value, Mapping | BaseModel):
            raise ValueError("must be a path, a list of paths, or keys such as `paths`")
        return value


class SourceSettings(TextSettings):
    """One data source: a named set of documents."""

    units: Count = 1
    """Number of pool models trained on this source, each on its own part of the documents."""
    tokens: Count | None = None
    """Unique tokens of this source available to the target run. Default: the tokens read here."""
    in_seed: bool = True
    """Use this source to train the seed model and the tokenizer. `cuvee add-source` sets this to false, so
    that existing models stay valid."""
    made_from: tuple[str, ...] = ()
    """Written by `cuvee change`: the source above of which this one is a part, or the sources that it
    merges. Their documents do not count as duplicates of its own."""
    selected_from: tuple[str, ...] = ()
    """Written by `cuvee select`: the sources above whose documents this one holds in part. Nothing of it is
    held out or given to the seed model."""

    @model_validator(mode="after")
    def _has_paths(self) -> "SourceSettings":
        if not self.paths:
            raise ValueError("needs `paths`: a file, a folder or a list of them")
        return self


class EvaluationSettings(TextSettings):
    """One evaluation set: the held-out part of a source, or separate text."""

    source: str | None = None
    """Use the held-out part of this source, instead of `paths`."""

    @model_validator(mode="after")
    def _one_origin(self) -> "EvaluationSettings":
        if (self.source is None) == (not self.paths):
            raise ValueError("needs either `source` (its held-out part) or `paths` (text of its own)")
        return self


class EvaluationsSettings(Settings):
    """The evaluation sets: held-out parts of the sources, and others by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, EvaluationSettings] = Field(init=False)

    held_out: bool = True
    """Evaluate on the held-out part of every source, in addition to the evaluations named here."""

    @property
    def named(self) -> dict[str, EvaluationSettings]:
        """The evaluations that the file lists, by name."""
        return dict(self.__pydantic_extra__)


class DuplicatesSettings(Settings):
    """Documents that are in the sources more than once. Exact copies are always left out."""

    near: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Look for near-duplicates, too, within and across sources: share of runs of five words in common from
    which on two documents are the same (0.8, say), by MinHash. Needs the extra `dedup` and one more pass over
    all text. Default: off."""
    found: Literal["drop", "report"] = "drop"
    """Leave the later of two near-duplicates out (drop), or only count and name it (report)."""


_REQUESTS = ".json"
_TASK_FILES = (".yaml", ".yml", _REQUESTS)


def resolved_task(task: str, info: ValidationInfo) -> str:
    """Resolve the path of a task's file against the folder of the study file; names stay as they are."""
    return resolved(task, info) if not task or Path(task).suffix in _TASK_FILES else task


class TaskSettings(Settings):
    """A downstream task of lm-evaluation-harness: `task: NAME`, or `task: PATH` of a YAML file that describes
    one. Needs the extra `eval`."""

    task: Annotated[str, AfterValidator(resolved_task)]
    """Name of a task that asks for likelihoods (multiple choice, an answer, or the perplexity of text), or
    the path of its YAML file, or of a `.json` file of requests that another study made of a task."""
    name: str = ""
    """How the study calls it. Default: the name of the task or of its file."""
    limit: Count | None = None
    """Use the first questions only, so many."""

    @model_validator(mode="before")
    @classmethod
    def _from_name_alone(cls, value: Any) -> Any:
        return {"task": value} if isinstance(value, str) else value

    @property
    def is_file(self) -> bool:
        """Whether a file describes it."""
        return Path(self.task).suffix in _TASK_FILES

    @property
    def is_made(self) -> bool:
        """Whether the file holds its requests, so that the harness is not needed."""
        return Path(self.task).suffix == _REQUESTS

    @model_validator(mode="after")
    def _whole(self) -> "TaskSettings":
        if self.is_made and self.limit is not None:
            raise ValueError("requests that are made have their limit; leave `limit` out")
        return self

    @property
    def called(self) -> str:
        """How the study calls it."""
        return self.name or (Path(self.task).stem if self.is_file else self.task)


class SplitSettings(Settings):
    """How documents are split, by the hash of their text. The remainder trains the pool."""

    evaluation: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Fraction of each source held out for evaluation."""
    seed: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Fraction of each source used only to train the seed model."""

    @model_validator(mode="after")
    def _leaves_something(self) -> "SplitSettings":
        if self.evaluation + self.seed >= 1:
            raise ValueError("`evaluation` and `seed` together must stay below 1: the rest trains the pool")
        return self


TO_FILL_IN = "FILL-IN-THE-FOLDER-OF-THE-TOKENIZER"
"""What `cuvee init` writes where a folder must be named that it did not find."""


class TokenizerSettings(Settings):
    """The tokenizer: trained on the sources, or an existing one. Default: the tokenizer of `model.folder`."""

    vocabulary: Annotated[int, Field(ge=257)] | None = None
    """Vocabulary size of a byte-level BPE tokenizer trained on the sources."""
    folder: Folder | None = None
    """Folder of an existing Hugging Face tokenizer, instead of `vocabulary`."""

    @property
    def to_fill_in(self) -> bool:
        """Whether the folder is still what `cuvee init` left there."""
        return self.folder is not None and self.folder.name == TO_FILL_IN and not self.folder.exists()

    @model_validator(mode="after")
    def _one_of_two(self) -> "TokenizerSettings":
        if self.vocabulary is not None and self.folder is not None:
            raise ValueError("give `vocabulary` or `folder`, not both")
        return self


class AdapterSettings(Settings):
    """LoRA adapters in place of whole branches."""

    rank: Count
    """Rank of each product."""
    alpha: Positive | None = None
    """Products are scaled by `alpha / rank`. Default: twice the rank."""
    target_modules: tuple[str, ...] = ()
    """Ends of the names of the modules that are adapted, such as `q_proj`. Default: all matrices of the
    layers."""
    references: bool = False
    """Train the reference runs as adapters, too. They then say nothing of what adapters lose."""


class ModelSettings(Settings):
    """The seed model: a new one of a given size, or an existing checkpoint."""

    parameters: Annotated[int, Field(ge=100_000, le=2_000_000_000)] | None = None
    """Number of parameters of a new Llama-style seed model, including embeddings: 100,000 to 2 billion."""
    context_length: Annotated[int, Field(ge=8)]
    """Context length in tokens."""
    folder: Folder | None = None
    """Folder of an existing Hugging Face causal or masked language model, instead of `parameters`."""
    adapters: AdapterSettings | None = None
    """Train the branches as LoRA adapters of the seed model, such as `{rank: 16}`: a pool then takes
    megabytes where whole branches take gigabytes. Needs `folder`. Keys: `rank`; `alpha` (products are scaled
    by `alpha / rank`; twice the rank by default); `target_modules` (ends of names such as `q_proj`; all
    matrices of the layers by default); `references: true` trains the reference runs as adapters, too. By
    default `branch_training.learning_rate` is then ten times that of whole models, and only adapters take it
    over."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "ModelSettings":
        if self.adapters is not None and self.folder is None:
            raise ValueError(
                "`adapters` are those of a model that is there: give its `folder`, or leave them out, as a "
                "new model is small enough for whole branches"
            )
        if (self.parameters is None) == (self.folder is None):
            raise ValueError("give either `parameters` (a new model) or `folder` (one that is there)")
        return self


_POWER_LAW_POINTS = 3  # as many as it has parameters

Schedule = Literal["linear", "constant", "cosine", "wsd"]


class TrainingSettings(Settings):
    """Settings shared by all training stages."""

    tokens: Count
    """Number of training tokens."""
    learning_rate: Positive
    """Peak learning rate."""
    warmup: Share = 0.0
    """Fraction of training used for linear warm-up."""
    schedule: Schedule = "linear"
    """Learning-rate schedule after warm-up: linear or cosine decay to zero, constant, or warmup-stable-
    decay (wsd)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Fraction of training, at its end, in which a wsd schedule decays to zero."""
    batch_tokens: Count
    """Tokens per optimizer step."""
    accumulation: Count = 1
    """Parts in which a batch is computed, one after the other: more parts need less memory. Must divide the
    sequences of a batch."""
    processes: Count = 1
    """Processes that share each training, each with a GPU (or a core) and a part of the model, for models too
    large for one (docs/gpu.md). Together with `accumulation` it must divide the sequences of a batch."""
    weight_decay: NonNegative = 0.1
    """Decoupled weight decay (AdamW), applied to matrices only."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw`, or `muon` for hidden matrices with AdamW for all else (torch 2.9 or newer)."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """Decay rates of the AdamW moments."""
    clip: Positive = 1.0
    """Gradient clipping: maximum gradient norm."""


class SeedTrainingSettings(TrainingSettings):
    """Training of the seed model, from which all branches start."""

    tokens: NonNegativeCount
    """Number of training tokens; 0 uses the model of `model.folder` unchanged."""
    warmup: Share = 0.05
    """Fraction of training used for linear warm-up."""
    schedule: Schedule = "constant"
    """Learning-rate schedule after warm-up. Constant by default, so that branches continue where the seed
    stopped."""
    mixture: str | dict[str, NonNegative] = "uniform"
    """Mixture of the seed model: `uniform`, `proportional` (to tokens), or a weight for each source."""

    @field_validator("mixture", mode="before")
    @classmethod
    def _known_mixture(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            if not any(value.values()):
                raise ValueError("at least one weight must be above zero")
            return value
        if value in ("uniform", "proportional"):
            return value
        raise ValueError(f"must be uniform, proportional or weights by source, not {value!r}")


class ReferenceTrainingSettings(TrainingSettings):
    """Training of the reference runs. Choose what the target run will use."""

    tail_average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of training, at its end, over which the parameters are averaged; 0 keeps the last step."""
    optimizer_state: Literal["restored", "fresh"] = "restored"
    """Continue with the AdamW moments of the seed (restored), or start from zero (fresh)."""


class BranchTrainingSettings(ReferenceTrainingSettings):
    """Training of the pool: one branch of the seed model for each unit of data.

    A lower learning rate than that of the references (a quarter to a half) ranks mixtures with the same
    number of sources better; the full rate ranks mixtures with different numbers of sources better. Tiny
    rates (1e-5 to 1e-6) are published to rank the recipes of larger models best (arXiv 2512.24503): merges
    are then exact to first order, but mixtures hardly differ, so that `numerics.json` must say float32.
    Missing keys of `reference_training` are those here: give its own `learning_rate` as well, or references
    are trained as gently.
    """

    snapshots: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Fractions of training at which intermediate parameters are kept as well."""
    seeds: Count = 1
    """Number of branches for each unit, each with its own data order."""


class MergingSettings(Settings):
    """How the branches of the pool are merged."""

    method: Literal["linear", "regmean", "fisher"] = "linear"
    """The weighted mean of their parameters (linear), or a method that looks at text of each branch first:
    fitted outputs of linear layers (regmean), or parameters by how much the text asks for them (fisher)."""

    @property
    def key(self) -> dict[str, str]:
        """What it adds to the hashes of what it makes: nothing where studies had no choice yet."""
        return {} if self == MergingSettings() else {"merging": self.method}

    @staticmethod
    def method_of(details: Mapping[str, Any]) -> str:
        """By which a run was merged, from its details, of which ``key`` is a part."""
        return str(details.get("merging", MergingSettings().method))


TrackerName = Literal["tensorboard", "trackio", "wandb"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Trackers = Annotated[tuple[TrackerName, ...], BeforeValidator(_listed)]
"""One name, or several."""

Design = Literal["mixed", "subsets", "dirichlet", "space_filling"]


class ReferencesSettings(Settings):
    """Reference mixtures: models are trained on them to calibrate and judge the proxies."""

    count: NonNegativeCount
    """Number of distinct mixtures."""
    replicates: NonNegativeCount
    """Number of references trained twice, with different data orders, to measure training noise."""
    design: Design = "mixed"
    """How mixtures are chosen: subsets of sources, Dirichlet draws, a space-filling design, or some of
    each."""

    @model_validator(mode="after")
    def _not_more_replicates(self) -> "ReferencesSettings":
        if self.replicates > self.count:
            raise ValueError(f"{self.replicates} replicates of {self.count} references: at most one each")
        return self


class CandidatesSettings(Settings):
    """Candidate mixtures: scored by proxies, never trained."""

    count: Count
    """Number of candidates."""
    design: Design = "mixed"
    """How mixtures are chosen; the same options as for references."""


class CheckSettings(Settings):
    """Check of the decision: the pick, equal shares and proportional shares are trained with fresh seeds."""

    seeds: NonNegativeCount
    """Number of training runs for each mixture (paired seeds); 0 leaves the decision unchecked."""


FEWEST_ORDERED = MINIMUM_ROWS
"""Mixtures below which there is no rank correlation."""


class OrderSettings(Settings):
    """Does the order of mixtures survive? Some references are trained again under one other condition each
    time: another seed, learning rate, number of tokens and size. A factor of 1 leaves a condition out."""

    mixtures: NonNegativeCount
    """Number of references that are trained again, the first of the design; at least 4, or 0 for none.
    They are replicates too."""
    learning_rate: Positive = 0.25
    """Factor of the learning rate of `reference_training`."""
    tokens: Positive = 2.0
    """Factor of the tokens of `reference_training`."""
    parameters: Positive = 0.5
    """Factor of the parameters of the model. A seed model of that size is trained for it, with tokens in
    proportion. Of no effect with `model.folder`."""

    @field_validator("mixtures")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < FEWEST_ORDERED:
            raise ValueError(f"{value} have no rank correlation: give at least {FEWEST_ORDERED}, or 0")
        return value


class TargetSettings(Settings):
    """The objective: a weighted mean of the evaluation losses, to be minimised."""

    weights: dict[str, NonNegative] = {}
    """Weight of each evaluation. Default: all evaluations count equally. A downstream task counts where it
    is named, as `TASK` or `TASK:bits_per_byte`, by the likelihood of its right answers."""

    @field_validator("weights")
    @classmethod
    def _something_counts(cls, value: dict[str, float]) -> dict[str, float]:
        if value and not any(value.values()):
            raise ValueError("at least one weight must be above zero")
        if not math.isfinite(sum(value.values())):
            raise ValueError("the weights are too large to be added up")
        return value


class TargetRunSettings(Settings):
    """The target run: the training run that the decision is for."""

    tokens: Count | None = None
    """Training tokens of the target run. Without it, repetition is neither capped nor simulated."""
    max_epochs: Positive = 4.0
    """Maximum number of epochs of any source."""
    parameters: Count | None = None
    """Model parameters of the target run. Without it, `cuvee scale` uses one model size only."""
    simulated_epoching: bool = True
    """Small runs use a subset of each source, so that they repeat it as often as the target run will."""


class ScaleSettings(Settings):
    """Settings of `cuvee scale`: how optima at affordable scales are extrapolated to the target run."""

    budget_flops: Positive
    """Total budget in FLOPs."""
    rungs: Annotated[int, Field(ge=2)] = 2
    """Number of scales at which the best mixture is searched. The results are trained one scale above."""
    step: Annotated[float, Field(gt=1)] = 3.0
    """Growth factor of the tokens from one scale to the next."""
    factors: tuple[Positive, ...] = (1 / 3, 3.0)
    """Perturbations of one source at a time, relative to a base run with equal amounts of all sources."""
    replicates: NonNegativeCount = 2
    """Number of repeated base runs at each scale, to measure training noise."""
    seeds: NonNegativeCount = 2
    """Number of training runs of each resulting mixture at the scale above; 0 leaves them untested."""
    least_amount: NonNegative = 0.2
    """Lower bound of each source in an optimum, as a fraction of its amount in the base run."""
    power_law: Literal["likeliest", "published"] = "likeliest"
    """How power laws are fitted: by likelihood, with noise (likeliest), or exactly through three runs
    (published)."""

    @field_validator("factors")
    @classmethod
    def _differ(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value) | {1.0}) < _POWER_LAW_POINTS:
            raise ValueError("give at least two different factors, none of them 1")
        return value

    @model_validator(mode="after")
    def _floor_is_met(self) -> "ScaleSettings":
        if self.least_amount >= 1:
            raise ValueError("`least_amount` must stay below 1: the optima are as large as the base run")
        if self.power_law == "published" and len(set(self.factors) | {1.0}) != _POWER_LAW_POINTS:
            raise ValueError("the published power law passes through three runs: give two `factors`")
        return self


class SearchSettings(Settings):
    """Settings of `cuvee search`: sequential experiments within a budget of FLOPs."""

    budget_flops: Positive
    """Total budget in FLOPs, including the pool if it is not trained yet."""
    method: str = "cost_aware"
    """Search method that chooses the next experiment."""
    document_values: str | None = None
    """Method of valuation by whose values documents are chosen inside each source that is not read whole.
    Default: with `method: duet` what `cuvee value` takes by default, else any documents are read."""
    target_tokens: Count | None = None
    """Training tokens at the target fidelity. Default: chosen so that the budget covers `target_runs` such
    runs."""
    target_runs: Annotated[float, Field(ge=2)] = 8.0
    """Number of runs at the target fidelity that the budget would cover. They are never longer than the
    target run."""
    scales: NonNegativeCount = 2
    """Number of cheaper training scales below the target fidelity."""
    step: Annotated[float, Field(gt=1)] = 3.0
    """Growth factor of the tokens from one scale to the next."""
    checkpoints: NonNegativeCount = 2
    """Number of intermediate checkpoints at which a run at the target fidelity may be paused."""
    proxies: tuple[Literal["merged", "ensembled"], ...] = ("merged", "ensembled")
    """Proxies that the search may use. They need a pool of branches; an empty list trains none."""
    trainer_tokens: tuple[Count, ...] = ()
    """Training tokens of runs of your own trainer (section `trainer`). It then makes the training runs of the
    search, the largest number is the target fidelity, and `scales`, `step` and `checkpoints` do not apply."""
    batch: Count | None = None
    """Number of parallel experiments. Default: one for each worker."""
    tolerance: NonNegative = 0.002
    """Stop when the probability that another mixture is better by more than this (nats per token) is below
    5 %. 0 spends the whole budget."""

    @model_validator(mode="after")
    def _one_target_fidelity(self) -> "SearchSettings":
        if self.trainer_tokens and self.target_tokens is not None:
            raise ValueError("`target_tokens` is the largest of `trainer_tokens` where these are given")
        if len(set(self.trainer_tokens)) < len(self.trainer_tokens):
            raise ValueError("`trainer_tokens` names a number twice")
        return self


class PriceSettings(Settings):
    """Prices of computing. Plans, `cuvee status` and reports then give amounts of money; no result depends on
    them."""

    gpu_hour: NonNegative | None = None
    """Price of one GPU for one hour, used where the study computes on a GPU. Without it, no amounts are
    given."""
    core_hour: NonNegative | None = None
    """Price of one processor core for one hour, used where the study computes on cores. Without it, no
    amounts are given."""
    currency: str = "USD"
    """Currency of both, up to eight letters or one sign."""

    @field_validator("currency")
    @classmethod
    def _short(cls, value: str) -> str:
        if not _CURRENCY.fullmatch(value):
            raise ValueError(f"must be up to eight letters, such as EUR, or one sign, not {value!r}")
        return value


_CURRENCY = re.compile(r"[A-Za-z]{1,8}|[$€£¥₹]")


class LimitsSettings(Settings):
    """Constraints on the mixture, in token shares."""

    minimum: dict[str, Share] = {}
    """Minimum share of each source."""
    maximum: dict[str, Share] = {}
    """Maximum share of each source."""
    ratios: tuple[dict[str, Positive], ...] = ()
    """Groups of sources with fixed ratios, such as `{a: 2, b: 1}`."""


class TrainerSettings(Settings):
    """Settings of `cuvee swarm`: mixtures trained by a trainer of your own (docs/trainers.md)."""

    command: str = ""
    """Command that trains one mixture, run in the folder of this file without a shell. Fields: `{mixture}`
    (a file), `{output}` (a folder), `{tokens}`, `{seed}`, `{parameters}`, `{tokenizer}` (the folder of this
    study's). Files that it names are part of a run's key: where they change, all is trained again."""
    format: str = ""
    """Format of the mixture file: a name of `cuvee export --list`. Default: JSON of token shares."""
    returns: Literal["metrics", "model"] = "metrics"
    """What the command leaves in its output folder: a JSON file of numbers by name (metrics), or a Hugging
    Face model with the tokenizer of this study, which is then measured on its evaluations (model)."""
    result: str = ""
    """Where that lies, as a path inside the output folder. Default: `metrics.json`, or the folder itself."""
    metrics: tuple[str, ...] = ()
    """Metrics of the JSON file to keep, by name or pattern (`eval_*`). Default: all; they must be numbers."""
    higher: tuple[str, ...] = ()
    """Metrics that are better when higher, by name or pattern, where their names do not say so."""
    lower: tuple[str, ...] = ()
    """Metrics that are better when lower."""
    target: dict[str, NonNegative] = {}
    """Weight of each metric in the objective. Default: `target.weights`, else as `cuvee fit` chooses."""
    count: Count = 32
    """Number of mixtures: equal and proportional shares, then a space-filling design within the limits."""
    tokens: Count | None = None
    """Training tokens of each run. Default: `reference_training.tokens`."""
    parameters: Count | None = None
    """Model parameters of each run, if known."""
    gpus: Count | None = None
    """GPUs that each run occupies, for the GPU-hours and the price in `cuvee swarm --plan`. Default: neither
    is given."""
    sequence_length: NonNegativeCount = 0
    """Tokens per sample, for formats that need it; 0 if unknown."""
    timeout: Positive | None = None
    """Hours after which a run is stopped, with all its processes, and counts as failed."""
    retries: NonNegativeCount = 0
    """Number of further attempts of a failed run within one command."""

    @field_validator("command")
    @classmethod
    def _a_command(cls, value: str) -> str:
        if value:
            CommandTemplate.parse(value)
        return value

    @field_validator("result")
    @classmethod
    def _inside(cls, value: str) -> str:
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise ValueError(f"must be a path inside the output folder, not {value!r}")
        return value

    @model_validator(mode="after")
    def _metrics_of_a_file(self) -> "TrainerSettings":
        given = {"metrics": self.metrics, "target": self.target, "higher": self.higher, "lower": self.lower}
        if self.returns == "model" and (useless := [name for name, value in given.items() if value]):
            raise ValueError(
                f"`{useless[0]}` is of no use with `returns: model`: its metrics are those of cuvee"
            )
        if "{parameters}" in self.command and self.parameters is None:
            raise ValueError("`command` asks for {parameters}: say how many")
        return self

    @property
    def template(self) -> CommandTemplate:
        """The command, divided into arguments."""
        return CommandTemplate.parse(self.command)
